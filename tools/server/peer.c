// SPDX-License-Identifier: GPL-2.0-only
/*
 * The messages that a peer is to get.
 *
 * Peers are announced in the order they joined, so one pointer per peer marks the
 * first that is still to be announced to it. A disconnect is reported only if the
 * peer was announced before. So a peer that never reads costs next to nothing,
 * however many others come and go meanwhile, and gets a consistent state when it
 * reads again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "server.h"
#include "unread.h"

/*
 * The protocol does not say how many vectors there are. This flag of a peer's last
 * eventfd does, for libivshmem. It has no effect on an eventfd, and other clients
 * do not look at it.
 */
#define LAST_VECTOR		O_APPEND

static int open_eventfds(const struct server *server, struct peer *peer)
{
	uint32_t vector;
	int error;

	for (vector = 0; vector < server->vectors; vector++) {
		int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

		peer->eventfds[vector] = fd;
		if (fd >= 0)
			continue;
		error = errno;
		while (vector--)
			close(peer->eventfds[vector]);
		errno = error;
		return -1;
	}
	fcntl(peer->eventfds[vector - 1], F_SETFL, O_NONBLOCK | LAST_VECTOR);
	return 0;
}

struct peer *peer_new(struct server *server, int socket, uint16_t id)
{
	socklen_t length = sizeof(struct ucred);
	struct peer *peer;

	peer = calloc(1, sizeof(*peer) +
		      server->vectors * sizeof(peer->eventfds[0]));
	if (!peer)
		return NULL;
	peer->id = id;
	peer->watch.fd = socket;
	getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer->credentials, &length);
	peer->user = user_get(server, peer->credentials.uid);
	if (peer->user && open_eventfds(server, peer) == 0)
		return peer;
	if (peer->user)
		user_put(server, peer->user);
	free(peer);
	return NULL;
}

void peer_close_vectors(const struct server *server, struct peer *peer)
{
	uint32_t vector;

	for (vector = 0; vector < server->vectors; vector++)
		close(peer->eventfds[vector]);
}

void peer_free(struct server *server, struct peer *peer)
{
	close(peer->watch.fd);
	unread_set(server, peer, 0);
	user_put(server, peer->user);
	free(peer->left);
	free(peer);
}

/* Pending messages */

bool peer_is_joining(const struct peer *peer)
{
	const struct progress *progress = &peer->progress;

	return !progress->greeted ||
	       (progress->subject && progress->subject->number <= peer->number);
}

bool progress_is_done(const struct progress *progress)
{
	return progress->greeted && !progress->nleft && !progress->subject;
}

bool peer_is_waiting(const struct peer *peer)
{
	return !progress_is_done(&peer->progress);
}

/*
 * A newcomer keeps the ticket that it drew when it joined: its introduction ends before
 * that of the next begins, unless its socket is full. Peers that know it by then have
 * drawn theirs before. A peer whose socket was full draws another for each batch: what
 * it has missed delays no newcomer for long.
 */
void peer_queue(struct server *server, struct peer *peer)
{
	if (peer->queued || !peer_is_waiting(peer))
		return;
	if (!peer->ticket)
		peer->ticket = turns_draw(&server->turns);
	turns_add(&server->turns, peer);
}

/* A peer whose socket is full is queued when epoll reports that there is room. */
static void queue_unless_blocked(struct server *server, struct peer *peer)
{
	if (!peer->blocked)
		peer_queue(server, peer);
}

static int make_room(struct peer *peer)
{
	size_t size = 2 * peer->left_size + 16;
	uint16_t *left;

	if (peer->progress.nleft < peer->left_size)
		return 0;
	left = reallocarray(peer->left, size, sizeof(*left));
	if (!left)
		return -1;
	peer->left = left;
	peer->left_size = size;
	return 0;
}

/* Announce the subject, and all that joined after it, to the peer. */
void peer_notify(struct server *server, struct peer *peer,
		 struct peer *subject)
{
	if (!peer->progress.subject)
		peer->progress.subject = subject;
	queue_unless_blocked(server, peer);
}

/* The subject has disconnected and is no longer in the list. */
void peer_forget(struct server *server, struct peer *peer,
		 const struct peer *subject)
{
	struct progress *progress = &peer->progress;
	bool announced = !progress->subject || subject->number < progress->subject->number;

	if (progress->subject == subject) {
		announced = progress->greeted && progress->sent;
		if (announced)
			progress->sent = 0;
		progress->subject = subject->next;
	}
	if (!announced)
		return;
	if (make_room(peer) < 0) {
		/* The disconnect cannot be reported: drop the connection instead. */
		shutdown(peer->watch.fd, SHUT_RDWR);
		return;
	}
	peer->left[progress->nleft++] = subject->id;
	queue_unless_blocked(server, peer);
}
