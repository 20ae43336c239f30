/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One peer: its socket, its eventfds and its pending messages.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

struct server;
struct user;

/* A descriptor watched by epoll and its handler. */
struct watch {
	int fd;
	void (*ready)(struct server *server, struct watch *watch,
		      uint32_t events);
};

/* How far the messages to a peer have got. */
struct progress {
	bool greeted;			/* has got version, own id and memory */
	struct peer *subject;		/* peer to announce next, or NULL */
	uint32_t sent;			/* messages sent of the greeting or the subject */
	size_t nleft;			/* disconnects to report */
};

struct peer {
	struct watch watch;
	uint16_t id;
	uint64_t number;		/* sequence number of joining */
	struct ucred credentials;	/* of the process that joined */
	time_t joined;
	struct peer *previous, *next;	/* in the order of joining */

	struct progress progress;
	uint16_t *left;			/* ids of disconnects to report */
	size_t left_size;

	uint64_t ticket;		/* see peer_queue() */
	bool queued;			/* for a turn */
	uint32_t place;			/* among those queued */
	bool blocked;			/* epoll watches for EPOLLOUT */
	struct user *user;		/* whose process it is, see unread.h */
	uint32_t unread;		/* messages, at most */

	int eventfds[];			/* one per vector */
};

/* Edges: a peer that cannot be served at once is reported once, not all the time. */
#define PEER_EVENTS	(EPOLLIN | EPOLLRDHUP | EPOLLET)

enum send_result { SEND_OK, SEND_LATER, SEND_FAILED };

/* Returns NULL and sets errno on failure. */
struct peer *peer_new(struct server *server, int socket, uint16_t id);
/* The one before the other. */
void peer_close_vectors(const struct server *server, struct peer *peer);
void peer_free(struct server *server, struct peer *peer);

bool progress_is_done(const struct progress *progress);

/* Joining until it has got all of its own vectors. */
bool peer_is_joining(const struct peer *peer);
bool peer_is_waiting(const struct peer *peer);

void peer_notify(struct server *server, struct peer *peer,
		 struct peer *subject);
void peer_forget(struct server *server, struct peer *peer,
		 const struct peer *subject);

/* Queue a peer for a turn of peer_send(), if it has messages and is not queued. */
void peer_queue(struct server *server, struct peer *peer);

/* send.c */
/* Epoll reports EPOLLOUT. */
void peer_has_room(struct server *server, struct peer *peer);
enum send_result peer_send(struct server *server, struct peer *peer);

#endif /* PEER_H */
