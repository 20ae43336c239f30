// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unread messages are counted as they are sent. What has been read meanwhile is known only
 * by asking the kernel, peer by peer, so the counts are upper bounds in between.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "peer.h"
#include "server.h"
#include "unread.h"

#define MIN_SHARES	2048		/* of RLIMIT_NOFILE */
#define MAX_UNREAD	512
#define MESSAGE_COST	768		/* minimum bytes that the kernel accounts */

struct user *user_get(struct server *server, uid_t uid)
{
	struct user *user = server->users;

	while (user && user->uid != uid)
		user = user->next;
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->uid = uid;
		user->next = server->users;
		server->users = user;
	}
	user->peers++;
	return user;
}

void user_put(struct server *server, struct user *user)
{
	struct user **link = &server->users;

	if (--user->peers)
		return;
	while (*link != user)
		link = &(*link)->next;
	*link = user->next;
	free(user);
}

/* Each peer's share is enough for one announcement. */
static uint32_t share_of(const struct server *server)
{
	rlim_t share = server->limit / MIN_SHARES;

	if (share > MAX_UNREAD)
		share = MAX_UNREAD;
	return share > server->vectors ? share : server->vectors + 1;
}

/* Epoll reports EPOLLOUT while the unread messages take at most a quarter of the buffer. */
void unread_limit(const struct server *server, int socket)
{
	/* The kernel doubles the value. */
	int size = 2 * (share_of(server) / 2) * MESSAGE_COST;

	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void unread_set(struct server *server, struct peer *peer, uint32_t unread)
{
	server->unread += unread - (uint64_t)peer->unread;
	peer->user->unread += unread - (uint64_t)peer->unread;
	peer->unread = unread;
}

/* Returns false if the kernel does not tell. */
static bool count(struct server *server, struct peer *peer)
{
	int bytes;

	if (ioctl(peer->watch.fd, SIOCOUTQ, &bytes) < 0)
		return false;
	unread_set(server, peer, bytes / MESSAGE_COST);
	return true;
}

/* A look at all peers for as many tries to send: that costs next to nothing for each. */
static void count_all(struct server *server, struct user *user)
{
	struct peer *peer;

	if (user->tries < server->count)
		return;
	user->tries = 0;
	for (peer = server->first; peer; peer = peer->next)
		count(server, peer);
}

static bool is_allowed(const struct server *server, const struct user *user)
{
	return server->unread + user->unread < server->limit;
}

static bool may_leave_more(struct server *server, struct user *user)
{
	user->tries++;
	if (!is_allowed(server, user))
		count_all(server, user);
	return is_allowed(server, user);
}

/*
 * All peers can have one announcement unread at the same time: the server has no more of
 * them than it has descriptors for their vectors.
 */
int unread_room(struct server *server, struct peer *peer, uint32_t *room)
{
	uint32_t share = share_of(server), one = server->vectors + 1;

	/* A peer that reads must not seem slow halfway through an announcement. */
	if (peer->unread + one > share && !count(server, peer))
		return EAGAIN;
	if (peer->unread >= share)
		return EAGAIN;
	if (!may_leave_more(server, peer->user)) {
		if (!count(server, peer) || peer->unread >= one)
			return ETOOMANYREFS;
		share = one;
	}
	*room = share - peer->unread;
	return 0;
}
