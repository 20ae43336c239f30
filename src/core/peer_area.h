/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * The peer area of a labelled region, as docs/label-format.md specifies it
 *
 * For the driver and the library: nothing here knows in which of them it is.
 */
#ifndef IVSHMEM_PEER_AREA_H
#define IVSHMEM_PEER_AREA_H

#include <linux/types.h>

/* Milliseconds. The heartbeat moves at least each 200. */
#define IVSHMEM_BEAT_MS		100	/* between two heartbeats */
#define IVSHMEM_SILENT_MS	800	/* a peer that is silent for so long is not present */
#define IVSHMEM_STILL_MS	1000	/* then others may take its slot */

#define IVSHMEM_PEER_NO_ID	0xffffffffU	/* id: the peer has no doorbell */
#define IVSHMEM_PEER_PRESENT	1		/* state */

/* A peer without a doorbell id is rung by this number plus its slot. */
#define IVSHMEM_PEER_FIRST_ID	0xff00U

/**
 * struct ivshmem_peer_section - what a peer tells others
 * @owner: random number of the peer that has the slot; 0: it is free
 * @generation: one more with each owner
 * @heartbeat: one more at least each 200 ms
 * @id: its doorbell id, or IVSHMEM_PEER_NO_ID
 * @kind: IVSHMEM_PEER_GUEST, _HOST or _SERVER
 * @state: IVSHMEM_PEER_PRESENT, or 0
 * @name: any bytes, padded with 0
 * @reserved: 0
 * @counters: its doorbells for others: rung[peers], then bell[peers][bell_vectors]
 *
 * Only the owner writes, but nothing keeps others from it: read a field once.
 */
struct ivshmem_peer_section {
	__le64 owner;
	__le64 generation;
	__le64 heartbeat;
	__le32 id;
	__le16 kind;
	__le16 state;
	char name[32];
	__u8 reserved[192];
	__le32 counters[];
};

#endif /* IVSHMEM_PEER_AREA_H */
