/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that plays a port of a segment and breaks the rules of the rings, with the code of the
 * tools. Those it attacks are the ports of the other guests.
 */
#ifndef ATTACKER_H
#define ATTACKER_H

#include "../../src/rings/ring.h"
#include "segment.h"

#define ATTACKER_VICTIMS 2

/* A peer that is attacked, and the rings with it. */
struct victim {
	unsigned int port;
	uint32_t id;
	struct ivshmem_sender sender;
	struct ivshmem_receiver receiver;
	struct ivshmem_ring_note *notes;
};

/* What the others notice of an attack. */
enum effect {
	NOTHING,
	BROKEN,		/* they count a ring that is broken */
	WRONG_FRAME,	/* they count a frame */
};

struct attack {
	const char *name;
	void (*run)(struct victim *v);
	enum effect effect;
};

/* A frame that breaks no rule. */
struct attacker_frame {
	const void *bytes;
	uint32_t length;
};

/*
 * Be the attacker: do what @more lists, which ends with an empty one, and what is against the rules
 * of rings, whatever is in a frame. Each is done to all victims. Meet the others at barriers before
 * and after each.
 */
void attacker_run(int fd, struct attacker_frame frame, const struct attack *more);

/*
 * Be attacked, in another guest, and meet the attacker at the same barriers. @count gives how often
 * an effect was counted, which has to grow, and @reaches whether the others still reach each other.
 */
void attacker_bear(const struct attack *more, long long (*count)(enum effect effect),
		   bool (*reaches)(void));

/* Append a frame to the ring. Gives its descriptor, so that it can be spoilt. */
struct ivshmem_ring_descriptor *attacker_put(struct victim *v, const void *frame, uint32_t length,
					     const void *header, uint32_t size);

/* Let the victim see it. */
void attacker_publish(struct victim *v);

/* Let the victim see it, and with it that the port has stopped. */
void attacker_leave(struct victim *v);

/* Start again, and shake hands with all. Gives whether they did. */
bool attacker_come_up(void);

/* An attack on rings to all, for segments that have some. */
void attacker_far_broadcast(struct victim *v);

#endif
