// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The two ends of a channel: handshake, waiting for each other, close.
 *
 * Each end names itself by a random number, its hello, of which the upper 48
 * bits are the same for the life of the end and the lower 16 count its
 * sessions. It draws a new one, and so says that it is done with whatever was
 * before. To accept the other's hello it writes it to its echo; a consumer
 * empties the buffer before. A session begins, in each direction of its own, when
 * both have accepted each other: old contents of the region cannot know a fresh
 * number. It is over when the other's hello has changed, when that end has
 * closed, or when its machine is known to be gone.
 *
 * Sleeping. The sleeper reads the other's doorbell, says that it is asleep, looks
 * once more, and sleeps while the doorbell is what it was. The other makes its
 * change, looks whether somebody is asleep (once for each sleep), and then
 * changes the doorbell and rings. What concerns the handshake and the close is announced
 * to an end that is awake as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "park.h"
#include "process.h"
#include "session.h"
#include "set.h"

#define TURNS		64	/* of looking and finding nothing, then the same */
#define FIRST_DELAY_NS	50000	/* before the descriptor tells the same again */
#define LONGEST_DELAY_NS NSEC_PER_SEC
#define RECHECK_NS	20000000

#define REPLACED	"another program has taken over this end"

static uint64_t life(uint64_t hello)
{
	return hello >> SESSION_BITS;
}

/* Waking the other end */

static void ring(struct ivshmem_channel *channel, struct buffer_half *other)
{
	uint32_t id = atomic_load(&other->id);
	uint32_t vector = atomic_load(&other->vector);

	if (id > IVSHMEM_MAX_PEER || vector >= IVSHMEM_MAX_VECTORS)
		return;
	channel->rings++;
	ivshmem_set_ready(channel->handle, atomic_load(&other->ready));
	/* It may be gone, or not be known yet: see park.c. */
	ivshmem_ring(channel->handle, id, vector);
}

/* Both threads, and an end that was replaced: none takes back what another has changed. */
static void change_doorbell(struct direction *direction)
{
	atomic_fetch_add(&direction->mine->doorbell, 1);
}

void ivshmem_session_announce(struct ivshmem_channel *channel)
{
	change_doorbell(&channel->directions[OUT]);
	change_doorbell(&channel->directions[IN]);
	ring(channel, channel->directions[OUT].other);
}

/* What the program polls, by itself or for the set; NULL: it does not poll. */
static struct ivshmem_listener *listener_of(struct ivshmem_channel *channel)
{
	if (channel->set)
		return &channel->set->listener;
	return ivshmem_listener_is_open(&channel->listener) ? &channel->listener : NULL;
}

/* Make the descriptor readable after this time. */
static void tell(struct ivshmem_channel *channel, int64_t delay_ns)
{
	struct ivshmem_listener *listener = listener_of(channel);

	if (channel->set)
		ivshmem_set_look_at(channel->set, channel->bit);
	if (listener)
		ivshmem_listener_signal(listener, delay_ns);
}

/*
 * A thread of this program may sleep in the other direction, or poll, and must hear as
 * well. Who is only about to sleep finds that the doorbell has changed.
 */
static void wake_own(struct ivshmem_channel *channel)
{
	atomic_fetch_add(&channel->directions[OUT].other->doorbell, 1);
	atomic_fetch_add(&channel->directions[IN].other->doorbell, 1);
	channel->handle->ops->wake_all(channel->handle);
	tell(channel, 0);
}

static struct direction *twin_of(struct direction *direction)
{
	return &direction->channel->directions[direction->producer ? IN : OUT];
}

/* The number of a new sleep: not 0, and not the one before. */
static uint32_t next_sleep(struct direction *direction)
{
	if (!++direction->sleeps)
		direction->sleeps++;
	return direction->sleeps;
}

void ivshmem_direction_call_attention(struct direction *direction)
{
	atomic_store(&direction->mine->want, 0);
	atomic_store(&direction->mine->asleep, next_sleep(direction));
}

static uint32_t absences_of_other(const struct direction *direction, bool ask)
{
	return ivshmem_absences(direction->channel->handle, atomic_load(&direction->other->id),
				ask);
}

static bool other_has_left(const struct direction *direction)
{
	return ivshmem_has_left(direction->channel->handle, atomic_load(&direction->other->id));
}

/* Why the session is over, or 0. */
static int direction_over(const struct direction *direction, bool ask)
{
	uint64_t hello, closed;

	if (!direction_is_ours(direction))
		return -ESTALE;
	hello = atomic_load(&direction->other->hello);
	closed = atomic_load(&direction->other->closed);
	if (closed == direction->peer)
		return -EPIPE;
	if (hello != direction->peer)
		return -ECONNRESET;
	if (absences_of_other(direction, ask) != direction->absences)
		return -EPIPE;
	return 0;
}

/*
 * The same, if nothing else is to be found: the other end may have told its program in the twin
 * of this direction, and wait there for us to begin again. Here it would never change a word.
 */
static int session_over(struct direction *direction, bool ask)
{
	struct direction *twin = twin_of(direction);
	int reason = direction_over(direction, ask);

	if (reason)
		return reason;
	pthread_mutex_lock(&direction->channel->lock);
	if ((twin->state == DIRECTION_OPEN || twin->state == DIRECTION_SUSPECT) &&
	    life(twin->peer) == life(direction->peer))
		reason = direction_over(twin, false);
	pthread_mutex_unlock(&direction->channel->lock);
	/* The half of the consumer does not tell who has the end: see take.c. */
	return direction->producer && reason == -ESTALE ? 0 : reason;
}

void ivshmem_direction_wake(struct direction *direction)
{
	uint32_t asleep = atomic_load(&direction->other->asleep);

	if (!direction->producer && asleep &&
	    buffer_position(&direction->in) < atomic_load(&direction->other->want))
		return;
	direction->known = asleep;
	if (!asleep)
		return;
	change_doorbell(direction);
	ring(direction->channel, direction->other);
	/* See call_attention(). */
	if (direction_over(direction, false))
		ivshmem_direction_doubt(direction);
}

/* Parting; all with the lock held. */

static int channel_error(const struct ivshmem_channel *channel)
{
	return ivshmem_fail(channel->error, "%s", channel->reason);
}

/* Nothing works any more. The other end is told, if this one is still ours. */
static int channel_fail(struct ivshmem_channel *channel, int error, const char *reason)
{
	int level = error == -ESHUTDOWN ? IVSHMEM_LOG_INFO : IVSHMEM_LOG_ERROR;
	int n;

	if (channel->error)
		return channel->error;
	ivshmem_log(level, "%s: channel at %#" PRIx64 ": %s", channel->handle->name,
		    channel->offset, reason);
	channel->reason = reason;
	channel->error = error;
	for (n = 0; n < 2; n++) {
		struct direction *direction = &channel->directions[n];

		atomic_store(&direction->state, DIRECTION_FAILED);
		if (direction_is_ours(direction))
			atomic_store(&direction->mine->closed, direction->hello);
	}
	return error;
}

/*
 * Another program can take over this end between any two steps. So none of them replaces a
 * word of its: what that has accepted is never what we had. No old word goes with the new
 * hello.
 */
static bool rename_end(struct direction *direction, uint64_t hello)
{
	struct buffer_half *mine = direction->mine;

	if (!ivshmem_try_replace(&mine->hello, direction->hello, 0))
		return false;
	ivshmem_try_replace(&mine->echo, direction->echo, 0);
	return ivshmem_try_replace(&mine->hello, 0, hello);
}

/* Another peer may have got the own id, and this program another one. */
static void renew_id(struct direction *direction)
{
	struct ivshmem *handle = direction->channel->handle;
	uint32_t former = direction->id;

	if (ivshmem_renew_id(handle, &direction->losses, &direction->id))
		atomic_compare_exchange_strong(&direction->mine->id, &former, direction->id);
}

static uint64_t next_hello(const struct direction *direction)
{
	uint64_t count = (direction->hello + 1) & ((1 << SESSION_BITS) - 1);

	return life(direction->hello) << SESSION_BITS | count;
}

/* The state that a handshake begins with. */
static void begin_handshake(struct direction *direction)
{
	direction->echo = 0;
	direction->reserved = DIRECTION_NOTHING;
	if (direction->producer)
		direction->out.held = NULL;
	else
		direction->in.record = 0;
	atomic_store(&direction->state, DIRECTION_HANDSHAKE);
	if (listener_of(direction->channel))
		ivshmem_listener_hurry(listener_of(direction->channel));
}

/*
 * This half was taken by a program that does not have the end, as that has gone on after we took
 * it (take.c): take it again. False: we do not have the end either.
 */
static bool retake(struct direction *direction)
{
	if (direction->producer || !direction_is_ours(twin_of(direction)))
		return false;
	ivshmem_direction_take(direction, next_hello(direction), direction->id);
	begin_handshake(direction);
	return true;
}

static void restart(struct direction *direction)
{
	uint64_t hello = next_hello(direction);

	renew_id(direction);
	if (!rename_end(direction, hello)) {
		if (!retake(direction))
			channel_fail(direction->channel, -ESTALE, REPLACED);
		return;
	}
	direction->hello = hello;
	ivshmem_direction_call_attention(direction);
	begin_handshake(direction);
}

/* In words why a session is over. */
static const char *explain(const struct direction *direction, int reason)
{
	const struct ivshmem_channel *channel = direction->channel;
	bool closed = atomic_load(&direction->other->closed) == direction->peer;
	const char *text = reason == -ECONNRESET ? "the other end has restarted" :
			   closed ? "the other end has closed" :
			   "the peer of the other end has disconnected";

	ivshmem_log(IVSHMEM_LOG_INFO, "%s: channel at %#" PRIx64 ": %s", channel->handle->name,
		    channel->offset, text);
	return text;
}

/* The session is over for this reason, which is told to this caller only, in words as well. */
static const char *direction_close(struct direction *direction, int reason)
{
	struct direction *twin = twin_of(direction);
	const char *text;

	if (reason == -ESTALE) {
		if (retake(direction))
			return "another program wanted this end, too";
		channel_fail(direction->channel, reason, REPLACED);
		return REPLACED;
	}
	text = explain(direction, reason);
	if ((twin->state == DIRECTION_OPEN || twin->state == DIRECTION_SUSPECT) &&
	    life(twin->peer) == life(direction->peer))
		atomic_store(&twin->state, DIRECTION_LOST);
	restart(direction);
	return text;
}

static int direction_end(struct direction *direction, int reason)
{
	struct ivshmem_channel *channel = direction->channel;
	const char *text = NULL;

	pthread_mutex_lock(&channel->lock);
	if (!channel->error)
		text = direction_close(direction, reason);
	if (channel->error) {
		reason = channel->error;
		text = channel->reason;
	} else if (reason == -ESTALE) {
		reason = -ECONNRESET;
	}
	pthread_mutex_unlock(&channel->lock);
	if (reason == -ESTALE)
		wake_own(channel);
	else
		ivshmem_session_announce(channel);
	/* Only now: to ring who is gone fails for a reason of its own. */
	return ivshmem_fail(reason, "%s", text);
}

/* The other end has broken the rules. */
static int direction_fail(struct direction *direction, const char *reason)
{
	struct ivshmem_channel *channel = direction->channel;

	pthread_mutex_lock(&channel->lock);
	channel_fail(channel, -EPROTO, reason);
	pthread_mutex_unlock(&channel->lock);
	ivshmem_session_announce(channel);
	wake_own(channel);
	return channel_error(channel);
}

void ivshmem_session_shutdown(struct ivshmem_channel *channel)
{
	if (!ivshmem_process_owns(channel->handle))
		return;
	pthread_mutex_lock(&channel->lock);
	channel_fail(channel, -ESHUTDOWN, "this end has been shut down");
	pthread_mutex_unlock(&channel->lock);
	ivshmem_session_announce(channel);
	wake_own(channel);
}

int ivshmem_direction_error(struct direction *direction)
{
	struct ivshmem_channel *channel = direction->channel;
	bool ours;

	if (direction->state == DIRECTION_FAILED)
		return channel_error(channel);
	/* Another thread may be changing the hello. */
	pthread_mutex_lock(&channel->lock);
	ours = direction_is_ours(direction);
	pthread_mutex_unlock(&channel->lock);
	if (!ours)
		return direction_end(direction, -ESTALE);
	return ivshmem_fail(-EINVAL, "no message, for there is no session with the other end");
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

static void direction_accept(struct direction *direction, uint64_t hello)
{
	if (direction->producer) {
		buffer_producer_start(&direction->out, direction->data, direction->capacity);
	} else {
		buffer_consumer_start(&direction->in, direction->data, direction->capacity);
		atomic_store(&direction->mine->position, 0);
	}
	direction->echo = hello;
	direction->absences = absences_of_other(direction, true);
	atomic_store(&direction->mine->echo, hello);
}

static bool direction_is_rung(const struct direction *direction)
{
	const struct ivshmem_channel *channel = direction->channel;

	return ivshmem_has_doorbell(channel->handle, channel->vector) &&
	       direction->id != CHANNEL_NO_ID &&
	       atomic_load(&direction->other->id) != CHANNEL_NO_ID;
}

/* The other end may have no doorbells though we have. Then the timer has to tell of it. */
static void note_unrung(struct direction *direction)
{
	struct ivshmem_channel *channel = direction->channel;
	struct ivshmem_listener *listener = listener_of(channel);
	bool unrung = !direction_is_rung(direction);

	if (listener && unrung != channel->unrung)
		ivshmem_listener_add_unrung(listener, unrung ? 1 : -1);
	channel->unrung = unrung;
}

static void say_open(const struct direction *direction)
{
	const struct ivshmem_channel *channel = direction->channel;

	ivshmem_log(IVSHMEM_LOG_INFO, "%s: channel at %#" PRIx64 ": open to %s peer %d%s",
		    channel->handle->name, channel->offset,
		    direction->producer ? "send to" : "receive from",
		    (int)atomic_load(&direction->other->id),
		    direction_is_rung(direction) ? "" : "; polling, for lack of doorbells");
}

/*
 * A peer that had left when we accepted it: it may have accepted us and died before. Or this is
 * another one with its id, or it was only silent. A new hello tells: who is alive accepts that.
 * Once for each absence, or two ends would do so for ever. Who has left since we accepted it may
 * have said something before, and the session is over at once.
 */
static bool must_prove_alive(struct direction *direction)
{
	uint32_t id = atomic_load(&direction->other->id);
	uint32_t absences = ivshmem_absences(direction->channel->handle, id, false);
	uint64_t absence = ((uint64_t)id + 1) << 32 | absences;

	if (direction->absences != absences || direction->proven == absence)
		return false;
	direction->proven = absence;
	return true;
}

/* One look at the other end: whether it has something new to see. */
static bool direction_handshake(struct direction *direction)
{
	uint64_t echo, hello;
	bool accepted = false;
	bool left;

	if (direction->state != DIRECTION_HANDSHAKE)
		return false;
	/* Of one session: who begins another changes the doorbell, and we look again. */
	hello = atomic_load(&direction->other->hello);
	echo = atomic_load(&direction->other->echo);
	if (hello != atomic_load(&direction->other->hello))
		return false;
	if (!direction_is_ours(&direction->channel->directions[OUT])) {
		channel_fail(direction->channel, -ESTALE, REPLACED);
		return false;
	}
	if (!direction_is_ours(direction))
		return retake(direction);
	ivshmem_direction_say_who(direction);
	if (!same_geometry(direction->channel)) {
		channel_fail(direction->channel, -ESTALE,
			     "the channel was created again with another geometry");
		return false;
	}
	if (!hello)
		return false;
	if (hello != direction->echo) {
		direction_accept(direction, hello);
		accepted = true;
	}
	if (echo != direction->hello)
		return accepted;
	left = other_has_left(direction);
	if (left && must_prove_alive(direction)) {
		restart(direction);
		return true;
	}
	direction->peer = hello;
	direction->known = 0;
	renew_id(direction);
	note_unrung(direction);
	say_open(direction);
	atomic_store(&direction->state,
		     direction->armed || left ? DIRECTION_SUSPECT : DIRECTION_OPEN);
	return accepted;
}

/* Two that send first would wait for each other if each saw to its direction only. */
void ivshmem_session_meet(struct ivshmem_channel *channel)
{
	bool news, failed;

	pthread_mutex_lock(&channel->lock);
	news = direction_handshake(&channel->directions[OUT]);
	news |= direction_handshake(&channel->directions[IN]);
	failed = channel->error;
	pthread_mutex_unlock(&channel->lock);
	if (news)
		ivshmem_session_announce(channel);
	if (failed)
		wake_own(channel);
}

/* Waiting */

static struct ivshmem_park park_at(const struct direction *direction, int64_t deadline,
				   int64_t interval)
{
	struct ivshmem_channel *channel = direction->channel;
	char *doorbell = (char *)&direction->other->doorbell;

	return (struct ivshmem_park){
		.handle = channel->handle,
		.offset = channel->offset + (doorbell - (char *)channel->area),
		.vector = channel->vector,
		.rung = direction_is_rung(direction),
		.deadline = deadline,
		.interval = interval,
	};
}

/*
 * There is nothing now. See to it that the descriptor tells when there is: the caller
 * looks again after this.
 *
 * What the descriptor has told may have been about the other direction. Then it goes on
 * telling until somebody asks there: maybe another thread, which polls as well but was not
 * as fast as this one. Not at once each time, though: maybe nobody wants to know.
 */
static void direction_listen(struct direction *direction)
{
	struct ivshmem_channel *channel = direction->channel;
	struct direction *twin = twin_of(direction);

	direction->seen = atomic_load(&direction->other->doorbell);
	direction->delay = 0;
	direction->armed = true;
	/* A set is cleared when none of its channels is left. */
	if (!channel->set)
		ivshmem_listener_clear(&channel->listener);
	if (!twin->armed || atomic_load(&twin->other->doorbell) == twin->seen)
		return;
	tell(channel, twin->delay);
	if (twin->delay < LONGEST_DELAY_NS)
		twin->delay = twin->delay ? 2 * twin->delay : FIRST_DELAY_NS;
}

/*
 * The loss has been told in the other direction. Messages from before are received all the
 * same; then it is told here as well, or nobody would know where the successor's begin.
 */
static void direction_forget(struct direction *direction)
{
	bool rest = !direction->producer &&
		    (direction->in.record || buffer_look(&direction->in) == BUFFER_MESSAGE);

	pthread_mutex_lock(&direction->channel->lock);
	if (direction->state == DIRECTION_LOST) {
		if (rest)
			atomic_store(&direction->state, DIRECTION_OPEN);
		else
			restart(direction);
	}
	pthread_mutex_unlock(&direction->channel->lock);
	ivshmem_session_announce(direction->channel);
}

/* Make the direction open, or tell why not. */
static int direction_open(struct direction *direction, int64_t deadline)
{
	struct ivshmem_channel *channel = direction->channel;
	struct ivshmem_park park = { 0 };
	int state, error = 0;
	uint32_t seen;

	while (!error) {
		seen = atomic_load(&direction->other->doorbell);
		if (direction->state == DIRECTION_LOST)
			direction_forget(direction);
		if (direction->state == DIRECTION_HANDSHAKE) {
			if (!deadline && listener_of(channel))
				direction_listen(direction);
			ivshmem_session_meet(channel);
		}
		state = direction->state;
		if (state == DIRECTION_FAILED)
			return channel_error(channel);
		if (state == DIRECTION_OPEN || state == DIRECTION_SUSPECT)
			return 0;
		park = park_at(direction, deadline, park.interval);
		error = deadline ? ivshmem_park(&park, seen) : -EAGAIN;
	}
	return error;
}

static void direction_say_asleep(struct direction *direction, uint32_t sleep)
{
	if (direction->producer)
		atomic_store(&direction->mine->want,
			     buffer_wanted(&direction->out, direction->need));
	atomic_store(&direction->mine->asleep, sleep);
}

static int direction_sleep(struct direction *direction, int64_t deadline, int64_t *interval)
{
	struct ivshmem_park park = park_at(direction, deadline, *interval);
	int64_t start = ivshmem_now();
	uint32_t seen = atomic_load(&direction->other->doorbell);
	uint32_t sleep = next_sleep(direction);
	int error = 0;

	direction_say_asleep(direction, sleep);
	/* Who ends it later changes the doorbell that was seen. */
	if (!ivshmem_direction_stirs(direction) && direction->state != DIRECTION_FAILED &&
	    !session_over(direction, false)) {
		direction->channel->slept++;
		error = ivshmem_park(&park, seen);
		ivshmem_direction_learn(direction, ivshmem_now() - start);
	}
	/* Unless another end has taken our place, and sleeps. */
	atomic_compare_exchange_strong(&direction->mine->asleep, &sleep, 0);
	*interval = park.interval;
	return error;
}

/*
 * What the other end has written is read first, and then it is judged whose it was: an
 * end names itself by a new hello before it writes anything else.
 */
static int producer_check(struct direction *direction, bool ask)
{
	uint64_t position = atomic_load(&direction->other->position);
	int reason = direction_over(direction, ask);

	if (reason)
		return direction_end(direction, reason);
	if (!buffer_freed(&direction->out, position))
		return direction_fail(direction, "the other end has written a wrong position");
	if (buffer_pad(&direction->out, direction->need))
		direction_wake(direction);
	if (buffer_reserve(&direction->out, direction->need))
		return 1;
	reason = session_over(direction, false);
	return reason ? direction_end(direction, reason) : 0;
}

/* The same; and messages from before the end of the session can still be received. */
static int consumer_check(struct direction *direction, bool ask)
{
	enum buffer_look look = BUFFER_MESSAGE;
	int reason;

	if (!direction->in.record)
		look = buffer_look(&direction->in);
	reason = look == BUFFER_NOTHING ? session_over(direction, ask) :
					  direction_over(direction, ask);
	/* They may have been said just before the end was. */
	if (reason && look == BUFFER_NOTHING)
		look = buffer_look(&direction->in);
	if (reason == -ESTALE || (reason && look != BUFFER_MESSAGE))
		return direction_end(direction, reason);
	if (look == BUFFER_NONSENSE)
		return direction_fail(direction, "the other end has written a wrong header");
	if (look == BUFFER_NOTHING)
		direction_free(direction, memory_order_seq_cst);
	else if (reason)
		ivshmem_direction_doubt(direction);
	return look == BUFFER_MESSAGE;
}

/*
 * One look at an open direction: 1 if there is what the caller waits for, 0 if not,
 * or the end of this session or of all. Doubts are dropped before the look: who has new
 * ones afterwards is not forgotten.
 */
static int direction_check(struct direction *direction, bool ask)
{
	int suspect = DIRECTION_SUSPECT;

	atomic_compare_exchange_strong(&direction->state, &suspect, DIRECTION_OPEN);
	ask |= direction->asks;
	direction->asks = false;
	return direction->producer ? producer_check(direction, ask) :
				     consumer_check(direction, ask);
}

/* Nothing will come any more, though neither end has said so. */
static int direction_check_handle(struct direction *direction)
{
	struct ivshmem *handle = direction->channel->handle;
	int error = handle->ops->listen(handle);

	return error ? ivshmem_fail(-ENODEV, "%s", ivshmem_error(error)) : 0;
}

/*
 * Whether a caller that found nothing should ask who is still there, which takes a system
 * call. Its descriptor tells. Without one it calls again and again.
 */
static bool direction_doubts(struct direction *direction)
{
	struct ivshmem_channel *channel = direction->channel;

	if (channel->set)
		return atomic_exchange(&channel->news, false);
	if (listener_of(channel))
		return ivshmem_listener_has_news(&channel->listener);
	if (direction->trust && --direction->trust)
		return false;
	return ivshmem_direction_is_due(direction);
}

/* One look for a caller that does not wait. */
static int direction_try(struct direction *direction)
{
	int result = direction_open(direction, 0);

	if (!result)
		result = direction_check(direction, false);
	if (!result && listener_of(direction->channel)) {
		direction_say_asleep(direction, next_sleep(direction));
		direction_listen(direction);
		/* The consumer's position and its look at our sleep can pass each other. */
		if (direction->producer)
			tell(direction->channel, RECHECK_NS);
		result = direction_check(direction, false);
		/* That may have loaded the header before others saw us asleep: ring_buffer.h. */
		if (!result && ivshmem_direction_stirs(direction))
			result = direction_check(direction, false);
	}
	if ((!result || result == -EAGAIN) && direction_doubts(direction)) {
		result = direction_is_open(direction) ? direction_check(direction, true) : 0;
		if (!result)
			result = direction_check_handle(direction);
	}
	return result ? result : -EAGAIN;
}

/* Looks that find nothing, though something stirs, shall not go on for ever. */
static int direction_wait(struct direction *direction, int64_t deadline)
{
	bool slept = false;
	int64_t interval = 0;
	int result = 0;
	unsigned int turn;

	for (turn = 1; !result; turn++) {
		result = direction_open(direction, deadline);
		if (!result)
			result = direction_check(direction, slept);
		if (result || direction->state != DIRECTION_OPEN)
			continue;
		if (ivshmem_direction_spin(direction, deadline)) {
			if (!(turn % TURNS) &&
			    ivshmem_is_over(deadline, ivshmem_now()))
				result = -ETIMEDOUT;
			continue;
		}
		result = direction_sleep(direction, deadline, &interval);
		slept = true;
	}
	return result;
}

int ivshmem_direction_await(struct direction *direction, int64_t deadline)
{
	int result;

	/* Who waits holds nothing back. */
	if (direction->producer && direction_has_buffer(direction) && direction->out.held) {
		buffer_show(&direction->out);
		direction_wake(direction);
	}
	result = deadline ? direction_wait(direction, deadline) : direction_try(direction);
	/* While it is armed, no call goes without coming here. */
	if (result != -EAGAIN)
		direction->armed = false;
	else if (direction->armed)
		ivshmem_direction_doubt(direction);
	return result < 0 ? ivshmem_late(result) : 0;
}
