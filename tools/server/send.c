// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending to a peer: many messages per system call, as far as its socket has room.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "peer.h"
#include "rights.h"
#include "server.h"
#include "unread.h"

#define PROTOCOL_VERSION	0
#define MEMORY_MESSAGE		(-1)
#define GREETING		3	/* number of messages */
#define BATCH			64	/* messages per system call */

/* One message: eight bytes, little-endian, and a descriptor unless it is -1. */
struct message {
	uint64_t little;
	struct iovec data;
	union rights rights;
};

/* Room */

static void watch_room(struct server *server, struct peer *peer, bool blocked)
{
	struct epoll_event event = {
		.events = PEER_EVENTS | (blocked ? EPOLLOUT : 0),
		.data.ptr = &peer->watch,
	};

	if (peer->blocked == blocked)
		return;
	peer->blocked = blocked;
	epoll_ctl(server->epoll, EPOLL_CTL_MOD, peer->watch.fd, &event);
}

/*
 * Epoll reports that once. A peer whose messages have become needless meanwhile is blocked
 * no more, or it would never get the next ones.
 */
void peer_has_room(struct server *server, struct peer *peer)
{
	if (!peer_is_waiting(peer))
		watch_room(server, peer, false);
	peer_queue(server, peer);
}

/* Messages */

/*
 * Disconnects go first, because the id may be reused. But they must not interrupt the
 * vectors of another peer: clients take any other message as the end of that list.
 */
static bool disconnect_is_next(const struct progress *progress)
{
	return progress->nleft && !progress->sent;
}

/* The next message; gives its descriptor or -1. */
static int next_message(const struct server *server, const struct peer *peer,
			const struct progress *progress, int64_t *value)
{
	if (disconnect_is_next(progress)) {
		*value = peer->left[progress->nleft - 1];
		return -1;
	}
	if (progress->greeted) {
		*value = progress->subject->id;
		return progress->subject->eventfds[progress->sent];
	}
	if (progress->sent == 2) {
		*value = MEMORY_MESSAGE;
		return server->memory;
	}
	*value = progress->sent ? peer->id : PROTOCOL_VERSION;
	return -1;
}

static void advance(const struct server *server, struct progress *progress)
{
	if (disconnect_is_next(progress)) {
		progress->nleft--;
		return;
	}
	if (++progress->sent < (progress->greeted ? server->vectors : GREETING))
		return;
	progress->sent = 0;
	if (progress->greeted)
		progress->subject = progress->subject->next;
	progress->greeted = true;
}

static void pack(struct message *message, struct msghdr *header, int64_t value, int fd)
{
	message->little = htole64((uint64_t)value);
	message->data = (struct iovec){ &message->little, sizeof(message->little) };
	*header = (struct msghdr){ .msg_iov = &message->data, .msg_iovlen = 1 };
	if (fd >= 0)
		rights_attach(header, &message->rights, fd);
}

/* Returns 0 if at least one message was sent, else an errno. */
static int send_batch(struct server *server, struct peer *peer, uint32_t room)
{
	static struct message messages[BATCH];
	static struct mmsghdr headers[BATCH];
	struct progress ahead = peer->progress;
	uint32_t count = 0;
	int sent, i;

	while (count < BATCH && count < room && !progress_is_done(&ahead)) {
		int64_t value;
		int fd = next_message(server, peer, &ahead, &value);

		pack(&messages[count], &headers[count].msg_hdr, value, fd);
		advance(server, &ahead);
		count++;
	}
	/* The kernel sends each message as a whole or not at all. */
	sent = sendmmsg(peer->watch.fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno;
	for (i = 0; i < sent; i++)
		advance(server, &peer->progress);
	unread_set(server, peer, peer->unread + sent);
	return 0;
}

static int send_some(struct server *server, struct peer *peer)
{
	uint32_t room = unread_room(server, peer);

	return room ? send_batch(server, peer, room) : EAGAIN;
}

/*
 * Send a batch, and queue the peer for another; if the socket is full, epoll reports when
 * it has room. SEND_LATER means that the kernel is out of something whose return epoll
 * does not report: descriptors in flight (ETOOMANYREFS) or memory.
 */
enum send_result peer_send(struct server *server, struct peer *peer)
{
	bool joining = peer_is_joining(peer);
	int error = send_some(server, peer);

	if (joining && (error == EAGAIN || !peer_is_joining(peer)))
		server_hold(server, error == EAGAIN);
	/*
	 * With any other error the kernel gives back the room that it had taken. Epoll
	 * would report that, and the server try again without a pause.
	 */
	if (error || !peer_is_waiting(peer))
		watch_room(server, peer, error == EAGAIN);
	/* See peer_queue(). */
	if (!peer_is_waiting(peer) || (peer->blocked && !peer_is_joining(peer)))
		peer->ticket = 0;
	switch (error) {
	case 0:
	case EINTR:
		peer_queue(server, peer);
		return SEND_OK;
	case EAGAIN:
		return SEND_OK;
	case ETOOMANYREFS:
	case ENOBUFS:
	case ENOMEM:
		return SEND_LATER;
	default:
		return SEND_FAILED;
	}
}
