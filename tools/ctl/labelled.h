/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region and its label, for the verbs that show or change labels.
 */
#ifndef CTL_LABELLED_H
#define CTL_LABELLED_H

#include "../../lib/label_build.h"
#include "ctl.h"
#include "segment.h"

struct labelled {
	struct device device;
	struct mapping mapping;		/* the first @length bytes */
	size_t length;			/* what a label can have, or all of a smaller region */
	uint8_t copy[IVSHMEM_LABEL_MAX_SIZE];
	struct ivshmem_label label;
	enum ivshmem_label_reason reason;
	struct segment segments[IVSHMEM_LABEL_MAX_ENTRIES];	/* of those that are some */
	bool dry_run;			/* nothing is stored */
};

/* Open the device and read its label, if any: see @reason. Complains if it cannot open. */
enum exit_code labelled_open(struct labelled *region, unsigned int flags);
void labelled_close(struct labelled *region);

/* The same for a verb that needs a good label. */
enum exit_code labelled_open_good(struct labelled *region, unsigned int flags);

/* Read the label of a device that is open for something else. False: it has no good one. */
bool labelled_look(const struct device *device, struct ivshmem_label *label);

/*
 * The device's vectors. On a file, those of a program that takes a slot of the label: one that
 * only looks has none.
 */
uint32_t labelled_vectors(const struct device *device);

/* "partition 3: another one has its name (same-name)": why the label is not good. */
#define REASON_TEXT	128
const char *format_reason(char text[REASON_TEXT], const struct ivshmem_label *label,
			  enum ivshmem_label_reason reason);

/*
 * Store the label, which @region->label has become, and before it what is new in segments.
 * Complains if it would not be good, or if somebody else has changed it since it was read.
 */
enum exit_code labelled_store(struct labelled *region);

/* On stderr, if peers are there: they work on with what they know of the label. */
void labelled_warn_of_peers(const struct labelled *region);

/* What is said of a partition that is a segment; NULL: it is none. */
struct segment *entry_segment(struct labelled *region, const struct ivshmem_label_entry *entry);

static inline unsigned int entry_number(const struct ivshmem_label *label,
					const struct ivshmem_label_entry *entry)
{
	return (unsigned int)(entry - label->entries) + 1;
}

#define UUID_TEXT	40
const char *format_uuid(char text[UUID_TEXT], const uint8_t uuid[16]);

/* "0 to 3", "7" or "none". */
#define VECTORS_TEXT	32
const char *format_vectors(char text[VECTORS_TEXT], const struct ivshmem_label_entry *entry);

/* What --json prints of a label, and of a partition. */
json_t *label_json(struct labelled *region);
json_t *partition_json(struct labelled *region, const struct ivshmem_label_entry *entry);
json_t *partitions_json(struct labelled *region);
void print_label(const struct labelled *region);
void print_partitions(struct labelled *region);

#endif /* CTL_LABELLED_H */
