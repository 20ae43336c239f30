/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is present on a device, a partition or a file, by the peer area of its label.
 */
#ifndef CTL_PRESENT_H
#define CTL_PRESENT_H

#include "ctl.h"

struct present {
	struct ivshmem_peer *list;	/* by slot */
	size_t count;
};

/*
 * Look now. Returns 0 or a negative errno, and in case of an error nobody: -EOPNOTSUPP without
 * a peer area. present_free() must follow the last look.
 */
int present_look(const struct device *device, struct present *present);
void present_free(struct present *present);

/*
 * The first look. In a file there can be peers that have died: who has just opened it has to
 * listen for a while to tell them from others.
 */
int present_begin(const struct device *device, struct present *present);

/* Listen for that while, so that ivshmem_peers() leaves out who has died. */
void present_settle(const struct device *device);

/* Complain that a look has failed; without a peer area, say what to do. */
enum exit_code present_complain(const struct device *device, int error);

/* "guest", "host", "server" or "unknown" */
const char *present_kind(const struct ivshmem_peer *peer);

/* What --json has of one, and of all. */
json_t *present_json(const struct ivshmem_peer *peer);
json_t *present_list_json(const struct present *present);

#endif /* CTL_PRESENT_H */
