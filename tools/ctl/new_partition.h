/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A partition that is to be made: where it goes, and which vectors it gets.
 */
#ifndef CTL_NEW_PARTITION_H
#define CTL_NEW_PARTITION_H

#include "labelled.h"

#define NOT_GIVEN	UINT64_MAX

struct new_partition {
	const char *name;
	const char *type;	/* NULL: raw */
	uint64_t size;		/* NOT_GIVEN: all of the largest free range */
	uint64_t offset;	/* NOT_GIVEN: the first place that is large enough */
	uint64_t vectors;	/* NOT_GIVEN: none, but for a segment */
	uint64_t first_vector;	/* NOT_GIVEN: those that are free */
	uint64_t ports;		/* of a segment; NOT_GIVEN: as many as the label has slots */
};

#define NEW_PARTITION \
	{ .size = NOT_GIVEN, .offset = NOT_GIVEN, .vectors = NOT_GIVEN, \
	  .first_vector = NOT_GIVEN, .ports = NOT_GIVEN }

/* Parse its size. An invalid one ends the program with EXIT_USAGE. */
uint64_t argument_partition_size(struct argp_state *state, const char *text);

/*
 * Add it to the label of @region, which is not stored, and plan it if it is a segment. @made
 * is its entry. Complains if there is no room for it.
 */
enum exit_code partition_make(struct labelled *region, const struct new_partition *wanted,
			      struct ivshmem_label_entry **made);

#endif /* CTL_NEW_PARTITION_H */
