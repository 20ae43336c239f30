/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One peer: its socket, its eventfds, and what it has yet to be told.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

/* What epoll watches: its descriptor and who deals with it. */
struct watch {
	int fd;
	void (*ready)(struct server *server, struct watch *watch,
		      uint32_t events);
};

struct peer {
	struct watch watch;
	uint16_t id;
	uint64_t number;		/* of those who ever joined */
	struct peer *previous, *next;	/* in the order they joined */
	bool writing;			/* epoll watches for room to send */

	bool greeted;			/* has version, own id, memory */
	struct peer *subject;		/* of whom it is told next, or NULL */
	uint32_t sent;			/* messages of the greeting or subject */
	uint16_t *left;			/* ids it was told of that are gone */
	size_t nleft, room;

	int eventfds[];			/* one for each vector */
};

enum send_result { SEND_OK, SEND_LATER, SEND_FAILED };

/* NULL and errno if there is not enough of something. */
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
