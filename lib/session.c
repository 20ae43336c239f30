// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How the two ends of a channel meet, wait for each other and part.
 *
 * Each end names itself by a random number, its hello, of which the upper 48
 * bits are the same for the life of the end and the lower 16 count its
 * sessions. It draws a new one, and so says that it is done with whatever was
 * before. To accept the other's hello it writes it to its echo; a consumer
 * empties the ring before. A session begins, in each direction of its own, when
 * both have accepted each other: old contents of the region cannot know a fresh
 * number. It is over when the other's hello has changed, when that end has
 * closed, or when its machine is known to be gone.
 *
 * Sleeping. The sleeper reads the other's bell, says that it is asleep, looks
 * once more, and sleeps while the bell is what it was. The other makes its
 * change, looks whether somebody is asleep (once for each sleep), and then
 * changes the bell and rings. What concerns meeting and parting is announced
 * to an end that is awake as well.
 */
#include <errno.h>
#include <linux/ivshmem.h>
#include <sys/random.h>
#include <unistd.h>

#include "park.h"
#include "session.h"

#define SESSION_BITS	16
#define LOOKS		32	/* at the word between two pauses */
#define PAUSES		8	/* between two looks at the clock */
#define TURNS		64	/* of looking and finding nothing, then the same */
#define MOST_VAIN	4	/* halvings of the time to look */

static uint64_t life(uint64_t hello)
{
	return hello >> SESSION_BITS;
}

/* Waking the other end */

static void ring(struct ivshmem_channel *channel, struct ring_half *other)
{
	uint32_t id = atomic_load(&other->id);
	uint32_t vector = atomic_load(&other->vector);

	if (id > IVSHMEM_MAX_PEER || vector >= IVSHMEM_MAX_VECTORS)
		return;
	channel->rings++;
	/* It may be gone, or not be known yet: see park.c. */
	ivshmem_ring(channel->handle, id, vector);
}

/* Two threads may do that: no number comes twice, in whatever order. */
static void change_bell(struct lane *lane)
{
	atomic_store(&lane->mine->bell, ++lane->bells);
}

static void announce(struct ivshmem_channel *channel)
{
	change_bell(&channel->lanes[OUT]);
	change_bell(&channel->lanes[IN]);
	ring(channel, channel->lanes[OUT].other);
}

/* A thread of this program may sleep in the other direction, and must hear as well. */
static void wake_own(struct ivshmem_channel *channel)
{
	channel->handle->ops->kick(channel->handle);
}

/* The number of a new sleep: not 0, and not the one before. */
static uint32_t next_sleep(struct lane *lane)
{
	if (!++lane->sleeps)
		lane->sleeps++;
	return lane->sleeps;
}

/*
 * Say that we are asleep though we are not: then the other end, if it is at
 * work, rings at once, and so comes to look who is here.
 */
static void call_attention(struct lane *lane)
{
	atomic_store(&lane->mine->want, 0);
	atomic_store(&lane->mine->asleep, next_sleep(lane));
}

/* Why the session is over, or 0. */
static int lane_over(const struct lane *lane, bool slept)
{
	uint64_t hello, closed;

	if (atomic_load(&lane->mine->hello) != lane->hello)
		return -ESTALE;
	hello = atomic_load(&lane->other->hello);
	closed = atomic_load(&lane->other->closed);
	if (closed == lane->peer)
		return -EPIPE;
	if (hello != lane->peer)
		return -ECONNRESET;
	if (slept && ivshmem_departures(lane->channel->handle,
					atomic_load(&lane->other->id)) !=
		     lane->departures)
		return -EPIPE;
	return 0;
}

void ivshmem_lane_wake(struct lane *lane)
{
	uint32_t asleep = atomic_load(&lane->other->asleep);
	int open = LANE_OPEN;

	if (!lane->producer && asleep &&
	    ring_position(&lane->in) < atomic_load(&lane->other->want))
		return;
	lane->known = asleep;
	if (!asleep)
		return;
	change_bell(lane);
	ring(lane->channel, lane->other);
	/* See call_attention(). */
	if (lane_over(lane, false))
		atomic_compare_exchange_strong(&lane->state, &open, LANE_SUSPECT);
}

/* Parting; all with the lock held. */

/* Nothing works any more. The other end is told, if this one is still ours. */
static int channel_fail(struct ivshmem_channel *channel, int error)
{
	int n;

	if (channel->error)
		return channel->error;
	channel->error = error;
	for (n = 0; n < 2; n++) {
		struct lane *lane = &channel->lanes[n];

		atomic_store(&lane->state, LANE_FAILED);
		if (error != -ESTALE)
			atomic_store(&lane->mine->closed, lane->hello);
	}
	return error;
}

static void begin_anew(struct lane *lane)
{
	uint64_t count = (lane->hello + 1) & ((1 << SESSION_BITS) - 1);

	lane->hello = life(lane->hello) << SESSION_BITS | count;
	lane->echo = 0;
	lane->reserved = LANE_NOTHING;
	if (lane->producer)
		lane->out.held = NULL;
	else
		lane->in.record = 0;
	/* No old word goes with the new hello. */
	atomic_store(&lane->mine->echo, 0);
	atomic_store(&lane->mine->hello, lane->hello);
	call_attention(lane);
	atomic_store(&lane->state, LANE_MEETING);
}

/* The session is over for this reason, which is told to this caller only. */
static void lane_part(struct lane *lane, int reason)
{
	struct lane *twin = &lane->channel->lanes[lane->producer ? IN : OUT];

	if (reason == -ESTALE) {
		channel_fail(lane->channel, reason);
		return;
	}
	if ((twin->state == LANE_OPEN || twin->state == LANE_SUSPECT) &&
	    life(twin->peer) == life(lane->peer))
		atomic_store(&twin->state, LANE_LOST);
	begin_anew(lane);
}

static int lane_end(struct lane *lane, int reason)
{
	struct ivshmem_channel *channel = lane->channel;

	pthread_mutex_lock(&channel->lock);
	if (channel->error)
		reason = channel->error;
	else
		lane_part(lane, reason);
	pthread_mutex_unlock(&channel->lock);
	if (reason == -ESTALE)
		wake_own(channel);
	else
		announce(channel);
	return reason;
}

int ivshmem_lane_fail(struct lane *lane)
{
	struct ivshmem_channel *channel = lane->channel;
	int error;

	pthread_mutex_lock(&channel->lock);
	error = channel_fail(channel, -EPROTO);
	pthread_mutex_unlock(&channel->lock);
	announce(channel);
	wake_own(channel);
	return error;
}

/* Meeting; with the lock held. */

static bool same_geometry(const struct ivshmem_channel *channel)
{
	const struct channel_area *area = channel->area;

	return atomic_load(&area->magic) == CHANNEL_MAGIC &&
	       atomic_load(&area->version) == CHANNEL_VERSION &&
	       atomic_load(&area->size) == channel->size &&
	       atomic_load(&area->capacity[0]) == channel->capacity[0] &&
	       atomic_load(&area->capacity[1]) == channel->capacity[1];
}

static void lane_accept(struct lane *lane, uint64_t hello)
{
	if (lane->producer) {
		ring_producer_start(&lane->out, lane->data, lane->capacity);
	} else {
		ring_consumer_start(&lane->in, lane->data, lane->capacity);
		atomic_store(&lane->mine->position, 0);
	}
	lane->echo = hello;
	atomic_store(&lane->mine->echo, hello);
}

/* One look at the other end: whether it has something new to see. */
static bool lane_meet(struct lane *lane)
{
	uint64_t echo, hello;
	bool accepted = false;

	if (lane->state != LANE_MEETING)
		return false;
	/* Of one session: who begins another changes the bell, and we look again. */
	hello = atomic_load(&lane->other->hello);
	echo = atomic_load(&lane->other->echo);
	if (hello != atomic_load(&lane->other->hello))
		return false;
	if (atomic_load(&lane->mine->hello) != lane->hello ||
	    !same_geometry(lane->channel)) {
		channel_fail(lane->channel, -ESTALE);
		return false;
	}
	if (!hello)
		return false;
	if (hello != lane->echo) {
		lane_accept(lane, hello);
		accepted = true;
	}
	if (echo != lane->hello)
		return accepted;
	lane->peer = hello;
	lane->known = 0;
	lane->departures = ivshmem_departures(lane->channel->handle,
					      atomic_load(&lane->other->id));
	atomic_store(&lane->state, LANE_OPEN);
	return accepted;
}

/* Either thread sees to both directions, or two that send first would wait. */
static void channel_meet(struct ivshmem_channel *channel)
{
	bool news, failed;

	pthread_mutex_lock(&channel->lock);
	news = lane_meet(&channel->lanes[OUT]);
	news |= lane_meet(&channel->lanes[IN]);
	failed = channel->error;
	pthread_mutex_unlock(&channel->lock);
	if (news)
		announce(channel);
	if (failed)
		wake_own(channel);
}

/* Waiting */

static struct ivshmem_park park_at(const struct lane *lane, int64_t deadline,
				   int64_t nap)
{
	struct ivshmem_channel *channel = lane->channel;
	char *bell = (char *)&lane->other->bell;

	return (struct ivshmem_park){
		.handle = channel->handle,
		.offset = channel->offset + (bell - (char *)channel->area),
		.vector = channel->vector,
		.rung = ivshmem_has_bell(channel->handle, channel->vector) &&
			atomic_load(&lane->other->id) != CHANNEL_NO_ID,
		.deadline = deadline,
		.nap = nap,
	};
}

/* What was told by the descriptor is known now. */
static void clear_fd(struct ivshmem_channel *channel)
{
	uint64_t count;
	int fd = channel->fd;

	if (fd >= 0)
		(void)!read(fd, &count, sizeof(count));
}

/* The loss has been told in the other direction. */
static void lane_forget(struct lane *lane)
{
	pthread_mutex_lock(&lane->channel->lock);
	if (lane->state == LANE_LOST)
		begin_anew(lane);
	pthread_mutex_unlock(&lane->channel->lock);
	announce(lane->channel);
}

/* Make the lane open, or tell why not. */
static int lane_open(struct lane *lane, int64_t deadline)
{
	struct ivshmem_channel *channel = lane->channel;
	struct ivshmem_park park = { 0 };
	int state, error = 0;
	uint32_t seen;

	while (!error) {
		seen = atomic_load(&lane->other->bell);
		if (lane->state == LANE_LOST)
			lane_forget(lane);
		if (lane->state == LANE_MEETING) {
			if (!deadline)
				clear_fd(channel);
			channel_meet(channel);
		}
		state = lane->state;
		if (state == LANE_FAILED)
			return channel->error;
		if (state == LANE_OPEN || state == LANE_SUSPECT)
			return 0;
		park = park_at(lane, deadline, park.nap);
		error = deadline ? ivshmem_park(&park, seen) : -EAGAIN;
	}
	return error;
}

/* Look as the caller wants it done: 1 if there is what it waits for, or 0. */
static int lane_look(struct lane *lane)
{
	enum ring_look look;

	if (lane->producer) {
		if (!ring_freed(&lane->out, atomic_load(&lane->other->position)))
			return -EPROTO;
		if (ring_pad(&lane->out, lane->need))
			lane_wake(lane);
		return ring_reserve(&lane->out, lane->need) != NULL;
	}
	if (lane->in.record)
		return 1;
	look = ring_look(&lane->in);
	if (look == RING_NOTHING)
		lane_free(lane, memory_order_seq_cst);
	return look == RING_NONSENSE ? -EPROTO : look == RING_MESSAGE;
}

/* Whether looking could show something new. */
static bool lane_stirs(const struct lane *lane)
{
	if (lane->producer)
		return atomic_load(&lane->other->position) >=
		       ring_wanted(&lane->out, lane->need);
	return atomic_load(ring_header(lane->in.data, lane->in.offset)) !=
	       RING_EMPTY;
}

/* The longest that looking may take: a nanosecond more for each byte to copy. */
static int64_t spin_limit(const struct lane *lane)
{
	uint64_t bytes = lane->producer ? lane->need : lane->in.size;

	if (!lane->channel->spin_ns)
		return 0;
	return lane->channel->spin_ns +
	       (int64_t)(bytes < IVSHMEM_MAX_SPIN ? bytes : IVSHMEM_MAX_SPIN);
}

/* Look for a while, a shorter one where that was vain of late. */
static bool lane_spin(struct lane *lane, int64_t deadline)
{
	int64_t limit = spin_limit(lane) >> lane->vain;
	int64_t time, end;
	int n, pauses;

	if (!limit)
		return false;
	end = ivshmem_now() + limit;
	do {
		for (pauses = 0; pauses < PAUSES; pauses++) {
			for (n = 0; n < LOOKS; n++)
				if (lane_stirs(lane))
					return true;
			ivshmem_relax();
		}
		time = ivshmem_now();
	} while (time < end && !ivshmem_is_over(deadline, time));
	return false;
}

/* Looking for longer would have saved a sleep this short. */
static void lane_learn(struct lane *lane, int64_t slept_ns)
{
	if (slept_ns < spin_limit(lane))
		lane->vain = 0;
	else if (lane->vain < MOST_VAIN)
		lane->vain++;
}

static int lane_sleep(struct lane *lane, int64_t deadline, int64_t *nap)
{
	struct ivshmem_park park = park_at(lane, deadline, *nap);
	int64_t start = ivshmem_now();
	uint32_t seen = atomic_load(&lane->other->bell);
	int error = 0;

	if (lane->producer)
		atomic_store(&lane->mine->want,
			     ring_wanted(&lane->out, lane->need));
	atomic_store(&lane->mine->asleep, next_sleep(lane));
	if (!lane_stirs(lane) && !lane_over(lane, false)) {
		lane->channel->slept++;
		error = ivshmem_park(&park, seen);
		lane_learn(lane, ivshmem_now() - start);
	}
	atomic_store_explicit(&lane->mine->asleep, 0, memory_order_relaxed);
	*nap = park.nap;
	return error;
}

/* There is nothing now. See to it that the descriptor tells when there is. */
static void lane_arm(struct lane *lane)
{
	clear_fd(lane->channel);
	if (lane->producer)
		atomic_store(&lane->mine->want,
			     ring_wanted(&lane->out, lane->need));
	atomic_store(&lane->mine->asleep, next_sleep(lane));
}

/*
 * One look at an open lane: 1 if there is what the caller waits for, 0 if not,
 * or the end of this session or of all.
 */
static int lane_check(struct lane *lane, bool slept)
{
	int reason = lane_over(lane, slept);
	int suspect = LANE_SUSPECT;
	int ready;

	if (reason == -ESTALE)
		return lane_end(lane, reason);
	/* What was there before the end stays to be received. */
	ready = lane_look(lane);
	if (ready < 0)
		return ivshmem_lane_fail(lane);
	if (reason && (lane->producer || !ready))
		return lane_end(lane, reason);
	if (!reason)
		atomic_compare_exchange_strong(&lane->state, &suspect,
					       LANE_OPEN);
	return ready;
}

/* One look for a caller that does not wait. */
static int lane_try(struct lane *lane)
{
	int result = lane_open(lane, 0);

	if (!result)
		result = lane_check(lane, lane->channel->fd >= 0);
	if (!result && lane->channel->fd >= 0) {
		lane_arm(lane);
		result = lane_check(lane, false);
	}
	return result ? result : -EAGAIN;
}

/* Looks that find nothing, though something stirs, shall not go on for ever. */
static int lane_wait(struct lane *lane, int64_t deadline)
{
	bool slept = false;
	int64_t nap = 0;
	int result = 0;
	unsigned int turn;

	for (turn = 1; !result; turn++) {
		result = lane_open(lane, deadline);
		if (!result)
			result = lane_check(lane, slept);
		if (result || lane->state != LANE_OPEN)
			continue;
		if (lane_spin(lane, deadline)) {
			if (!(turn % TURNS) &&
			    ivshmem_is_over(deadline, ivshmem_now()))
				result = -ETIMEDOUT;
			continue;
		}
		result = lane_sleep(lane, deadline, &nap);
		slept = true;
	}
	return result;
}

int ivshmem_lane_await(struct lane *lane, int64_t deadline)
{
	int result;

	/* Who waits holds nothing back. */
	if (lane->producer && lane_has_ring(lane) && lane->out.held) {
		ring_show(&lane->out);
		lane_wake(lane);
	}
	result = deadline ? lane_wait(lane, deadline) : lane_try(lane);
	return result < 0 ? result : 0;
}

/* First and last words */

/* Any number but 0 that nobody has drawn before. */
static int draw_life(uint64_t *hello)
{
	do {
		if (getrandom(hello, sizeof(*hello), 0) != sizeof(*hello))
			return -errno;
		*hello &= ~UINT64_C(0) << SESSION_BITS;
	} while (!*hello);
	return 0;
}

static void lane_begin(struct lane *lane, uint64_t hello, uint32_t id)
{
	struct ring_half *mine = lane->mine;

	lane->hello = hello;
	lane->reserved = LANE_NOTHING;
	lane->sleeps = (uint32_t)(hello >> 32);
	lane->bells = atomic_load(&mine->bell);
	/* No old word goes with the new hello. */
	atomic_store(&mine->hello, 0);
	atomic_store(&mine->echo, 0);
	atomic_store(&mine->id, id);
	atomic_store(&mine->vector, lane->channel->vector);
	atomic_store(&mine->hello, hello);
	call_attention(lane);
}

int ivshmem_session_begin(struct ivshmem_channel *channel)
{
	struct ivshmem_properties properties;
	uint64_t hello;
	int error;

	error = ivshmem_properties(channel->handle, &properties);
	if (!error)
		error = draw_life(&hello);
	if (error)
		return error;
	lane_begin(&channel->lanes[OUT], hello, properties.id);
	lane_begin(&channel->lanes[IN], hello, properties.id);
	channel_meet(channel);
	announce(channel);
	return 0;
}

void ivshmem_session_end(struct ivshmem_channel *channel)
{
	int n;

	if (channel->error == -ESTALE)
		return;
	for (n = 0; n < 2; n++) {
		struct lane *lane = &channel->lanes[n];

		/* If another has taken our place, the words are its own. */
		if (atomic_load(&lane->mine->hello) != lane->hello)
			return;
		atomic_store(&lane->mine->closed, lane->hello);
		call_attention(lane);
	}
	announce(channel);
}
