/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the verbs of ivshmemctl share: exit codes, messages, arguments, and the
 * device a verb works on.
 */
#ifndef CTL_H
#define CTL_H

#include <argp.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "ivshmem.h"

/* The man page promises these. */
enum exit_code {
	EXIT_OK		= 0,
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
	EXIT_NO_DEVICE	= 3,	/* no such device, or it went away */
	EXIT_DENIED	= 4,
	EXIT_TIMEOUT	= 5,
	EXIT_CORRUPTED	= 6,
};

/* Print "ivshmemctl: ..." on stderr; gives @code. */
enum exit_code complain(enum exit_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Says that only root can do this. */
enum exit_code complain_not_root(void);

/* Verbs: ivshmemctl.c has the table. Each gives an enum exit_code. */
int verb_list(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_read(int argc, char **argv);
int verb_write(int argc, char **argv);
int verb_ring(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_ping(int argc, char **argv);
int verb_send(int argc, char **argv);
int verb_recv(int argc, char **argv);
int verb_add(int argc, char **argv);
int verb_remove(int argc, char **argv);
int verb_trace(int argc, char **argv);
int verb_doctor(int argc, char **argv);

/* The options that several verbs have; a verb names one of these in its argp. */
extern const struct argp_child with_help[];
extern const struct argp_child with_device[];
extern const struct argp_child with_json[];
extern const struct argp_child with_device_and_json[];

extern struct common_options {
	const char *device;	/* --device, or NULL */
	bool json;		/* --json */
} common;

/* Values of arguments; a bad one ends the program with EXIT_USAGE. */
uint64_t argument_size(struct argp_state *state, const char *what,
		       const char *text, uint64_t max);
int64_t argument_seconds(struct argp_state *state, const char *what,
			 const char *text);

/* Print @json on @stream, one line if @compact, and drop the reference. */
enum exit_code print_json(FILE *stream, json_t *json, bool compact);

/* Has everything printed on stdout been written? Says so if not. */
enum exit_code flush_output(void);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t now_ns(void);

/*
 * After stop_on_signals() SIGINT and SIGTERM set @stopped, and interrupt what
 * sleeps; a second one ends the program.
 */
extern volatile sig_atomic_t stopped;
void stop_on_signals(void);

/* select_device.c: the device a verb works on. */
struct device {
	struct ivshmem *handle;
	struct ivshmem_properties properties;
	const char *name;	/* as the user would write it */
};

/* Finds and opens it. Says what is wrong if it can't. */
enum exit_code device_open(struct device *device, unsigned int flags);
void device_close(struct device *device);

/* Says that there is no @name, and how devices come to be; gives @code. */
enum exit_code complain_none(enum exit_code code, const char *name);

/* Says that @action failed with @error (negative errno), and what to do. */
enum exit_code device_complain(const struct device *device, int error,
			       const char *action);

/* Checks that others can be rung; that it has vectors; that it has @vector. */
enum exit_code device_need_ringing(const struct device *device);
enum exit_code device_need_vectors(const struct device *device);
enum exit_code device_need_vector(const struct device *device, uint32_t vector);

/* As device_complain() for ringing @peer: -ENXIO says who is there instead. */
enum exit_code device_complain_ring(const struct device *device, int error,
				    uint32_t peer);

/* Checks that @length bytes from @offset on lie in the region. */
enum exit_code device_check_range(const struct device *device, uint64_t offset,
				  uint64_t length);

/*
 * A range of the region in memory; @base and @length are what to unmap. Touching
 * it after the device went away ends the program with EXIT_NO_DEVICE.
 */
struct mapping {
	void *base;
	size_t length;
	uint8_t *bytes;
};

enum exit_code device_map(const struct device *device, uint64_t offset,
			  uint64_t length, struct mapping *mapping);
void device_unmap(const struct device *device, struct mapping *mapping);

/* Peers on a server, malloc()ed, rising; a negative errno or their number. */
int device_peers(const struct device *device, uint32_t **ids);

#endif /* CTL_H */
