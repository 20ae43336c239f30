// SPDX-License-Identifier: GPL-2.0-only
/*
 * A byte stream through part of the region: see stream.h for layout and protocol.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <ivshmem.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include "stream.h"

/* Every device with doorbells has vector 0. */
#define VECTOR		0
/* How long to spin before sleeping. */
#define SPIN_NS		INT64_C(30000)
/* Poll intervals: with doorbells, in case one is lost with its peer; without. */
#define DOORBELL_POLL_NS	INT64_C(200000000)
#define MAX_POLL_NS	INT64_C(1000000)
#define HEARTBEAT_US	250000
/* Small enough for the caches, and for both sides to work in parallel. */
#define CHUNK		(UINT64_C(256) << 10)

/* All accesses to the words of both blocks. */
#define get32(word)	le32toh(__atomic_load_n(&(word), __ATOMIC_ACQUIRE))
#define get64(word)	le64toh(__atomic_load_n(&(word), __ATOMIC_ACQUIRE))
#define put32(word, value) \
	__atomic_store_n(&(word), htole32(value), __ATOMIC_RELEASE)
#define put64(word, value) \
	__atomic_store_n(&(word), htole64(value), __ATOMIC_RELEASE)

/* There is one writer, and the memory may not support atomic additions. */
static void add_change(struct stream *stream)
{
	put32(stream->mine->changes, ++stream->changes);
}

/* The stream that may be blocked in file I/O: SIGALRM keeps it alive. */
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
	 * No SA_RESTART: SIGALRM also bounds the delay of a SIGINT that arrives just
	 * before a blocking system call.
	 */
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &interval, NULL);
}

static bool has_doorbells(const struct stream *stream)
{
	return stream->device->properties.vectors &&
	       stream->device->properties.id <= IVSHMEM_MAX_PEER;
}

/* Publish a change, ordered after all words written before. */
static void announce(struct stream *stream)
{
	stream->active_ns = now_ns();
	add_change(stream);
	/* Pairs with the fence of the waiting side: store, fence, load on both. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!has_doorbells(stream) || stream->other_id > IVSHMEM_MAX_PEER ||
	    !get32(stream->other->waiting))
		return;
	/*
	 * Ignore errors: the peer may be gone, or the server may not have announced
	 * it yet. A side that misses a doorbell polls.
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

/* A side without doorbells cannot ring. Assume that an unknown one can. */
static bool expects_doorbell(const struct stream *stream)
{
	return has_doorbells(stream) && (!stream->other_hello ||
		stream->other_id != STREAM_NO_DOORBELL);
}

static int sleep_or_poll(struct stream *stream, uint32_t seen, int64_t *interval_ns)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD,
		.vector = VECTOR,
		.offset = stream->offset +
			  (stream->sending ? STREAM_RECEIVER_BLOCK : 0) +
			  offsetof(struct stream_block, changes),
		.expected = seen,
		.timeout_ns = DOORBELL_POLL_NS,
	};
	struct timespec pause = { .tv_nsec = *interval_ns };
	int error;

	if (!expects_doorbell(stream)) {
		nanosleep(&pause, NULL);
		*interval_ns *= 2;
		if (*interval_ns > MAX_POLL_NS)
			*interval_ns = MAX_POLL_NS;
		return 0;
	}
	put32(stream->mine->waiting, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	error = changed(stream, seen) ? 0 :
		ivshmem_wait(stream->device->handle, &options, NULL);
	put32(stream->mine->waiting, 0);
	return error == -ETIMEDOUT || error == -EINTR ? 0 : error;
}

/* Sleep until the other side's change counter differs from @seen. */
static int await_change(struct stream *stream, uint32_t seen)
{
	int64_t interval_ns = 10000;

	if (changed_soon(stream, seen)) {
		stream->active_ns = now_ns();
		return stopped ? -EINTR : 0;
	}
	while (!changed(stream, seen)) {
		int error = sleep_or_poll(stream, seen, &interval_ns);

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
	/* Continue from the old value, so that the first change is visible. */
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

/* Initialize the own block, between clearing and setting hello: no mix of old and new. */
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

/* Compare parameters with the other side. */
static int check_terms(const struct stream *stream)
{
	if (get32(stream->other->format) != STREAM_FORMAT ||
	    (stream->other_id > IVSHMEM_MAX_PEER &&
	     stream->other_id != STREAM_NO_DOORBELL))
		return -EPROTO;
	return get64(stream->other->window) == stream->window ? 0 : -EMSGSIZE;
}

int stream_handshake(struct stream *stream, uint64_t total)
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
		/* Loaded after the echo: echo and hello are of the same side. */
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

/* Read the other side's words once and check them. */
static int read_view(struct stream *stream)
{
	struct stream_view view;

	view.state = get32(stream->other->state);
	view.position = get64(stream->other->position);
	view.checksum = get64(stream->other->checksum);
	/* Discard words of another session. */
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

		error = read_view(stream);
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
	/* A release store does not order write-combined data. */
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
	/* Unless another program has replaced this side. */
	if (get64(stream->mine->hello) == stream->hello)
		set_state(stream, STREAM_GIVEN_UP);
}

static int await_verdict(struct stream *stream)
{
	for (;;) {
		uint32_t seen = __atomic_load_n(&stream->other->changes,
						__ATOMIC_ACQUIRE);
		int error = read_view(stream);

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
	/* The result is final: wait until the sender has read it, ignoring errors. */
	for (;;) {
		uint32_t seen = __atomic_load_n(&stream->other->changes,
						__ATOMIC_ACQUIRE);

		if (read_view(stream) || stream->view.state == STREAM_BYE ||
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
		return complain(EXIT_TIMEOUT, "timeout: no activity of the %s for %.1f seconds",
				other, (double)stream->timeout_ns / 1e9);
	case EINTR:
		return complain(EXIT_FAILED, "interrupted");
	case ESTALE:
		return complain(EXIT_FAILED, "another %s or %s uses this part of the region: separate them with --offset and --size",
				own, other);
	case ECANCELED:
		return complain(EXIT_FAILED, "the %s gave up", other);
	case EBADMSG:
		return complain(EXIT_CORRUPTED, "checksum mismatch: does another program write to this part of the region?");
	case EPROTO:
		return complain(EXIT_CORRUPTED, "invalid control words from the %s: does another program write to this part of the region?",
				other);
	case EMSGSIZE:
		return complain(EXIT_FAILED, "the %s uses another part of the region: use the same --offset and --size on both sides",
				other);
	case EFAULT:
		return device_complain(stream->device, -ENODEV, NULL);
	default:
		return device_complain(stream->device, error, "wait");
	}
}
