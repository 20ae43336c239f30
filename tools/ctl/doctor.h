/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the parts of ivshmemctl doctor. Each examines one subject and reports its
 * problems. They only read files.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Report one problem in one line: reason, then remedy. @name identifies it to programs
 * and is documented in the man page.
 */
void problem(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
size_t count_problems(void);

/*
 * Format the path of a file, below --root if that is given. The result is valid until
 * the next call.
 */
const char *below(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool is_there(const char *path);

/* Find the first line that contains @word. */
bool find_line(const char *path, const char *word, char *line, int size);

const char *running_kernel(void);

/* doctor_device.c */
struct pci_devices {
	int present;
	int suitable;		/* of a revision that the driver supports */
	char idle[16];		/* address of one without a driver, or empty */
};

void examine_pci(struct pci_devices *devices);

/* doctor_resource.c: who uses the device at this PCI address by resource2 in sysfs. */
void examine_resource(const char *address);

/* doctor_server.c; adds the usable sockets to @usable. Returns whether there is a server. */
bool examine_servers(json_t *usable);

/* doctor_module.c; returns whether any part of the driver is installed. */
bool examine_module(const struct pci_devices *devices);

/* Does modprobe find a module for a kernel? */
bool has_module(const char *name, const char *kernel);

/*
 * Start a command, to read its output and pclose(). IVSHMEM_ROOT is --root. The programs of
 * kmod are installed wherever modules are loaded; of libkmod, Debian lacks the static
 * library that the tests' guests would need.
 */
FILE *ask(const char *command);

/*
 * doctor_build.c: the version of DKMS's sources, and why there is no module for the
 * running kernel, @version being NULL if there are no sources. Then, for another kernel;
 * and versions of which DKMS has no sources any more.
 */
bool find_sources(char version[64]);
void examine_build(const char *version);
void examine_other_build(const char *version);
void examine_stale(void);

/*
 * doctor_refusal.c: why the installed module is not loaded. Each returns whether there is
 * such a reason. @version: of the sources, or empty.
 */
bool examine_blacklist(void);
bool examine_signature(bool is_signed, const char *version);

/* doctor_access.c; adds the accessible nodes to @usable. */
void examine_access(char **names, int count, json_t *usable);

/* doctor_slot.c: devices that cannot be rung, as their labels are full. */
void examine_slots(char **names, int count);

/* doctor_segment.c: partitions with rings by which no other machine is reached. */
void examine_segments(void);

/* In a container, instead of all but the servers. */
void examine_container(char **names, int count, bool has_server, json_t *usable);

/* Report that the user is not in the group of @path. */
void complain_membership(const char *path);
bool is_our_group(gid_t id);

#endif /* CTL_DOCTOR_H */
