/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A partition of the type net or vsock: its bytes are divided over the rings between its ports,
 * as docs/ring-format.md specifies.
 */
#ifndef CTL_SEGMENT_H
#define CTL_SEGMENT_H

#include "../../lib/label_build.h"
#include "../../src/rings/ring.h"
#include "ctl.h"

#define NET_TYPE	"net"
#define VSOCK_TYPE	"vsock"

struct segment_type {
	const char *name;
	bool broadcast;		/* there are rings to all */
};

/* NULL: partitions of this type are no segments. */
const struct segment_type *segment_type(const char *name);

struct segment {
	enum ivshmem_rings_reason reason;	/* why there is no @layout */
	struct ivshmem_rings_layout layout;
	bool planned;				/* and not written */
};

static inline bool is_segment(const struct ivshmem_label_entry *entry)
{
	return segment_type(entry->type);
}

/* Divide the bytes of @entry over rings between @ports. Complains if they are too few. */
enum exit_code segment_plan(const char *device, const struct ivshmem_label_entry *entry,
			    unsigned int ports, struct segment *segment);

/* Write that to the partition, which nobody uses yet. Complains on failure. */
enum exit_code segment_write(const struct device *device,
			     const struct ivshmem_label_entry *entry, struct segment *segment);

/* What the partition says. */
void segment_read(const struct device *device, const struct ivshmem_label_entry *entry,
		  struct segment *segment);

/* The longest frame that a ring can carry. */
uint32_t segment_frame(const struct segment *segment);

/* An object, or null without a layout; lines that follow the one of the partition. */
json_t *segment_json(const struct segment *segment);
void segment_print(const struct segment *segment);

#endif /* CTL_SEGMENT_H */
