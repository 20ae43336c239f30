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

/* A descriptor watched by epoll and its handler. */
struct watch {
	int fd;
	void (*ready)(struct server *server, struct watch *watch,
		      uint32_t events);
};

struct peer {
	struct watch watch;
	uint16_t id;
	uint64_t number;		/* sequence number of joining */
	struct ucred credentials;	/* of the process that joined */
	time_t joined;
	struct peer *previous, *next;	/* in the order of joining */
	bool writing;			/* epoll watches for EPOLLOUT */

	bool greeted;			/* has got version, own id and memory */
	struct peer *subject;		/* peer to announce next, or NULL */
	uint32_t sent;			/* messages sent of the greeting or the subject */
	uint16_t *left;			/* ids of disconnects to report */
	size_t nleft, room;

	int eventfds[];			/* one per vector */
};

enum send_result { SEND_OK, SEND_LATER, SEND_FAILED };

/* Returns NULL and sets errno on failure. */
struct peer *peer_new(struct server *server, int socket, uint16_t id);
void peer_free(const struct server *server, struct peer *peer);

bool peer_is_waiting(const struct peer *peer);
void peer_notify(struct server *server, struct peer *peer,
		 struct peer *subject);
void peer_forget(struct server *server, struct peer *peer,
		 const struct peer *subject);
void peer_watch_writing(struct server *server, struct peer *peer,
			bool writing);
enum send_result peer_send(struct server *server, struct peer *peer);

#endif /* PEER_H */
