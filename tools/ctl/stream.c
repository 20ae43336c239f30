// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stream of bytes through part of the region: see stream.h for the layout
 * and the rules.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/ivshmem.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include "stream.h"

/* Vector 0 is there whenever there are doorbells. */
#define VECTOR		0
/* Look at the other side this long before sleeping. */
#define SPIN_NS		INT64_C(30000)
/* Longest sleeps: with doorbells (one may be lost with its peer), without. */
#define BELL_NAP_NS	INT64_C(200000000)
#define BLIND_NAP_NS	INT64_C(1000000)
#define HEARTBEAT_US	250000
/* Small enough that both sides are at work at once, and for the caches. */
#define CHUNK		(UINT64_C(256) << 10)

/* The only ways to touch the words of either block. */
#define get32(word)	le32toh(__atomic_load_n(&(word), __ATOMIC_ACQUIRE))
#define get64(word)	le64toh(__atomic_load_n(&(word), __ATOMIC_ACQUIRE))
#define put32(word, value) \
	__atomic_store_n(&(word), htole32(value), __ATOMIC_RELEASE)
#define put64(word, value) \
	__atomic_store_n(&(word), htole64(value), __ATOMIC_RELEASE)

/* Shared memory need not know atomic additions, and one writer needs none. */
static void add_change(struct stream *stream)
{
	put32(stream->mine->changes, ++stream->changes);
}

/* The stream whose own file may hold it up now; SIGALRM shows that it lives. */
static struct stream *busy;

static void beat(int signal)
{
	struct stream *stream = __atomic_load_n(&busy, __ATOMIC_ACQUIRE);

	(void)signal;
	if (stream)
		add_change(stream);
}

void stream_busy(struct stream *stream)
{
	__atomic_store_n(&busy, stream, __ATOMIC_RELEASE);
}

void stream_idle(void)
{
	__atomic_store_n(&busy, NULL, __ATOMIC_SEQ_CST);
}

static void start_heart(void)
{
	struct sigaction action = { .sa_handler = beat };
	struct itimerval interval = {
		.it_interval.tv_usec = HEARTBEAT_US,
		.it_value.tv_usec = HEARTBEAT_US,
	};

	/*
	 * No SA_RESTART: it also sees to it that a wish to stop that came just
	 * before a system call is not overlooked for long.
	 */
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &interval, NULL);
}

static bool has_doorbells(const struct stream *stream)
{
	return stream->device->properties.vectors &&
	       stream->device->properties.id <= IVSHMEM_MAX_PEER;
}

/* Tell of a change. All words changed before are visible to who sees it. */
static void announce(struct stream *stream)
{
	stream->active_ns = now_ns();
	add_change(stream);
	/* The change before the look: the waiting side does the reverse. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!has_doorbells(stream) || stream->other_id > IVSHMEM_MAX_PEER ||
	    !get32(stream->other->waiting))
		return;
	/*
	 * The id may be of a peer long gone, or one whose arrival the server
	 * has yet to report. Who is not rung looks by itself a little later.
	 */
	ivshmem_ring(stream->device->handle, stream->other_id, VECTOR);
}

static bool changed(const struct stream *stream, uint32_t seen)
{
	return __atomic_load_n(&stream->other->changes,
			       __ATOMIC_ACQUIRE) != seen;
}

static bool changed_soon(const struct stream *stream, uint32_t seen)
{
	int64_t end = now_ns() + SPIN_NS;

	do {
		if (changed(stream, seen))
			return true;
	} while (now_ns() < end);
	return false;
}

/* A side without doorbells can't ring; one that is still to come may. */
static bool will_be_rung(const struct stream *stream)
{
	return has_doorbells(stream) && (!stream->other_hello ||
		stream->other_id != STREAM_NO_DOORBELL);
}

static int nap(struct stream *stream, uint32_t seen, int64_t *blind_ns)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD,
		.vector = VECTOR,
		.offset = stream->offset +
			  (stream->sending ? STREAM_RECEIVER_BLOCK : 0) +
			  offsetof(struct stream_block, changes),
		.expected = seen,
		.timeout_ns = BELL_NAP_NS,
	};
	struct timespec pause = { .tv_nsec = *blind_ns };
	int error;

	if (!will_be_rung(stream)) {
		nanosleep(&pause, NULL);
		*blind_ns *= 2;
		if (*blind_ns > BLIND_NAP_NS)
			*blind_ns = BLIND_NAP_NS;
		return 0;
	}
	put32(stream->mine->waiting, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	error = changed(stream, seen) ? 0 :
		ivshmem_wait(stream->device->handle, &options, NULL);
	put32(stream->mine->waiting, 0);
	return error == -ETIMEDOUT || error == -EINTR ? 0 : error;
}

/* Sleep until the other side's changes are no longer what was @seen. */
static int await_change(struct stream *stream, uint32_t seen)
{
	int64_t blind_ns = 10000;

	if (changed_soon(stream, seen)) {
		stream->active_ns = now_ns();
		return stopped ? -EINTR : 0;
	}
	while (!changed(stream, seen)) {
		int error = nap(stream, seen, &blind_ns);

		if (error)
			return error;
		if (stopped)
			return -EINTR;
		if (stream->timeout_ns >= 0 && !changed(stream, seen) &&
		    now_ns() - stream->active_ns > stream->timeout_ns)
			return -ETIMEDOUT;
	}
	stream->active_ns = now_ns();
	return 0;
}

enum exit_code stream_open(struct stream *stream, const struct device *device,
			   bool sending, uint64_t offset, uint64_t window)
{
	enum exit_code code;

	code = device_map(device, offset, window, &stream->mapping);
	if (code)
		return code;
	stream->device = device;
	stream->offset = offset;
	stream->window = window;
	stream->data = stream->mapping.bytes + STREAM_DATA;
	stream->capacity = window - STREAM_DATA;
	stream->sending = sending;
	stream->mine = (void *)(stream->mapping.bytes +
				(sending ? 0 : STREAM_RECEIVER_BLOCK));
	stream->other = (void *)(stream->mapping.bytes +
				 (sending ? STREAM_RECEIVER_BLOCK : 0));
	stream->other_id = STREAM_NO_DOORBELL;
	/* Go on from what is there, so that the first change is one. */
	stream->changes = get32(stream->mine->changes);
	XXH64_reset(&stream->hash, 0);
	start_heart();
	return EXIT_OK;
}

void stream_close(struct stream *stream)
{
	stream_idle();
	device_unmap(stream->device, &stream->mapping);
}

/* Clear the own block, hello first and last: no old word goes with the new. */
static int say_hello(struct stream *stream, uint64_t total)
{
	struct stream_block *mine = stream->mine;

	do {
		if (getrandom(&stream->hello, sizeof(stream->hello), 0) < 0)
			return -errno;
	} while (!stream->hello);
	put64(mine->hello, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	put64(mine->echo, 0);
	put32(mine->format, STREAM_FORMAT);
	put32(mine->id, has_doorbells(stream) ? stream->device->properties.id :
						STREAM_NO_DOORBELL);
	put64(mine->window, stream->window);
	put64(mine->total, total);
	put32(mine->waiting, 0);
	put32(mine->state, STREAM_OPEN);
	put64(mine->position, 0);
	put64(mine->checksum, 0);
	put64(mine->hello, stream->hello);
	announce(stream);
	return 0;
}

/* The other side lives. Does it mean the same as we? */
static int check_terms(const struct stream *stream)
{
	if (get32(stream->other->format) != STREAM_FORMAT ||
	    (stream->other_id > IVSHMEM_MAX_PEER &&
	     stream->other_id != STREAM_NO_DOORBELL))
		return -EPROTO;
	return get64(stream->other->window) == stream->window ? 0 : -EMSGSIZE;
}

int stream_meet(struct stream *stream, uint64_t total)
{
	int error = say_hello(stream, total);

	while (!error) {
		uint32_t seen = __atomic_load_n(&stream->other->changes,
						__ATOMIC_ACQUIRE);
		uint64_t echo = get64(stream->other->echo);
		uint64_t hello = get64(stream->other->hello);

		if (get64(stream->mine->hello) != stream->hello)
			return -ESTALE;
		if (hello && hello != stream->other_hello) {
			stream->other_hello = hello;
			stream->other_id = get32(stream->other->id);
			put64(stream->mine->echo, hello);
			announce(stream);
		}
		/* Read after the echo, the hello is by who wrote the echo. */
		if (hello && echo == stream->hello)
			return check_terms(stream);
		error = await_change(stream, seen);
	}
	return error;
}

uint64_t stream_total(const struct stream *stream)
{
	return get64(stream->other->total);
}

/* Read the other side's words once, and see whether they can be true. */
static int look(struct stream *stream)
{
	struct stream_view view;

	view.state = get32(stream->other->state);
	view.position = get64(stream->other->position);
	view.checksum = get64(stream->other->checksum);
	/* Words of another run are not to be judged. */
	if (get64(stream->other->hello) != stream->other_hello ||
	    get64(stream->mine->hello) != stream->hello)
		return -ESTALE;
	if (view.position < stream->view.position)
		return -EPROTO;
	if (stream->sending ? view.position > stream->position :
	    view.position < stream->position ||
	    view.position - stream->position > stream->capacity)
		return -EPROTO;
	if (stream->view.state == STREAM_END &&
	    view.position != stream->view.position)
		return -EPROTO;
	stream->view = view;
	return view.state == STREAM_GIVEN_UP ? -ECANCELED : 0;
}

int stream_wait(struct stream *stream, uint8_t **start, size_t *bytes)
{
	uint64_t place = stream->position % stream->capacity;
	uint64_t most = stream->capacity / 8;
	uint64_t count;
	int error;

	for (;;) {
		uint32_t seen = __atomic_load_n(&stream->other->changes,
						__ATOMIC_ACQUIRE);

		error = look(stream);
		if (error)
			return error;
		count = stream->sending ?
			stream->capacity - (stream->position - stream->view.position) :
			stream->view.position - stream->position;
		if (count || (!stream->sending && stream->view.state == STREAM_END))
			break;
		error = await_change(stream, seen);
		if (error)
			return error;
	}
	if (most > CHUNK)
		most = CHUNK;
	if (count > most)
		count = most;
	if (count > stream->capacity - place)
		count = stream->capacity - place;
	*start = stream->data + place;
	*bytes = (size_t)count;
	return stopped ? -EINTR : 0;
}

void stream_advance(struct stream *stream, size_t bytes)
{
	uint64_t place = stream->position % stream->capacity;

	XXH64_update(&stream->hash, stream->data + place, bytes);
	stream->position += bytes;
	/* A release alone does not order write-combined data. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	put64(stream->mine->position, stream->position);
	announce(stream);
}

uint64_t stream_checksum(const struct stream *stream)
{
	return XXH64_digest(&stream->hash);
}

static void set_state(struct stream *stream, enum stream_state state)
{
	put64(stream->mine->checksum, stream_checksum(stream));
	put32(stream->mine->state, state);
	announce(stream);
}

void stream_give_up(struct stream *stream)
{
	/* If another one took this side's place, the block is its. */
	if (get64(stream->mine->hello) == stream->hello)
		set_state(stream, STREAM_GIVEN_UP);
}

static int await_verdict(struct stream *stream)
{
	for (;;) {
		uint32_t seen = __atomic_load_n(&stream->other->changes,
						__ATOMIC_ACQUIRE);
		int error = look(stream);

		if (error)
			return error;
		if (stream->view.state == STREAM_GOOD ||
		    stream->view.state == STREAM_BAD)
			return 0;
		error = await_change(stream, seen);
		if (error)
			return error;
	}
}

static int finish_sending(struct stream *stream)
{
	int error;

	set_state(stream, STREAM_END);
	error = await_verdict(stream);
	if (error)
		return error;
	set_state(stream, STREAM_BYE);
	if (stream->view.position != stream->position)
		return -EPROTO;
	return stream->view.state == STREAM_GOOD &&
	       stream->view.checksum == stream_checksum(stream) ? 0 : -EBADMSG;
}

static int finish_receiving(struct stream *stream)
{
	bool good = stream->view.checksum == stream_checksum(stream);

	set_state(stream, good ? STREAM_GOOD : STREAM_BAD);
	/* However the sender ends now, what was received stays what it is. */
	for (;;) {
		uint32_t seen = __atomic_load_n(&stream->other->changes,
						__ATOMIC_ACQUIRE);

		if (look(stream) || stream->view.state == STREAM_BYE ||
		    await_change(stream, seen))
			return good ? 0 : -EBADMSG;
	}
}

int stream_finish(struct stream *stream)
{
	return stream->sending ? finish_sending(stream) :
				 finish_receiving(stream);
}

enum exit_code stream_complain(const struct stream *stream, int error)
{
	const char *other = stream->sending ? "receiver" : "sender";
	const char *own = stream->sending ? "sender" : "receiver";

	switch (-error) {
	case ETIMEDOUT:
		return complain(EXIT_TIMEOUT, "the %s did nothing for %.1f seconds: it has died, or was never there",
				other, (double)stream->timeout_ns / 1e9);
	case EINTR:
		return complain(EXIT_FAILED, "interrupted");
	case ESTALE:
		return complain(EXIT_FAILED, "another %s or %s uses this part of the region now: give each pair its own with --offset and --size",
				own, other);
	case ECANCELED:
		return complain(EXIT_FAILED, "the %s gave up", other);
	case EBADMSG:
		return complain(EXIT_CORRUPTED, "the data arrived damaged: does anything else write to this part of the region?");
	case EPROTO:
		return complain(EXIT_CORRUPTED, "the %s's control words make no sense: does anything else write to this part of the region?",
				other);
	case EMSGSIZE:
		return complain(EXIT_FAILED, "the %s uses another part of the region: give both sides the same --offset and --size",
				other);
	case EFAULT:
		return device_complain(stream->device, -ENODEV, NULL);
	default:
		return device_complain(stream->device, error, "wait");
	}
}
