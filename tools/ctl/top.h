/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of ivshmemctl top: a look at a device gives lines of text, which are printed once,
 * or shown on a screen until the user has seen enough.
 */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include "lines.h"
#include "present.h"
#include "rights.h"
#include "sysfs.h"

struct top_partition {
	char node[NAME_MAX + 1];	/* ivshmem0p1; in a file the number */
	char name[256];
	uint64_t size;
	char rights[RIGHTS_TEXT];
};

/* What there was at one time. */
struct top_look {
	int64_t time_ns;
	struct sysfs_device entry;	/* but for a device, no more than its name */
	struct sysfs_label label;
	struct top_partition *partitions;
	size_t npartitions;
	struct present present;
	bool area;			/* the label has a peer area */
};

/* A device that is looked at again and again. */
struct top {
	struct device device;
	struct top_look looks[2];
	unsigned int done;		/* how many looks there were */
	int64_t interval_ns;
	struct lines lines;
};

/* top_look.c: look at the device. Returns 0 or a negative errno. */
int top_look(struct top *top);
void top_free(struct top *top);

const struct top_look *top_last(const struct top *top);

/*
 * How many interrupts of a vector came per second before the last look, and how often the driver
 * looked for polled doorbells. False: there was one look only.
 */
bool top_rate(const struct top *top, uint32_t vector, double *rate);
bool top_rate_of_looks(const struct top *top, double *rate);

/* top_json.c: the same as an object. */
json_t *top_json(const struct top *top);

/* top_text.c: have @lines tell what the last look has seen, and rates since the one before. */
void top_text(struct top *top);

/*
 * top_screen.c: look and show until the user types q, a signal, or the end of the device.
 * Complains on failure.
 */
enum exit_code top_screen(struct top *top);

#endif /* CTL_TOP_H */
