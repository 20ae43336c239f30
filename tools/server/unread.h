/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many messages peers may leave unread.
 *
 * The kernel limits the descriptors in flight from all processes of this user together by
 * RLIMIT_NOFILE. So that peers which do not read cannot starve others, each has a small
 * share of them. So that a user with many peers cannot, either, all of a user's peers have
 * no more than are left: half for one such user, a third each for two, and as much for
 * all others. Whatever the others leave, there is room for one announcement to each.
 */
#ifndef UNREAD_H
#define UNREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peer;
struct server;

/* Those who have peers. */
struct user {
	uid_t uid;
	uint32_t peers;			/* also those that have left */
	uint64_t unread;		/* messages, at most */
	uint32_t tries;			/* to send, since they were counted */
	struct user *next;
};

/* Returns NULL if there is no memory. */
struct user *user_get(struct server *server, uid_t uid);
void user_put(struct server *server, struct user *user);

/* Epoll shall report that there is room when half of the peer's share is free. */
void unread_limit(const struct server *server, int socket);

/* How many messages the peer may get before it reads some. */
uint32_t unread_room(struct server *server, struct peer *peer);

/* The peer has so many messages unread, at most. */
void unread_set(struct server *server, struct peer *peer, uint32_t unread);

/*
 * Free a peer that has left. If it left messages unread and did not close its socket, they are
 * in flight still, and count until they are not.
 */
void unread_leave(struct server *server, struct peer *peer);

/*
 * Free some of those that have nothing unread any more, and do so again after server_pause() if
 * there are others. Gives whether any was freed.
 */
bool unread_tidy(struct server *server);

/* Free all peers that have left. */
void unread_free(struct server *server);

#endif /* UNREAD_H */
