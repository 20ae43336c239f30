/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of ivshmemctl doctor share. Each looks at one thing, and reports
 * what is wrong with it. They read files; nothing is changed or tried.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

/*
 * Report one problem: one line with its reason and what to do. @name is for
 * programs; the man page lists them.
 */
void problem(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The path of a file of the machine that is looked at, which tests put below a
 * directory. The text is good until the next call.
 */
const char *below(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool is_there(const char *path);

/* Looks for the first line with @word in it. */
bool find_line(const char *path, const char *word, char *line, int size);

const char *running_kernel(void);

/* doctor_device.c */
struct pci_devices {
	int present;
	int suitable;		/* of a revision that the driver knows */
	char idle[16];		/* the address of one without a driver, or empty */
};

void examine_pci(struct pci_devices *devices);

/* Adds the sockets of this host that can be used; whether there are any sockets. */
bool examine_sockets(json_t *usable);

/* doctor_module.c; whether the driver is there, if only in part. */
bool examine_module(const struct pci_devices *devices);

/* The module's file for a kernel, as modprobe would find it. */
bool find_module(const char *kernel, char path[PATH_MAX]);

/*
 * doctor_build.c: the version of the sources that DKMS has, and why there is no
 * module for the running kernel; with @version NULL there are no sources.
 */
bool find_sources(char version[64]);
void examine_build(const char *version);

/*
 * doctor_refusal.c: what keeps an installed module out; whether anything does.
 * @version is that of the sources, or empty.
 */
bool examine_refusal(bool is_signed, const char *version);

/* doctor_access.c; adds the nodes that can be used. */
void examine_access(char **names, int count, json_t *usable);

/* What to do when the user is no member of the group that may use @path. */
void complain_membership(const char *path);

#endif /* CTL_DOCTOR_H */
