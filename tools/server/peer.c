// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a peer has yet to be told, and telling it.
 *
 * A queue holds notices, not messages, and at most two about each subject: that
 * it left and that it joined anew. A join that was not sent when its subject
 * leaves is taken back. So a peer that never reads costs a few bytes for each
 * other, however long it is stuck and however many come and go meanwhile, and
 * when it reads again it gets the truth.
 */
#include <endian.h>
#include <errno.h>
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
#define SEND_AT_ONCE		256	/* then it is another peer's turn */

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
	return peer;
}

void peer_free(const struct server *server, struct peer *peer)
{
	uint32_t vector;

	for (vector = 0; vector < server->vectors; vector++)
		close(peer->eventfds[vector]);
	close(peer->watch.fd);
	free(peer->queue);
	free(peer);
}

/* The queue */

bool peer_is_waiting(const struct peer *peer)
{
	return peer->head != peer->tail;
}

static int make_room(struct peer *peer)
{
	size_t used = peer->tail - peer->head;
	struct notice *queue = peer->queue;

	if (peer->tail < peer->room)
		return 0;
	if (peer->head > peer->room / 2) {
		memmove(queue, queue + peer->head, used * sizeof(*queue));
		peer->head = 0;
		peer->tail = used;
		return 0;
	}
	queue = reallocarray(queue, 2 * peer->room + 16, sizeof(*queue));
	if (!queue)
		return -1;
	peer->queue = queue;
	peer->room = 2 * peer->room + 16;
	return 0;
}

/* Nothing is sent here: the event loop does when the socket has room. */
void peer_notify(struct server *server, struct peer *peer,
		 enum notice_kind kind, uint16_t subject)
{
	if (make_room(peer) < 0) {
		/* It cannot be told the truth any more: hang up on it. */
		shutdown(peer->watch.fd, SHUT_RDWR);
		return;
	}
	peer->queue[peer->tail++] = (struct notice){ kind, subject };
	peer_watch_writing(server, peer, true);
}

void peer_forget(struct server *server, struct peer *peer, uint16_t subject)
{
	struct notice *queue = peer->queue;
	size_t at;

	for (at = peer->head; at < peer->tail; at++)
		if (queue[at].kind == NOTICE_JOIN &&
		    queue[at].subject == subject)
			break;
	if (at == peer->tail) {
		peer_notify(server, peer, NOTICE_LEAVE, subject);
	} else if (at == peer->head && peer->sent) {
		queue[at].kind = NOTICE_LEAVE;
		peer->sent = 0;
	} else {
		peer->tail--;
		memmove(queue + at, queue + at + 1,
			(peer->tail - at) * sizeof(*queue));
	}
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

/* One message: eight bytes, little-endian, and a descriptor unless -1. */
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
	/* The kernel takes eight bytes at once or not at all. */
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ?
	       errno : 0;
}

/* The next message of the first notice. */
static int send_next(const struct server *server, const struct peer *peer)
{
	const struct notice *notice = &peer->queue[peer->head];
	int socket = peer->watch.fd;
	const struct peer *subject;

	if (notice->kind == NOTICE_LEAVE)
		return send_message(socket, notice->subject, -1);
	if (notice->kind == NOTICE_JOIN) {
		subject = server->peers[notice->subject];
		return send_message(socket, subject->id,
				    subject->eventfds[peer->sent]);
	}
	if (peer->sent == 0)
		return send_message(socket, PROTOCOL_VERSION, -1);
	if (peer->sent == 1)
		return send_message(socket, peer->id, -1);
	return send_message(socket, MEMORY_MESSAGE, server->memory);
}

static uint32_t message_count(const struct server *server,
			      const struct notice *notice)
{
	switch (notice->kind) {
	case NOTICE_HELLO:
		return 3;
	case NOTICE_JOIN:
		return server->vectors;
	default:
		return 1;
	}
}

static void advance(const struct server *server, struct peer *peer)
{
	if (++peer->sent < message_count(server, &peer->queue[peer->head]))
		return;
	peer->sent = 0;
	if (++peer->head == peer->tail)
		peer->head = peer->tail = 0;
}

/*
 * Send one message; epoll tells when the socket takes another. SEND_LATER means
 * that the kernel lacks something of which epoll would not tell when it is back:
 * room for descriptors on their way (ETOOMANYREFS), or memory.
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
