// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file with a peer area: the program is a peer of all others that have the region, guests
 * and programs, without a server.
 *
 * A thread says that the program lives, and looks who else does, ten times a second. Only while
 * somebody waits, or has the descriptor of a doorbell, does it look for doorbells as well, and
 * signals those that it finds by eventfds.
 *
 * A handle that is read-only takes no slot: it sees who is there, and cannot be rung.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "backend_file.h"
#include "park.h"
#include "polled.h"
#include "presence.h"
#include "process.h"
#include "waiting.h"

#define BEAT_NS		(IVSHMEM_BEAT_MS * INT64_C(1000000))
#define PATIENCE_BEATS	13	/* more than the silence after which a slot can be taken */

struct member {
	struct ivshmem *handle;
	struct waiting waiting;		/* with the lock, which protects all below */
	struct slots slots;
	struct polled polled;
	struct presence presence;
	uint32_t id;			/* that others have; or IVSHMEM_ID_UNKNOWN */
	int fds[IVSHMEM_MAX_VECTORS];	/* of the doorbells */
	uint32_t nfds;
	uint32_t given;			/* how many watch the descriptors */

	pthread_t thread;
	bool runs;
	bool ends;			/* it shall */
	pthread_cond_t change;		/* the thread has something to do */
};

static struct member *to_member(struct ivshmem *handle)
{
	return to_file(handle)->member;
}

/* Peers; with the lock held. */

static void look_who_is_there(struct member *member)
{
	ivshmem_slots_look(&member->slots, member->presence.now);
	if (ivshmem_presence_update(member->handle, &member->presence))
		ivshmem_waiting_wake_all(&member->waiting);
}

static uint32_t own_id(const struct member *member)
{
	/* Who cannot ring others must not be waited for. */
	if (member->slots.own == IVSHMEM_SLOT_NONE || !member->slots.vectors)
		return IVSHMEM_ID_UNKNOWN;
	return IVSHMEM_PEER_FIRST_ID + member->slots.own;
}

/* The others believe that who was here has left. So it was, for channels. */
static void note_loss(struct member *member)
{
	member->handle->losses++;
	ivshmem_log(IVSHMEM_LOG_ERROR, "%s: another peer has taken slot %u from this program",
		    member->handle->name, member->id - IVSHMEM_PEER_FIRST_ID);
	ivshmem_process_doubt(member->handle);
	ivshmem_listeners_signal(member->handle, NULL);
	ivshmem_waiting_wake_all(&member->waiting);
}

static bool claim(struct member *member)
{
	uint32_t former = member->id;

	if (ivshmem_slots_claim(&member->slots)) {
		ivshmem_polled_arrive(&member->polled);
		ivshmem_slots_beat(&member->slots);	/* who is seen is rung */
		member->handle->vectors = member->slots.vectors;
		ivshmem_log(IVSHMEM_LOG_INFO, "%s: joined in slot %u of %u, with %u vectors",
			    member->handle->name, member->slots.own, member->slots.count,
			    member->slots.vectors);
	}
	member->id = own_id(member);
	if (former != IVSHMEM_ID_UNKNOWN && former != member->id)
		note_loss(member);
	return member->slots.own != IVSHMEM_SLOT_NONE;
}

static bool has_lost(const struct member *member)
{
	return ivshmem_slots_are_valid(&member->slots) && !ivshmem_slots_are_ours(&member->slots);
}

/*
 * A slot that was lost is replaced one beat later: where a tool is about to format the region,
 * the label has gone by then.
 */
static void beat(struct member *member)
{
	bool lost = member->slots.own != IVSHMEM_SLOT_NONE && has_lost(member);

	look_who_is_there(member);
	if (member->handle->read_only)
		return;
	if (lost)
		member->slots.own = IVSHMEM_SLOT_NONE;
	else if (member->slots.own != IVSHMEM_SLOT_NONE)
		ivshmem_slots_beat(&member->slots);
	else if (ivshmem_slots_are_valid(&member->slots))
		claim(member);
}

/* Doorbells; with the lock held. */

static void signal_own(const struct member *member, uint32_t vector, uint64_t count)
{
	/* A full counter has rung already. */
	(void)!write(member->fds[vector], &count, sizeof(count));
}

static void look_for_doorbells(struct member *member)
{
	struct polled_counts counts = { 0 };
	uint32_t vector;

	if (!ivshmem_slots_are_ours(&member->slots) ||
	    !ivshmem_polled_look(&member->polled, &counts))
		return;
	for (vector = 0; vector < member->nfds; vector++)
		if (counts.vectors[vector])
			signal_own(member, vector, counts.vectors[vector]);
}

static bool is_wanted(const struct member *member)
{
	return member->nfds && (member->given || !TAILQ_EMPTY(&member->waiting.waiters));
}

/* The thread sleeps until its next beat only. */
static void begin_to_look(struct member *member)
{
	ivshmem_polled_begin(&member->polled);
	pthread_cond_signal(&member->change);
}

/* The thread */

static void sleep_until(struct member *member, int64_t until)
{
	const struct timespec time = {
		.tv_sec = until / NSEC_PER_SEC,
		.tv_nsec = until % NSEC_PER_SEC,
	};

	pthread_cond_timedwait(&member->change, &member->waiting.lock, &time);
}

static void *live(void *argument)
{
	struct member *member = argument;
	int64_t time, until, next_beat = ivshmem_now();

	pthread_mutex_lock(&member->waiting.lock);
	while (!member->ends) {
		time = ivshmem_now();
		if (time >= next_beat) {
			beat(member);
			next_beat = time + BEAT_NS;
		}
		until = next_beat;
		if (is_wanted(member)) {
			int64_t next_look = time + ivshmem_polled_interval(&member->polled, time);

			look_for_doorbells(member);
			until = next_look < until ? next_look : until;
		}
		sleep_until(member, until);
	}
	pthread_mutex_unlock(&member->waiting.lock);
	return NULL;
}

/* Signals are for the threads of the program. */
static int start(struct member *member)
{
	sigset_t all, former;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &former);
	error = pthread_create(&member->thread, NULL, live, member);
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	if (error)
		return ivshmem_fail(-error, "no thread for the peers: %s", strerror(error));
	pthread_setname_np(member->thread, "ivshmem");
	member->runs = true;
	return 0;
}

static void stop(struct member *member)
{
	if (!member->runs)
		return;
	pthread_mutex_lock(&member->waiting.lock);
	member->ends = true;
	pthread_cond_signal(&member->change);
	pthread_mutex_unlock(&member->waiting.lock);
	pthread_join(member->thread, NULL);
}

/* Operations */

static int member_properties(struct ivshmem *handle, struct ivshmem_properties *out)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);

	ivshmem_file_properties(handle, out);
	out->id = member->id;
	out->vectors = handle->vectors;
	out->can_ring = handle->vectors != 0;
	ivshmem_waiting_unlock(&member->waiting, cancel);
	return 0;
}

static bool answers_to(const struct ivshmem_peer *peer, uint32_t id)
{
	return peer->owner && (peer->id == id || IVSHMEM_PEER_FIRST_ID + peer->slot == id);
}

/* All that answer to the number: none of them can hide another. */
static bool ring_known(struct member *member, uint32_t id, uint32_t vector)
{
	bool found = false;
	uint32_t slot;

	for (slot = 0; slot < member->slots.count; slot++) {
		if (!answers_to(&member->presence.known[slot], id))
			continue;
		if (slot == member->slots.own)
			signal_own(member, vector, 1);
		else
			ivshmem_polled_ring(&member->slots, slot, vector);
		found = true;
	}
	return found;
}

/* Whether this program can ring: 0 or why not. */
static int check_own_slot(const struct member *member, uint32_t id, uint32_t vector)
{
	const struct slots *slots = &member->slots;

	if (!slots->vectors)
		return ivshmem_fail(-EOPNOTSUPP, "the label has no doorbells");
	if (vector >= slots->vectors)
		return ivshmem_fail(-ENXIO, "peer %u has no vector %u: the last one is %u", id,
				    vector, slots->vectors - 1);
	if (!ivshmem_slots_are_valid(slots))
		return ivshmem_fail(-ESTALE, "the region has another label now");
	if (!ivshmem_slots_are_ours(slots))
		return ivshmem_fail(-EAGAIN, "this program has none of the label's %u slots now",
				    slots->count);
	return 0;
}

/* It may only have been stopped: then it finds the doorbell when it goes on. */
static int ring_absent(struct member *member, uint32_t id, uint32_t vector)
{
	uint32_t slot = id - IVSHMEM_PEER_FIRST_ID;

	if (slot < member->slots.count)
		ivshmem_polled_ring(&member->slots, slot, vector);
	return ivshmem_fail(-ENXIO, "there is no peer %u", id);
}

static int member_ring(struct ivshmem *handle, uint32_t id, uint32_t vector)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);
	int error = check_own_slot(member, id, vector);

	if (!error && !ring_known(member, id, vector)) {
		look_who_is_there(member);
		if (!ring_known(member, id, vector))
			error = ring_absent(member, id, vector);
	}
	ivshmem_waiting_unlock(&member->waiting, cancel);
	return error;
}

static int member_wait(struct ivshmem *handle, const struct ivshmem_wait_options *options,
		       struct ivshmem_wait_result *result)
{
	return ivshmem_waiting_wait(&to_member(handle)->waiting, options, result);
}

static int member_ring_wait(struct ivshmem *handle, uint32_t peer, uint32_t vector,
			    const struct ivshmem_wait_options *options,
			    struct ivshmem_wait_result *result)
{
	return ivshmem_waiting_ring_wait(&to_member(handle)->waiting, peer, vector, options,
					 result);
}

static int member_doorbell(struct ivshmem *handle, uint32_t vector)
{
	struct member *member = to_member(handle);
	int fd = ivshmem_waiting_doorbell(&member->waiting, vector);
	int cancel;

	if (fd < 0)
		return fd;
	cancel = ivshmem_waiting_lock(&member->waiting);
	if (!member->given++)
		begin_to_look(member);
	ivshmem_waiting_unlock(&member->waiting, cancel);
	return fd;
}

static void member_forget(struct ivshmem *handle)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);

	member->given--;
	ivshmem_waiting_unlock(&member->waiting, cancel);
}

static int member_listen(struct ivshmem *handle)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);

	look_who_is_there(member);
	ivshmem_waiting_unlock(&member->waiting, cancel);
	return 0;
}

static int member_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);
	int count;

	look_who_is_there(member);
	count = ivshmem_presence_ids(&member->presence, ids, max);
	ivshmem_waiting_unlock(&member->waiting, cancel);
	return count;
}

static int member_list(struct ivshmem *handle, struct ivshmem_peer *peers, size_t max)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);
	int count;

	look_who_is_there(member);
	count = ivshmem_presence_list(&member->presence, peers, max);
	ivshmem_waiting_unlock(&member->waiting, cancel);
	return count;
}

static void member_wake_all(struct ivshmem *handle)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);

	ivshmem_waiting_wake_all(&member->waiting);
	ivshmem_waiting_unlock(&member->waiting, cancel);
}

static bool member_has_peer(struct ivshmem *handle, uint32_t id)
{
	struct member *member = to_member(handle);
	int cancel = ivshmem_waiting_lock(&member->waiting);
	bool found = false;
	uint32_t slot;

	look_who_is_there(member);
	for (slot = 0; slot < member->slots.count; slot++)
		found |= answers_to(&member->presence.known[slot], id);
	ivshmem_waiting_unlock(&member->waiting, cancel);
	return found;
}

static const int *member_doorbells(struct ivshmem *handle, uint32_t *count)
{
	*count = handle->vectors;
	return to_member(handle)->fds;
}

/* The thread hears the news. */
static void member_drain(struct ivshmem *handle)
{
	(void)handle;
}

static void member_look(struct ivshmem *handle)
{
	look_for_doorbells(to_member(handle));
}

static void member_begin(struct ivshmem *handle)
{
	begin_to_look(to_member(handle));
}

static const struct waiting_source member_source = {
	.doorbells = member_doorbells,
	.drain = member_drain,
	.look = member_look,
	.begin = member_begin,
};

static void free_member(struct member *member)
{
	uint32_t vector;

	stop(member);
	if (!member->handle->read_only && member->slots.memory)
		ivshmem_slots_leave(&member->slots);
	ivshmem_slots_close(&member->slots, member->handle);
	ivshmem_polled_free(&member->polled);
	for (vector = 0; vector < member->nfds; vector++)
		close(member->fds[vector]);
	pthread_cond_destroy(&member->change);
	ivshmem_waiting_free(&member->waiting);
	free(member);
}

static void member_close(struct ivshmem *handle)
{
	free_member(to_member(handle));
	ivshmem_file_close(handle);
}

static const struct ivshmem_ops member_ops = {
	.close = member_close,
	.properties = member_properties,
	.ring = member_ring,
	.wait = member_wait,
	.ring_wait = member_ring_wait,
	.doorbell = member_doorbell,
	.forget = member_forget,
	.listen = member_listen,
	.peers = member_peers,
	.list = member_list,
	.wake_all = member_wake_all,
	.has_peer = member_has_peer,
};

/* Joining */

static int make_doorbells(struct member *member)
{
	while (member->nfds < member->slots.vectors) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		member->fds[member->nfds++] = fd;
	}
	return 0;
}

/*
 * If all slots have an owner, some of these may have died. That shows after a while, which
 * is worth waiting for: what is opened without a slot polls for good.
 */
static void claim_patiently(struct member *member)
{
	const struct timespec pause = { .tv_nsec = BEAT_NS };
	int beats = PATIENCE_BEATS;

	while (!claim(member)) {
		if (!beats-- || ivshmem_slots_all_live(&member->slots)) {
			ivshmem_log(IVSHMEM_LOG_ERROR, "%s: all %u slots are taken: no doorbells",
				    member->handle->name, member->slots.count);
			return;
		}
		nanosleep(&pause, NULL);
		look_who_is_there(member);
	}
}

static int set_up(struct member *member)
{
	struct ivshmem *handle = member->handle;
	pthread_condattr_t clock;
	int error = ivshmem_waiting_init(&member->waiting, handle, &member_source);

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&member->change, &clock);
	pthread_condattr_destroy(&clock);
	if (!error)
		error = ivshmem_slots_open(&member->slots, handle);
	if (!error)
		error = ivshmem_polled_init(&member->polled, &member->slots);
	if (!error)
		error = ivshmem_presence_init(handle);
	if (!error && !handle->read_only)
		error = make_doorbells(member);
	return error;
}

int ivshmem_member_join(struct file *file)
{
	struct member *member = calloc(1, sizeof(*member));
	int error;

	if (!member)
		return -ENOMEM;
	member->handle = &file->base;
	member->id = IVSHMEM_ID_UNKNOWN;
	error = set_up(member);
	if (!error) {
		look_who_is_there(member);
		if (!file->base.read_only)
			claim_patiently(member);
		look_who_is_there(member);
		error = start(member);
	}
	if (error) {
		free_member(member);
		return error == -ENODATA ? 0 : error;
	}
	file->member = member;
	file->base.ops = &member_ops;
	file->base.hears = true;
	return 0;
}
