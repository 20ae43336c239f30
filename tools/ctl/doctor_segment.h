/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For ivshmemctl doctor: nodes whose partition has rings, and why a machine has no part in them.
 */
#ifndef CTL_DOCTOR_SEGMENT_H
#define CTL_DOCTOR_SEGMENT_H

#include "doctor.h"
#include "segment.h"
#include "sysfs.h"

/* A node of such a type, and what the memory says of it. */
struct segment_node {
	const char *name;		/* ivshmem0p1 */
	char device[NAME_MAX + 1];	/* ivshmem0 */
	unsigned int number;		/* 1 */
	char type[32];
	struct ivshmem_label label;
	const struct ivshmem_label_entry *entry;	/* NULL: this user must not see it */
	struct segment segment;
};

#define REFUSAL_TEXT	1024

/* Why no driver takes it, whatever its type: a reason and a remedy. NULL: not known. */
const char *segment_refusal(const struct segment_node *node, char text[REFUSAL_TEXT]);

/* Why no other machine is reached by a driver that has taken it. */
enum absence {
	ABSENCE_HIDDEN,		/* this user must not see who is there */
	ABSENCE_NO_PORT,	/* of this machine; the text says why */
	ABSENCE_ALONE,
	ABSENCE_UNLINKED,	/* there are @others, who do not take part */
};

enum absence segment_absence(const struct segment_node *node, char text[REFUSAL_TEXT],
			     unsigned int *others);

/* doctor_net.c: an interface that is missing, down, or without a carrier. */
void examine_network(const struct segment_node *node);

/* doctor_vsock.c: machines that vsock does not reach. */
void examine_vsock(const struct segment_node *node);

#endif /* CTL_DOCTOR_SEGMENT_H */
