// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Channels: the public calls, and how one is created and found.
 *
 * The fast path of each call is here and in ring_buffer.h; whatever has to wait, or
 * finds that something is not as usual, goes to ivshmem_direction_await().
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "park.h"
#include "process.h"
#include "session.h"
#include "set.h"

#define FIRST_LOOKS	256	/* before all that longer waiting takes */
#define HEAD_START	64	/* pauses that let the producer get ahead */
#define MANY		16	/* messages that make a head start worth it */
#define WAITS		1024	/* for fewer messages each, before one is tried again */
#define SHORT		64	/* bytes of messages that are copied in line */

/*
 * A short message takes one piece of code without calls in it; all else is kept
 * out of that.
 */
#define FAST		static inline __attribute__((always_inline))
#define REST		static __attribute__((noinline))

_Static_assert(CHANNEL_CONTROL == IVSHMEM_CHANNEL_CONTROL, "one layout");
_Static_assert(BUFFER_OVERHEAD == IVSHMEM_CHANNEL_OVERHEAD, "one layout");

/* Creating and attaching */

/* What is to be where. */
struct geometry {
	uint64_t size;
	uint64_t capacity[2];
};

static int check_geometry(const struct ivshmem *handle, uint64_t offset,
			  const struct geometry *geometry)
{
	uint64_t size = geometry->size;
	uint64_t room = size - CHANNEL_CONTROL;
	int n;

	if (size % CHANNEL_ALIGN)
		return ivshmem_fail(-EINVAL, "the channel's size %" PRIu64
				    " is not a multiple of %u", size, CHANNEL_ALIGN);
	if (size < CHANNEL_CONTROL + 2 * BUFFER_MINIMUM)
		return ivshmem_fail(-EINVAL, "the channel's size %" PRIu64
				    " is less than %u", size,
				    CHANNEL_CONTROL + 2 * BUFFER_MINIMUM);
	if (size > BUFFER_MAXIMUM || size > handle->size || offset > handle->size - size)
		return ivshmem_fail(-EINVAL, "a channel of %#" PRIx64 " bytes at %#" PRIx64
				    " is not in the region of %#" PRIx64 " bytes",
				    size, offset, handle->size);
	for (n = 0; n < 2; n++) {
		uint64_t capacity = geometry->capacity[n];

		if (capacity % CHANNEL_ALIGN)
			return ivshmem_fail(-EINVAL, "the buffer's size %" PRIu64
					    " is not a multiple of %u", capacity,
					    CHANNEL_ALIGN);
		if (capacity < BUFFER_MINIMUM || capacity > room)
			return ivshmem_fail(-EINVAL, "buffers of %" PRIu64 " and %" PRIu64
					    " bytes: each needs %u, both have %" PRIu64,
					    geometry->capacity[0], room - geometry->capacity[0],
					    BUFFER_MINIMUM, room);
	}
	if (geometry->capacity[0] + geometry->capacity[1] != room)
		return ivshmem_fail(-EINVAL, "the buffers are not as large as the channel");
	return 0;
}

static int check_options(struct ivshmem *handle,
			 const struct ivshmem_channel_options *options)
{
	struct ivshmem_properties properties;

	if (options->reserved)
		return ivshmem_fail(-EINVAL, "a reserved field of the channel's options is not 0");
	if (options->set && options->set->handle != handle)
		return ivshmem_fail(-EINVAL, "the channel's set belongs to another handle");
	if (options->offset % CHANNEL_ALIGN)
		return ivshmem_fail(-EINVAL, "the channel's offset %" PRIu64
				    " is not a multiple of %u", options->offset,
				    CHANNEL_ALIGN);
	if (options->spin_ns > (int64_t)IVSHMEM_MAX_SPIN_NS)
		return ivshmem_fail(-EINVAL, "spinning for %" PRId64
				    " ns is longer than %llu ns", options->spin_ns,
				    IVSHMEM_MAX_SPIN_NS);
	return ivshmem_check_object(handle, options->set ? options->set->vector :
								    options->vector,
				    &properties);
}

/* Map what lies there, which need not begin where a page does. */
static int map_area(struct ivshmem_channel *channel, uint64_t size)
{
	uint64_t before = channel->offset % channel->handle->page;
	int error;

	if (size > SIZE_MAX - before)
		return -ENOMEM;
	error = ivshmem_map(channel->handle, channel->offset - before,
			    before + size, &channel->mapping);
	if (error)
		return error;
	channel->length = before + size;
	channel->area = (void *)((char *)channel->mapping + before);
	return 0;
}

static void unmap_area(struct ivshmem_channel *channel)
{
	if (channel->mapping)
		ivshmem_unmap(channel->handle, channel->mapping,
			      channel->length);
	channel->mapping = NULL;
}

static void free_channel(struct ivshmem_channel *channel)
{
	ivshmem_process_remove_channel(channel);
	if (ivshmem_process_owns(channel->handle)) {
		ivshmem_set_leave(channel);
		ivshmem_listener_close(&channel->listener);
		pthread_mutex_destroy(&channel->lock);
	}
	unmap_area(channel);
	ivshmem_handle_put(channel->handle);
	free(channel);
}

/* @options becomes the program's, as far as the library knows them. */
static int new_channel(struct ivshmem *handle,
		       const struct ivshmem_channel_options *program_options,
		       size_t options_size, struct ivshmem_channel_options *options,
		       struct ivshmem_channel **channel)
{
	int error = ivshmem_copy_in(options, sizeof(*options), program_options, options_size);
	struct ivshmem_channel *new;

	*channel = NULL;
	if (!error)
		error = check_options(handle, options);
	if (error)
		return error;
	new = aligned_alloc(CHANNEL_ALIGN, sizeof(*new));
	if (!new)
		return -ENOMEM;
	memset(new, 0, sizeof(*new));
	new->handle = ivshmem_handle_get(handle);
	new->offset = options->offset;
	new->vector = options->set ? options->set->vector : options->vector;
	new->spin_ns = options->spin_ns ? options->spin_ns :
					  IVSHMEM_CHANNEL_SPIN;
	if (new->spin_ns < 0)
		new->spin_ns = 0;
	pthread_mutex_init(&new->lock, NULL);
	ivshmem_process_add_channel(new);
	error = options->set ? ivshmem_set_join(options->set, new) : 0;
	if (error) {
		free_channel(new);
		return error;
	}
	*channel = new;
	return 0;
}

static void set_direction(struct ivshmem_channel *channel, int which, int buffer)
{
	unsigned char *data = (unsigned char *)channel->area + CHANNEL_CONTROL;
	struct direction *direction = &channel->directions[which];
	bool producer = which == OUT;

	/* Its state is atomic, and other threads look at it already: they find a handshake. */
	direction->channel = channel;
	direction->producer = producer;
	direction->mine = &channel->area->halves[buffer][producer ? BUFFER_PRODUCER :
								    BUFFER_CONSUMER];
	direction->other = &channel->area->halves[buffer][producer ? BUFFER_CONSUMER :
								     BUFFER_PRODUCER];
	direction->data = data + (buffer ? channel->capacity[0] : 0);
	direction->capacity = channel->capacity[buffer];
	direction->looks = channel->spin_ns ? FIRST_LOOKS : 0;
	direction->trust = 1;
	direction->span = 1;
}

/* The geometry is agreed: be there. */
static int join(struct ivshmem_channel *channel, const struct geometry *geometry,
		bool creator)
{
	int error;

	channel->size = geometry->size;
	channel->capacity[0] = geometry->capacity[0];
	channel->capacity[1] = geometry->capacity[1];
	set_direction(channel, OUT, creator ? 0 : 1);
	set_direction(channel, IN, creator ? 1 : 0);
	error = ivshmem_session_begin(channel);
	if (!error)
		ivshmem_set_enter(channel);
	return error;
}

static struct geometry read_geometry(const struct channel_area *area)
{
	return (struct geometry){
		.size = atomic_load(&area->size),
		.capacity[0] = atomic_load(&area->capacity[0]),
		.capacity[1] = atomic_load(&area->capacity[1]),
	};
}

/* 0 if there is a channel that this library can use. */
static int recognise(const struct channel_area *area)
{
	uint64_t magic = atomic_load(&area->magic);

	if (magic == __builtin_bswap64(CHANNEL_MAGIC))
		return -EPROTONOSUPPORT;
	if (magic != CHANNEL_MAGIC)
		return -ENOENT;
	return atomic_load(&area->version) == CHANNEL_VERSION ?
	       0 : -EPROTONOSUPPORT;
}

/* Leave a channel of the same geometry as it is: the other end may be there. */
static void write_geometry(struct channel_area *area,
			   const struct geometry *geometry)
{
	struct geometry old;
	uint64_t magic;

	/* Another creator may be done meanwhile: what it has written stays as well. */
	do {
		magic = atomic_load(&area->magic);
		old = read_geometry(area);
		if (!recognise(area) && !memcmp(&old, geometry, sizeof(old)))
			return;
	} while (!ivshmem_try_replace(&area->magic, magic, 0));
	atomic_store(&area->version, CHANNEL_VERSION);
	atomic_store(&area->size, geometry->size);
	atomic_store(&area->capacity[0], geometry->capacity[0]);
	atomic_store(&area->capacity[1], geometry->capacity[1]);
	atomic_store(&area->magic, CHANNEL_MAGIC);
}

static struct geometry wanted_geometry(const struct ivshmem_channel_options *options)
{
	uint64_t room = options->size - CHANNEL_CONTROL;
	uint64_t half = room / 2 / CHANNEL_ALIGN * CHANNEL_ALIGN;
	uint64_t first = options->send_size ? options->send_size : half;

	return (struct geometry){ options->size, { first, room - first } };
}

int ivshmem_channel_create_sized(struct ivshmem *handle,
				 const struct ivshmem_channel_options *program_options,
				 size_t options_size, struct ivshmem_channel **channel)
{
	struct ivshmem_channel_options options;
	IVSHMEM_CANCEL_OFF(cancel);
	int error = new_channel(handle, program_options, options_size, &options, channel);
	struct geometry geometry;

	if (error)
		return error;
	geometry = wanted_geometry(&options);
	error = check_geometry(handle, options.offset, &geometry);
	if (!error)
		error = map_area(*channel, geometry.size);
	if (!error) {
		write_geometry((*channel)->area, &geometry);
		error = join(*channel, &geometry, true);
	}
	if (!error)
		return 0;
	free_channel(*channel);
	*channel = NULL;
	return error;
}

static int refuse(const struct ivshmem_channel *channel, int error)
{
	uint64_t magic = atomic_load(&channel->area->magic);

	if (error == -ENOENT)
		return ivshmem_fail(error, "nobody has created a channel at %#" PRIx64,
				    channel->offset);
	if (magic == __builtin_bswap64(CHANNEL_MAGIC))
		return ivshmem_fail(error, "the channel's creator has another byte order");
	return ivshmem_fail(error, "the channel is of another version of the library");
}

static void cancelled(void *channel)
{
	free_channel(channel);
}

/* Here the thread may be cancelled, if its state before was this. */
static void test_cancel(struct ivshmem_channel *channel, int cancel)
{
	pthread_cleanup_push(cancelled, channel);
	ivshmem_cancel_restore(cancel);
	pthread_testcancel();
	ivshmem_cancel_off();
	pthread_cleanup_pop(0);
}

/* Wait for the creator. It cannot know of us yet, so nobody will ring: no sleep is long. */
static int await_creator(struct ivshmem_channel *channel, int64_t deadline, int cancel)
{
	struct ivshmem_park park = {
		.handle = channel->handle,
		.deadline = deadline,
	};
	int error;

	while ((error = recognise(channel->area)) == -ENOENT && deadline) {
		int stop;

		if (!park.interval)
			ivshmem_log(IVSHMEM_LOG_INFO, "%s: channel at %#" PRIx64
				    ": waiting for its creator",
				    channel->handle->name, channel->offset);
		stop = ivshmem_park(&park, 0);
		test_cancel(channel, cancel);
		if (stop && stop != -ETIMEDOUT)
			return stop;
		if (stop)
			break;
	}
	return error ? refuse(channel, error) : 0;
}

static int attach_to(struct ivshmem_channel *channel, uint64_t size,
		     int64_t deadline, int cancel)
{
	struct geometry geometry;
	int error;

	if (channel->handle->size < CHANNEL_CONTROL ||
	    channel->offset > channel->handle->size - CHANNEL_CONTROL)
		return ivshmem_fail(-EINVAL, "a channel at %#" PRIx64
				    " is not in the region of %#" PRIx64 " bytes",
				    channel->offset, channel->handle->size);
	error = map_area(channel, CHANNEL_CONTROL);
	if (!error)
		error = await_creator(channel, deadline, cancel);
	if (error)
		return error;
	geometry = read_geometry(channel->area);
	unmap_area(channel);
	if (size && geometry.size != size)
		return ivshmem_fail(-EMSGSIZE, "the channel's size is %" PRIu64 ", not %" PRIu64,
				    geometry.size, size);
	if (check_geometry(channel->handle, channel->offset, &geometry))
		return ivshmem_fail(-EBADMSG, "the creator says nonsense: %s",
				    ivshmem_error(-EINVAL));
	error = map_area(channel, geometry.size);
	return error ? error : join(channel, &geometry, false);
}

int ivshmem_channel_attach_sized(struct ivshmem *handle,
				 const struct ivshmem_channel_options *program_options,
				 size_t options_size, int64_t deadline,
				 struct ivshmem_channel **channel)
{
	struct ivshmem_channel_options options;
	struct ivshmem_channel *new;
	IVSHMEM_CANCEL_OFF(cancel);
	int error = new_channel(handle, program_options, options_size, &options, &new);

	*channel = NULL;
	if (error)
		return error;
	error = attach_to(new, options.size, deadline, cancel);
	if (error)
		free_channel(new);
	else
		*channel = new;
	return error;
}

void ivshmem_channel_close(struct ivshmem_channel *channel)
{
	IVSHMEM_CANCEL_OFF(cancel);

	if (!channel)
		return;
	ivshmem_channel_flush(channel);
	ivshmem_session_end(channel);
	free_channel(channel);
}

void ivshmem_channel_shutdown(struct ivshmem_channel *channel)
{
	ivshmem_session_shutdown(channel);
}

void ivshmem_channel_get_properties_sized(struct ivshmem_channel *channel,
					  struct ivshmem_channel_properties *out,
					  size_t size)
{
	struct ivshmem_channel_properties properties = {
		.size = channel->size,
		.send_max = channel->directions[OUT].capacity - BUFFER_OVERHEAD,
		.receive_max = channel->directions[IN].capacity - BUFFER_OVERHEAD,
		.rings = channel->rings,
		.sleeps = channel->slept,
	};

	ivshmem_copy_out(out, size, &properties, sizeof(properties));
}

int ivshmem_channel_fd(struct ivshmem_channel *channel)
{
	int error = ivshmem_process_check(channel->handle);

	if (error)
		return error;
	if (channel->set)
		return ivshmem_fail(-EBUSY, "the channel is in a set: poll that");
	pthread_mutex_lock(&channel->lock);
	if (!ivshmem_listener_is_open(&channel->listener)) {
		error = ivshmem_listener_open(&channel->listener, channel->handle,
					      channel->vector);
		if (!error && channel->unrung)
			ivshmem_listener_add_unrung(&channel->listener, 1);
	}
	pthread_mutex_unlock(&channel->lock);
	return error ? error : channel->listener.epoll;
}

/* Two blocks of that size that overlap, if need be. */
FAST void copy_ends(char *to, const char *from, size_t size, size_t block)
{
	memcpy(to, from, block);
	memcpy(to + size - block, from + size - block, block);
}

/* Up to SHORT bytes; each call of memcpy() is a move or two. */
FAST void copy_short(void *to, const void *from, size_t size)
{
	if (size > 32)
		copy_ends(to, from, size, 32);
	else if (size > 16)
		copy_ends(to, from, size, 16);
	else if (size >= 8)
		copy_ends(to, from, size, 8);
	else if (size >= 4)
		copy_ends(to, from, size, 4);
	else if (size >= 2)
		copy_ends(to, from, size, 2);
	else if (size)
		memcpy(to, from, 1);
}

/* Sending */

REST int unknown_flags(unsigned int flags)
{
	return ivshmem_fail(-EINVAL, "unknown flags %#x", flags & ~IVSHMEM_MORE);
}

REST int reserve_later(struct direction *direction, uint64_t size, void **message,
		       int64_t deadline)
{
	int error;

	if (size > direction->capacity - BUFFER_OVERHEAD)
		return ivshmem_fail(-EMSGSIZE, "a message of %" PRIu64
				    " bytes: the largest has %" PRIu64, size,
				    direction->capacity - BUFFER_OVERHEAD);
	direction->need = size;
	error = ivshmem_direction_await(direction, deadline);
	if (!error)
		*message = buffer_reserve(&direction->out, size);
	return error;
}

FAST int reserve(struct direction *direction, uint64_t size, void **message,
		 int64_t deadline)
{
	if (direction_is_open(direction)) {
		*message = buffer_reserve(&direction->out, size);
		if (*message)
			return 0;
	}
	return reserve_later(direction, size, message, deadline);
}

/* There is something new to receive. */
FAST void announce(struct direction *direction)
{
	direction_wake(direction);
	if (!--direction->trust)
		ivshmem_direction_recheck(direction);
}

FAST void commit(struct direction *direction, uint64_t size, unsigned int flags)
{
	bool hold = flags & IVSHMEM_MORE;

	buffer_add(&direction->out, size + 1, buffer_record(size), hold);
	if (!hold)
		announce(direction);
}

int ivshmem_channel_reserve(struct ivshmem_channel *channel, size_t size,
			    void **message, int64_t deadline)
{
	struct direction *direction = &channel->directions[OUT];
	int error = reserve(direction, size, message, deadline);

	direction->reserved = error ? DIRECTION_NOTHING : size;
	return error;
}

int ivshmem_channel_commit(struct ivshmem_channel *channel, size_t size,
			   unsigned int flags)
{
	struct direction *direction = &channel->directions[OUT];

	if (!direction_has_buffer(direction))
		return ivshmem_direction_error(direction);
	if (flags & ~IVSHMEM_MORE)
		return unknown_flags(flags);
	if (direction->reserved == DIRECTION_NOTHING)
		return ivshmem_fail(-EINVAL, "no message is reserved");
	if (size > direction->reserved)
		return ivshmem_fail(-EINVAL, "%zu bytes are more than the %" PRIu64 " reserved",
				    size, direction->reserved);
	direction->reserved = DIRECTION_NOTHING;
	commit(direction, size, flags);
	return 0;
}

void ivshmem_channel_flush(struct ivshmem_channel *channel)
{
	struct direction *direction = &channel->directions[OUT];

	if (!direction_has_buffer(direction) || !direction->out.held)
		return;
	buffer_show(&direction->out);
	announce(direction);
}

REST int send_any(struct direction *direction, const void *data, size_t size,
		  unsigned int flags, int64_t deadline)
{
	void *message;
	int error;

	if (flags & ~IVSHMEM_MORE)
		return unknown_flags(flags);
	error = reserve(direction, size, &message, deadline);
	if (error)
		return error;
	if (size)
		memcpy(message, data, size);
	direction->reserved = DIRECTION_NOTHING;
	commit(direction, size, flags);
	return 0;
}

int ivshmem_channel_send(struct ivshmem_channel *channel, const void *data,
			 size_t size, unsigned int flags, int64_t deadline)
{
	struct direction *direction = &channel->directions[OUT];
	void *message = NULL;

	if (size <= SHORT && !(flags & ~IVSHMEM_MORE) && direction_is_open(direction))
		message = buffer_reserve(&direction->out, size);
	if (!message)
		return send_any(direction, data, size, flags, deadline);
	copy_short(message, data, size);
	direction->reserved = DIRECTION_NOTHING;
	commit(direction, size, flags);
	return 0;
}

/* Receiving */

/*
 * A look at a header that is about to be written takes its cache line from the producer,
 * so a consumer that is faster slows down every message of a stream. Then it pays to let
 * the producer get ahead, for the next look finds many messages. Where it finds a few, as
 * in questions and answers, that only takes time. So try now and then, and go on while
 * there are many.
 */
REST uint64_t look_again(struct direction *direction)
{
	uint64_t position = buffer_position(&direction->in), header = BUFFER_EMPTY;
	unsigned int looks, pauses;

	if (position < direction->many)
		direction->yields = !(++direction->waits % WAITS);
	for (pauses = direction->yields ? HEAD_START : 0; pauses; pauses--)
		ivshmem_relax();
	for (looks = direction->looks; looks && header == BUFFER_EMPTY; looks--)
		header = buffer_load(&direction->in);
	if (header == BUFFER_EMPTY)
		direction->yields = false;
	direction->many = position + MANY * buffer_record(header - 1);
	return header;
}

/* The next header. If the other end is busy it comes soon: look for that first. */
FAST uint64_t look_for_header(struct direction *direction, int64_t deadline)
{
	uint64_t header = buffer_load(&direction->in);

	return header == BUFFER_EMPTY && deadline && direction->looks ? look_again(direction) :
									header;
}

/* Make the buffer's record and size those of the next message. */
FAST int peek(struct direction *direction, int64_t deadline)
{
	if (direction_is_open(direction) &&
	    (direction->in.record || (look_for_header(direction, deadline) != BUFFER_EMPTY &&
				      buffer_look(&direction->in) == BUFFER_MESSAGE)))
		return 0;
	return ivshmem_direction_await(direction, deadline);
}

FAST void release(struct direction *direction, uint64_t record)
{
	buffer_skip(&direction->in, record);
	direction_free(direction, memory_order_release);
}

int ivshmem_channel_peek(struct ivshmem_channel *channel, const void **message,
			 size_t *size, int64_t deadline)
{
	struct direction *direction = &channel->directions[IN];
	int error = peek(direction, deadline);

	if (error)
		return error;
	*message = buffer_message(&direction->in);
	*size = direction->in.size;
	return 0;
}

int ivshmem_channel_release(struct ivshmem_channel *channel)
{
	struct direction *direction = &channel->directions[IN];

	if (!direction_has_buffer(direction))
		return ivshmem_direction_error(direction);
	if (!direction->in.record)
		return ivshmem_fail(-EINVAL, "no message to release: peek comes first");
	release(direction, direction->in.record);
	return 0;
}

REST int64_t receive_any(struct direction *direction, void *buffer, size_t room,
			 int64_t deadline)
{
	int error = peek(direction, deadline);
	uint64_t size;

	if (error)
		return error;
	size = direction->in.size;
	if (size > room)
		return ivshmem_fail(-EMSGSIZE, "a message of %" PRIu64
				    " bytes does not fit into %zu", size, room);
	if (size)
		memcpy(buffer, buffer_message(&direction->in), size);
	release(direction, direction->in.record);
	return (int64_t)size;
}

int64_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer,
			     size_t room, int64_t deadline)
{
	struct direction *direction = &channel->directions[IN];
	uint64_t header = BUFFER_EMPTY;

	if (direction_is_open(direction) && !direction->in.record)
		header = look_for_header(direction, deadline);
	/* What is no message is in no way short: it underflows, or is huge. */
	if (header - 1 > SHORT || header - 1 > room ||
	    !buffer_is_message(&direction->in, header))
		return receive_any(direction, buffer, room, deadline);
	copy_short(buffer, buffer_message(&direction->in), header - 1);
	release(direction, buffer_record(header - 1));
	return (int64_t)(header - 1);
}
