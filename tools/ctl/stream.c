// SPDX-License-Identifier: GPL-2.0-only
/*
 * A byte stream through a channel: see stream.h.
 */
#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "stream.h"

/* Multiples of this are what channels consist of. */
#define ALIGNMENT	128
#define DATA_HEADER	offsetof(struct stream_data, bytes)
/* The buffer for the receiver's messages. */
#define BACK_SIZE	512
/* How long a call may not hear of SIGINT that comes just before it. */
#define STEP_NS		INTERRUPT_NS
/* Between two tries to attach to what is not the sender's channel, yet. */
#define RETRY_NS	20000000

static uint64_t kind_of(enum stream_kind kind)
{
	return (uint64_t)STREAM_FORMAT << 32 | kind;
}

static bool is_kind(const struct stream *stream, enum stream_kind kind)
{
	return stream->in.note.kind == kind_of(kind);
}

/* Create the channel, or attach to any that is there. */
static int begin(struct stream *stream)
{
	struct ivshmem_channel_options options = { .offset = stream->offset };

	if (!stream->sending)
		return ivshmem_channel_attach(stream->device->handle, &options,
					      ivshmem_after(STEP_NS), &stream->channel);
	options.size = stream->window;
	options.send_size = stream->window - IVSHMEM_CHANNEL_CONTROL - BACK_SIZE;
	return ivshmem_channel_create(stream->device->handle, &options, &stream->channel);
}

enum exit_code stream_open(struct stream *stream, const struct device *device,
			   bool sending, uint64_t offset, uint64_t window)
{
	int error;

	stream->device = device;
	stream->offset = offset;
	stream->window = window / ALIGNMENT * ALIGNMENT;
	stream->sending = sending;
	stream->chunk = (stream->window - IVSHMEM_CHANNEL_CONTROL - BACK_SIZE) / 8;
	if (stream->chunk > STREAM_CHUNK)
		stream->chunk = STREAM_CHUNK;
	stream->active_ns = now_ns();
	XXH64_reset(&stream->hash, 0);
	if (device->properties.cache != IVSHMEM_CACHE_WB)
		return complain(EXIT_FAILED, "the memory of %s is not cached write-back, which %s needs: load the driver with cache=wb, see 'ivshmemctl info' and modprobe.d(5)",
				device->name, sending ? "send" : "recv");
	device_expect_loss();
	interrupt_calls();
	error = sending ? begin(stream) : 0;
	return error ? stream_complain(stream, error) : EXIT_OK;
}

void stream_close(struct stream *stream)
{
	ivshmem_channel_close(stream->channel);
}

void stream_show(struct stream *stream, const char *awaited)
{
	stream->progress.total = stream->total;
	progress_show(&stream->progress, stream->position,
		      awaited ?: stream->sending ? "the receiver" : "the sender");
}

/* After a step of waiting failed with @error: 0 to go on. */
static int go_on(struct stream *stream, int error)
{
	stream_show(stream, NULL);
	if (stopped)
		return -EINTR;
	if (error != -ETIMEDOUT && error != -EINTR)
		return error;
	if (stream->timeout_ns >= 0 && now_ns() - stream->active_ns > stream->timeout_ns)
		return -ETIMEDOUT;
	return 0;
}

/* A message that means the same whenever it comes. */
static int check_message(const struct stream *stream)
{
	if (stream->in_size < DATA_HEADER || stream->in.note.kind >> 32 != STREAM_FORMAT)
		return -EPROTO;
	if (!is_kind(stream, STREAM_DATA) && stream->in_size != sizeof(stream->in.note))
		return -EPROTO;
	if (is_kind(stream, STREAM_QUIT))
		return -ECANCELED;
	return is_kind(stream, STREAM_MISMATCH) ? -EMSGSIZE : 0;
}

/* One step of receiving, until @deadline. */
static int receive_step(struct stream *stream, int64_t deadline)
{
	int64_t size = ivshmem_channel_recv(stream->channel, &stream->in, sizeof(stream->in),
					    deadline);

	if (size < 0)
		return size == -EMSGSIZE ? -EPROTO : (int)size;
	stream->in_size = (size_t)size;
	stream->active_ns = now_ns();
	return check_message(stream);
}

/* The next message that is not a sign of life. */
static int receive(struct stream *stream)
{
	int error;

	do {
		error = receive_step(stream, ivshmem_after(STEP_NS));
		if (error)
			error = go_on(stream, error);
		else if (!is_kind(stream, STREAM_BEAT))
			return stopped ? -EINTR : 0;
	} while (!error);
	return error;
}

/* Take what the other side has to say to one that sends: nothing, or why not to. */
static int listen_briefly(struct stream *stream)
{
	int error;

	do {
		error = receive_step(stream, 0);
		if (!error && !is_kind(stream, STREAM_BEAT))
			error = -EPROTO;
	} while (!error);
	return error == -EAGAIN || error == -EINTR ? 0 : error;
}

static int send_step(struct stream *stream, const void *message,
		     size_t size, int64_t deadline)
{
	int error = ivshmem_channel_send(stream->channel, message, size, 0, deadline);

	if (!error)
		stream->active_ns = stream->beat_ns = now_ns();
	return error;
}

/*
 * Send, and listen while there is no space, and at the end: the other side may have said
 * why it left.
 */
static int send_message(struct stream *stream, const void *message, size_t size)
{
	int error;

	while ((error = send_step(stream, message, size, ivshmem_after(STEP_NS)))) {
		error = go_on(stream, error);
		if (!error || error == -EPIPE)
			error = listen_briefly(stream) ?: error;
		if (error)
			return error;
	}
	return stopped ? -EINTR : 0;
}

static int send_note(struct stream *stream, enum stream_kind kind, uint64_t bytes)
{
	struct stream_note note = { kind_of(kind), bytes, stream_checksum(stream) };

	return send_message(stream, &note, sizeof(note));
}

/* Send what must not wait, and may be lost. Why the other side left is for who reads. */
static int send_soon(struct stream *stream, enum stream_kind kind)
{
	struct stream_note note = { .kind = kind_of(kind) };
	int error = send_step(stream, &note, sizeof(note), 0);

	return error == -EAGAIN || error == -EINTR || error == -EPIPE ? 0 : error;
}

/* Nothing is lost by beginning again. */
static bool is_early(int error)
{
	return error == -EPIPE || error == -ECONNRESET;
}

static int greet_receiver(struct stream *stream)
{
	int error;

	do {
		error = send_note(stream, STREAM_HELLO, stream->total);
		if (!error)
			error = receive(stream);
	} while (is_early(error));
	if (!error && !is_kind(stream, STREAM_HELLO))
		error = -EPROTO;
	return error;
}

/* The channel is as this side's options would have the sender create it. */
static bool is_as_expected(const struct stream *stream)
{
	struct ivshmem_channel_properties properties;

	ivshmem_channel_get_properties(stream->channel, &properties);
	return properties.size == stream->window &&
	       properties.send_max == BACK_SIZE - IVSHMEM_CHANNEL_OVERHEAD;
}

/* Something that another program or another version has left, perhaps. */
static bool is_no_channel(int error)
{
	return error == -ENOENT || error == -EBADMSG || error == -EPROTONOSUPPORT;
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
}

/* Attach to what is there, even if the sender has yet to replace it. */
static int attach(struct stream *stream)
{
	bool noted = false;
	int error;

	while ((error = begin(stream))) {
		if (error == -EPROTONOSUPPORT && !noted) {
			complain(EXIT_OK, "note: still waiting: %s; if that is not an old one, install the same version on both sides",
				 ivshmem_error(error));
			noted = true;
		}
		error = go_on(stream, is_no_channel(error) ? -ETIMEDOUT : error);
		if (error)
			return error;
		pause_briefly();
	}
	return 0;
}

/*
 * The sender's HELLO. If there was a channel of other geometry, the sender replaces it,
 * which looks as if another receiver had replaced this one.
 */
static int await_sender(struct stream *stream)
{
	int error;

	do {
		error = stream->channel ? 0 : attach(stream);
		if (!error)
			error = receive(stream);
		if (error == -ESTALE && !is_as_expected(stream)) {
			ivshmem_channel_close(stream->channel);
			stream->channel = NULL;
			pause_briefly();
			error = -EPIPE;
		}
	} while (is_early(error));
	return error;
}

static int greet_sender(struct stream *stream)
{
	int error = await_sender(stream);

	if (!error && !is_kind(stream, STREAM_HELLO))
		error = -EPROTO;
	if (error)
		return error;
	stream->total = stream->in.note.bytes;
	if (is_as_expected(stream))
		return send_note(stream, STREAM_HELLO, 0);
	send_note(stream, STREAM_MISMATCH, 0);
	return -EMSGSIZE;
}

int stream_handshake(struct stream *stream, uint64_t total)
{
	stream->total = total;
	return stream->sending ? greet_receiver(stream) : greet_sender(stream);
}

void stream_advance(struct stream *stream, const uint8_t *data, size_t bytes)
{
	XXH64_update(&stream->hash, data, bytes);
	stream->position += bytes;
}

int stream_put(struct stream *stream, size_t bytes)
{
	int error;

	stream->out.kind = kind_of(STREAM_DATA);
	error = send_message(stream, &stream->out, DATA_HEADER + bytes);
	if (!error)
		stream_advance(stream, stream->out.bytes, bytes);
	return error;
}

int stream_get(struct stream *stream, size_t *bytes)
{
	int error = receive(stream);

	*bytes = 0;
	if (error || is_kind(stream, STREAM_END))
		return error;
	if (!is_kind(stream, STREAM_DATA) || stream->in_size == DATA_HEADER)
		return -EPROTO;
	*bytes = stream->in_size - DATA_HEADER;
	return 0;
}

int stream_beat(struct stream *stream)
{
	int error = 0;

	/* What this side's file takes is not the other's silence. */
	stream->active_ns = now_ns();
	if (stream->active_ns - stream->beat_ns < STEP_NS / 2)
		return 0;
	stream->beat_ns = stream->active_ns;
	if (stream->sending)
		error = listen_briefly(stream);
	return error ? error : send_soon(stream, STREAM_BEAT);
}

uint64_t stream_checksum(const struct stream *stream)
{
	return XXH64_digest(&stream->hash);
}

/* Whether the other side counts what this one does. */
static bool agrees(const struct stream *stream)
{
	return stream->in.note.bytes == stream->position &&
	       stream->in.note.checksum == stream_checksum(stream);
}

static int finish_sending(struct stream *stream)
{
	int error = send_note(stream, STREAM_END, stream->position);

	if (!error)
		error = receive(stream);
	if (error)
		return error;
	if (!is_kind(stream, STREAM_VERDICT))
		return -EPROTO;
	return agrees(stream) ? 0 : -EBADMSG;
}

static int finish_receiving(struct stream *stream)
{
	int result = agrees(stream) ? 0 : -EBADMSG;

	/* The result is final, even if the sender is gone. */
	send_note(stream, STREAM_VERDICT, stream->position);
	return result;
}

int stream_finish(struct stream *stream)
{
	return stream->sending ? finish_sending(stream) :
				 finish_receiving(stream);
}

void stream_give_up(struct stream *stream)
{
	if (stream->channel)
		send_soon(stream, STREAM_QUIT);
}

enum exit_code stream_complain(const struct stream *stream, int error)
{
	const char *other = stream->sending ? "receiver" : "sender";
	const char *own = stream->sending ? "sender" : "receiver";

	switch (-error) {
	case ETIMEDOUT:
		return complain(EXIT_TIMEOUT, "timeout: no activity of the %s for %g s",
				other, (double)stream->timeout_ns / 1e9);
	case EINTR:
		return complain(EXIT_FAILED, "interrupted");
	case EPIPE:
		return complain(EXIT_FAILED, "the %s is gone: it was killed, or its machine has stopped; start both sides again",
				other);
	case ECONNRESET:
	case ESTALE:
		return complain(EXIT_FAILED, "another %s or %s uses this part of the region: separate them with --offset and --size",
				error == -ESTALE ? own : other,
				error == -ESTALE ? other : own);
	case ECANCELED:
		return complain(EXIT_FAILED, "the %s gave up", other);
	case EBADMSG:
		return complain(EXIT_CORRUPTED, "checksum mismatch: does another program write to this part of the region?");
	case EPROTO:
		return complain(EXIT_CORRUPTED, "invalid data from the %s: does another program use this part of the region?",
				other);
	case EMSGSIZE:
		return complain(EXIT_FAILED, "the %s uses another part of the region: use the same --offset and --size on both sides",
				other);
	default:
		return device_complain(stream->device, error, "use a channel");
	}
}
