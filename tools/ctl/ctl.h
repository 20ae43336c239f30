/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the verbs of ivshmemctl: exit codes, messages, arguments, and the
 * device that a verb works on.
 */
#ifndef CTL_H
#define CTL_H

#include <argp.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "ivshmem.h"

/* Documented in the man page. */
enum exit_code {
	EXIT_OK		= 0,
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
	EXIT_NO_DEVICE	= 3,	/* no such device, or it disappeared */
	EXIT_DENIED	= 4,
	EXIT_TIMEOUT	= 5,
	EXIT_CORRUPTED	= 6,
};

/* Print "ivshmemctl: ..." to stderr, control characters as "?". Returns @code. */
enum exit_code complain(enum exit_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * An allocated text, or NULL, with control characters as "?": what users type, or others
 * name, must neither add lines to a message nor command the terminal.
 */
char *format_message(const char *format, va_list arguments);

/* Print an error in the arguments and end the program with EXIT_USAGE. */
void complain_usage(struct argp_state *state, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Complain that the verb needs root. */
enum exit_code complain_not_root(void);

/* The verbs, listed in ivshmemctl.c. Each returns an enum exit_code. */
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
int verb_peers(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_format(int argc, char **argv);
int verb_label(int argc, char **argv);
int verb_partition(int argc, char **argv);
int verb_net(int argc, char **argv);
int verb_rescan(int argc, char **argv);
int verb_wipe(int argc, char **argv);

/* Options shared by several verbs. A verb names one set in its struct argp. */
extern const struct argp_child with_help[];
extern const struct argp_child with_device[];
extern const struct argp_child with_json[];
extern const struct argp_child with_device_and_json[];
/* With parse_numbers(). */
extern const struct argp_child with_device_and_numbers[];
extern const struct argp_child with_device_json_and_numbers[];

/*
 * As argp_parse(), for a verb whose operands are numbers: -1 is one as well, to be refused
 * as such, and no option. The parser counts its operands itself.
 */
void parse_numbers(const struct argp *argp, int argc, char **argv);

extern struct common_options {
	const char *device;	/* --device, or NULL */
	bool json;		/* --json */
} common;

/* Parse an argument. An invalid one ends the program with EXIT_USAGE. */
uint64_t argument_size(struct argp_state *state, const char *what,
		       const char *text, uint64_t max);
/* As argument_size(), at least 1. */
uint64_t argument_count(struct argp_state *state, const char *what, const char *text);
int64_t argument_seconds(struct argp_state *state, const char *what,
			 const char *text);

/* A string; a byte of @text that is not valid in UTF-8 becomes the four characters \xNN. */
json_t *json_bytes(const char *text);

/* The id of a peer, or null. */
json_t *json_id(uint32_t id);

/* Print @json to @stream, on one line if @compact, and drop the reference. */
enum exit_code print_json(FILE *stream, json_t *json, bool compact);

/* Flush stdout. Complains if anything could not be written. */
enum exit_code flush_output(void);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t now_ns(void);

/* From now on, SIGALRM interrupts system calls four times a second. */
#define INTERRUPT_NS	INT64_C(250000000)
void interrupt_calls(void);

/*
 * After stop_on_signals(), the first SIGINT, SIGTERM, SIGHUP or SIGQUIT sets @stopped to its
 * number and interrupts system calls; the verb cleans up and returns. The second one ends the
 * program. block_stopping() blocks them; @before may be NULL.
 */
extern volatile sig_atomic_t stopped;
void stop_on_signals(void);
void block_stopping(sigset_t *before);

/* If the first one has come, end the program by it: shells and scripts look for that. */
void end_by_signal(void);

/* select_device.c: the device that a verb works on. */
struct device {
	struct ivshmem *handle;
	struct ivshmem_properties properties;
	const char *name;	/* as the user writes it */
};

/* Select the device: --device, IVSHMEM_DEVICE, or the only one. Complains on failure. */
enum exit_code device_choose(const char **name);

/* Is it a server's socket, or nothing yet where one could be? */
bool device_is_server(const char *name);

/* Select and open the device. Complains on failure. */
enum exit_code device_open(struct device *device, unsigned int flags);
void device_close(struct device *device);

/* The same to receive doorbells, which needs no permission to write but in a file. */
enum exit_code device_open_to_wait(struct device *device);

/* The device that a partition is in; false: this is no partition. */
bool device_parent(const struct device *device, char parent[NAME_MAX + 1]);

/* Complain that @action failed with @error, a negative errno. */
enum exit_code device_complain(const struct device *device, int error,
			       const char *action);

/* Check that peers have doorbells; that the device has vectors; that it has @vector. */
enum exit_code device_need_ringing(const struct device *device);
enum exit_code device_need_vectors(const struct device *device);
enum exit_code device_need_vector(const struct device *device, uint32_t vector);

/* As device_complain(), for ringing @peer: -ENXIO lists the peers that exist. */
enum exit_code device_complain_ring(const struct device *device, int error,
				    uint32_t peer);

/* Check that @length bytes at @offset lie within the region. */
enum exit_code device_check_range(const struct device *device, uint64_t offset,
				  uint64_t length);

/* From now on, an access to memory of a lost device ends with EXIT_NO_DEVICE. */
void device_expect_loss(void);

/*
 * A mapped range of the region. @base and @length cover whole pages. It implies
 * device_expect_loss().
 */
struct mapping {
	void *base;
	size_t length;
	uint8_t *bytes;
};

enum exit_code device_map(const struct device *device, uint64_t offset,
			  uint64_t length, struct mapping *mapping);
void device_unmap(const struct device *device, struct mapping *mapping);

/*
 * List the peers of a server: an allocated array in ascending order. Returns their
 * number or a negative errno.
 */
int device_peers(const struct device *device, uint32_t **ids);

#endif /* CTL_H */
