/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is present in the label of a region, and the own slot there.
 *
 * On a file or a device the library or the driver has a slot. On the socket of a server it
 * has none, as the server says who is there, but a port needs one; so this takes it.
 */
#ifndef CTL_NET_SEAT_H
#define CTL_NET_SEAT_H

#include "ctl.h"

#define SEATS		128	/* at most, as a label has slots */

struct slots;	/* of the library, for itself */

struct net_seat {
	struct ivshmem *handle;		/* by which others are rung */
	struct slots *slots;		/* if that is a server; else NULL */
	int64_t beat_ns;		/* when it is time; INT64_MAX: never */
};

/*
 * Prepare the slots of the label on @region, the connection to a server by which nothing else is
 * done and which can be closed afterwards. Returns 0 or a negative errno.
 */
int seat_prepare(struct net_seat *seat, struct ivshmem *region);

/* Sit down, as the one whom others ring by @device. Leave. */
void seat_open(struct net_seat *seat, const struct device *device);
void seat_close(struct net_seat *seat);

/*
 * If it is time: say that this program lives; take another slot if somebody else has got it. Then
 * it is also time to look who is there. False: it is not time, or nothing has to be done here.
 */
bool seat_beat(struct net_seat *seat, int64_t now);

/* Of a program without a slot: does it have none as the region has another label now? */
bool seat_is_stale(const struct net_seat *seat);

/* List who is there, with this program. Returns the number or a negative errno. */
int seat_look(struct net_seat *seat, struct ivshmem_peer peers[SEATS]);

#endif /* CTL_NET_SEAT_H */
