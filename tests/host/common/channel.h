/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Channels on the server that start_server() started, and messages whose
 * contents tell which they are.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "../../guest/pattern.h"
#include "ivshmem_channel.h"
#include "open.h"

#define SECOND		INT64_C(1000000000)
#define PATIENCE	(60 * SECOND)	/* for what must come, on a busy machine */

static inline struct ivshmem_channel *
must_create(struct ivshmem *handle, const struct ivshmem_channel_options *options)
{
	struct ivshmem_channel *channel;
	int error = ivshmem_channel_create(handle, options, &channel);

	if (error)
		tap_bail("cannot create: %s", strerror(-error));
	return channel;
}

static inline struct ivshmem_channel *
must_attach(struct ivshmem *handle, const struct ivshmem_channel_options *options)
{
	struct ivshmem_channel *channel;
	int error = ivshmem_channel_attach(handle, options,
					   ivshmem_after(PATIENCE), &channel);

	if (error)
		tap_bail("cannot attach: %s", strerror(-error));
	return channel;
}

/* Send and receive a short text; waits for neither. */
static inline int say(struct ivshmem_channel *channel, const char *text)
{
	return ivshmem_channel_send(channel, text, strlen(text), 0, 0);
}

/* Whether this text comes next. */
static inline bool hear(struct ivshmem_channel *channel, const char *text,
			int64_t deadline)
{
	char buffer[256];
	int64_t size = ivshmem_channel_recv(channel, buffer, sizeof(buffer),
					    deadline);

	if (size == (int64_t)strlen(text) && !memcmp(buffer, text, size))
		return true;
	if (size < 0)
		tap_note("%s instead of %s", strerror((int)-size), text);
	else
		tap_note("%.*s instead of %s", (int)size, buffer, text);
	return false;
}

/* One message. Neither call waits, so each end has to be called for both. */
static inline bool pass(struct ivshmem_channel *from, struct ivshmem_channel *to)
{
	bool sent = false;
	char text[5];

	return eventually((sent = sent || !say(from, "hello"),
			   ivshmem_channel_recv(to, text, 5, 0) == 5 &&
			   !memcmp(text, "hello", 5)));
}

/* Let both ends see each other. */
static inline void handshake(struct ivshmem_channel *one, struct ivshmem_channel *other)
{
	if (!pass(one, other) || !pass(other, one))
		tap_bail("no handshake of the two ends");
}

#endif /* CHANNEL_H */
