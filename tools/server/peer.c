// SPDX-License-Identifier: GPL-2.0-only
/*
 * The messages to a peer.
 *
 * Peers are announced in the order they joined, so one pointer per peer marks the
 * first that is still to be announced to it. A disconnect is reported only if the
 * peer was announced before. So a peer that never reads costs next to nothing,
 * however many others come and go meanwhile, and gets a consistent state when it
 * reads again.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "server.h"

#define PROTOCOL_VERSION	0
#define MEMORY_MESSAGE		(-1)
#define GREETING		3	/* number of messages */

/*
 * The protocol does not say how many vectors there are. This flag of a peer's last
 * eventfd does, for libivshmem. It has no effect on an eventfd, and other clients
 * do not look at it.
 */
#define LAST_VECTOR		O_APPEND

struct peer *peer_new(struct server *server, int socket, uint16_t id)
{
	struct peer *peer;
	uint32_t vector;
	int error;

	peer = calloc(1, sizeof(*peer) +
		      server->vectors * sizeof(peer->eventfds[0]));
	if (!peer)
		return NULL;
	peer->id = id;
	peer->watch.fd = socket;
	for (vector = 0; vector < server->vectors; vector++) {
		int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

		peer->eventfds[vector] = fd;
		if (fd >= 0)
			continue;
		error = errno;
		while (vector--)
			close(peer->eventfds[vector]);
		free(peer);
		errno = error;
		return NULL;
	}
	fcntl(peer->eventfds[vector - 1], F_SETFL, O_NONBLOCK | LAST_VECTOR);
	return peer;
}

void peer_free(const struct server *server, struct peer *peer)
{
	uint32_t vector;

	for (vector = 0; vector < server->vectors; vector++)
		close(peer->eventfds[vector]);
	close(peer->watch.fd);
	free(peer->left);
	free(peer);
}

/* Pending messages */

bool peer_is_waiting(const struct peer *peer)
{
	return !peer->greeted || peer->nleft || peer->subject;
}

static int make_room(struct peer *peer)
{
	size_t room = 2 * peer->room + 16;
	uint16_t *left;

	if (peer->nleft < peer->room)
		return 0;
	left = reallocarray(peer->left, room, sizeof(*left));
	if (!left)
		return -1;
	peer->left = left;
	peer->room = room;
	return 0;
}

/*
 * Announce the subject, and all that joined after it, to the peer. The event loop sends
 * the messages when the socket has room.
 */
void peer_notify(struct server *server, struct peer *peer,
		 struct peer *subject)
{
	if (!peer->subject)
		peer->subject = subject;
	peer_watch_writing(server, peer, true);
}

/* The subject has disconnected and is no longer in the list. */
void peer_forget(struct server *server, struct peer *peer,
		 const struct peer *subject)
{
	bool announced = !peer->subject || subject->number < peer->subject->number;

	if (peer->subject == subject) {
		announced = peer->greeted && peer->sent;
		if (announced)
			peer->sent = 0;
		peer->subject = subject->next;
	}
	if (!announced)
		return;
	if (make_room(peer) < 0) {
		/* The disconnect cannot be reported: drop the connection instead. */
		shutdown(peer->watch.fd, SHUT_RDWR);
		return;
	}
	peer->left[peer->nleft++] = subject->id;
	peer_watch_writing(server, peer, true);
}

void peer_watch_writing(struct server *server, struct peer *peer, bool writing)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP | (writing ? EPOLLOUT : 0),
		.data.ptr = &peer->watch,
	};

	if (peer->writing == writing)
		return;
	peer->writing = writing;
	epoll_ctl(server->epoll, EPOLL_CTL_MOD, peer->watch.fd, &event);
}

/* Sending */

/* One message: eight bytes, little-endian, and a descriptor unless it is -1. */
static int send_message(int socket, int64_t value, int fd)
{
	uint64_t little = htole64((uint64_t)value);
	struct iovec data = { &little, sizeof(little) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	/* The kernel sends eight bytes at once or none. */
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ?
	       errno : 0;
}

/*
 * Disconnects go first, because the id may be reused. But they must not interrupt the
 * vectors of another peer: clients take any other message as the end of that list.
 */
static bool disconnect_is_next(const struct peer *peer)
{
	return peer->nleft && !peer->sent;
}

static int send_next(const struct server *server, const struct peer *peer)
{
	int socket = peer->watch.fd;

	if (disconnect_is_next(peer))
		return send_message(socket, peer->left[peer->nleft - 1], -1);
	if (peer->greeted)
		return send_message(socket, peer->subject->id,
				    peer->subject->eventfds[peer->sent]);
	if (peer->sent == 0)
		return send_message(socket, PROTOCOL_VERSION, -1);
	if (peer->sent == 1)
		return send_message(socket, peer->id, -1);
	return send_message(socket, MEMORY_MESSAGE, server->memory);
}

static void advance(const struct server *server, struct peer *peer)
{
	if (disconnect_is_next(peer)) {
		peer->nleft--;
		return;
	}
	if (++peer->sent < (peer->greeted ? server->vectors : GREETING))
		return;
	peer->sent = 0;
	if (peer->greeted)
		peer->subject = peer->subject->next;
	peer->greeted = true;
}

/*
 * Send one message; epoll reports when the socket has room for another. SEND_LATER means
 * that the kernel is out of something whose return epoll does not report: descriptors
 * in flight (ETOOMANYREFS) or memory.
 */
enum send_result peer_send(struct server *server, struct peer *peer)
{
	switch (peer_is_waiting(peer) ? send_next(server, peer) : EAGAIN) {
	case 0:
		advance(server, peer);
		break;
	case EAGAIN:
	case EINTR:
		break;
	case ETOOMANYREFS:
	case ENOBUFS:
	case ENOMEM:
		peer_watch_writing(server, peer, false);
		return SEND_LATER;
	default:
		return SEND_FAILED;
	}
	if (!peer_is_waiting(peer))
		peer_watch_writing(server, peer, false);
	return SEND_OK;
}
