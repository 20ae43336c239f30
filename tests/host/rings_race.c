// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two ports in two threads, under the thread sanitizer: a handshake, then frames of random sizes
 * both ways at once. Each thread sleeps when it has nothing to do, so that a doorbell that is
 * missing is noticed.
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "common/segment.h"
#include "../guest/pattern.h"
#include "../guest/tap.h"

#define ENTRIES	16
#define BYTES	4096
#define FRAMES	50000
#define PATIENCE	60	/* seconds for a doorbell */

/* A port in a thread. */
struct side {
	struct end end;
	sem_t bell;
	sem_t *other_bell;
	uint64_t reclaimed;
	bool lost;
};

static struct side sides[2];

static void ring_if(const struct side *side, bool wanted)
{
	if (wanted)
		sem_post(side->other_bell);
}

/* Wait until the other rings. Gives false if it does not. */
static bool await(struct side *side)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE;
	return !sem_timedwait(&side->bell, &end);
}

static bool is_done(const struct side *side)
{
	return side->end.sent == FRAMES && side->end.got == FRAMES && side->reclaimed == FRAMES;
}

static void send_some(struct side *side)
{
	struct end *end = &side->end;
	struct ivshmem_reclaimed done;

	if (end->sender.state != IVSHMEM_RING_UP)
		return;
	ivshmem_sender_reclaim(&end->sender, &done);
	side->reclaimed += done.frames;
	while (end->sent < FRAMES &&
	       end_send(end, 1 + (uint32_t)pattern_size(end->sent, BYTES - 1)))
		;
	ring_if(side, ivshmem_sender_publish(&end->sender));
}

/* Poll, as NAPI does. Gives whether there may be more. */
static bool poll(struct side *side)
{
	struct end *end = &side->end;
	unsigned int budget = 8;
	bool more;

	ring_if(side, end_look(end, true) & IVSHMEM_LOOK_RING);
	while (budget && end_receive(end))
		budget--;
	ring_if(side, ivshmem_receiver_publish(&end->receiver));
	send_some(side);
	if (!budget)
		return true;
	more = ivshmem_receiver_want_frames(&end->receiver);
	if (end->sender.state == IVSHMEM_RING_UP)
		more |= ivshmem_sender_want_room(&end->sender);
	return more;
}

static void *live(void *argument)
{
	struct side *side = argument;

	end_start(&side->end);
	ring_if(side, true);
	while (!is_done(side) && !side->lost)
		if (!poll(side))
			side->lost = !is_done(side) && !await(side);
	return NULL;
}

int main(void)
{
	struct ivshmem_rings_layout layout = segment_layout(2, ENTRIES, BYTES);
	void *memory = calloc(1, segment_size(&layout));
	pthread_t threads[2];

	for (unsigned int i = 0; i < 2; i++) {
		end_init(&sides[i].end, &layout, memory, i, !i);
		sem_init(&sides[i].bell, 0, 0);
		sides[i].other_bell = &sides[!i].bell;
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, live, &sides[i]);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < 2; i++) {
		tap_ok(!sides[i].lost, "end %u is rung whenever it waits", i);
		tap_eq(sides[i].end.got, FRAMES, "it gets all frames");
		tap_eq(sides[i].end.bad, 0, "they are whole and in order");
	}
	free(memory);
	return tap_done();
}
