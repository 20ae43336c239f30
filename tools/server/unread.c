// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unread messages are counted as they are sent. What has been read meanwhile is known only
 * by asking the kernel, peer by peer, so the counts are upper bounds in between.
 */
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "peer.h"
#include "server.h"
#include "unread.h"

#define MIN_SHARES	2048		/* of RLIMIT_NOFILE */
#define MAX_UNREAD	512
#define MESSAGE_COST	768		/* minimum bytes that the kernel accounts */
#define TIDY		64		/* peers that have left, looked at once */

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

/* If the kernel does not tell, the number stays what it was. */
static void count(struct server *server, struct peer *peer)
{
	int bytes;

	if (!ioctl(peer->watch.fd, SIOCOUTQ, &bytes))
		unread_set(server, peer, bytes / MESSAGE_COST);
}

/* A look at all peers for as many tries to send: that costs next to nothing for each. */
static void count_all(struct server *server, struct user *user)
{
	struct peer *peer;

	if (user->tries < server->count + server->left)
		return;
	user->tries = 0;
	for (peer = server->first; peer; peer = peer->next)
		count(server, peer);
	for (peer = server->leaving; peer; peer = peer->next)
		count(server, peer);
}

static bool is_allowed(const struct server *server, const struct user *user)
{
	uint64_t least = (uint64_t)server->count * (server->vectors + 1);

	return server->unread + user->unread + least < server->limit;
}

static bool may_leave_more(struct server *server, struct user *user)
{
	user->tries++;
	if (!is_allowed(server, user))
		count_all(server, user);
	return is_allowed(server, user);
}

uint32_t unread_room(struct server *server, struct peer *peer)
{
	uint32_t one = server->vectors + 1;
	uint32_t share = may_leave_more(server, peer->user) ? share_of(server) : one;

	/* A peer that reads must not seem slow halfway through an announcement. */
	if (peer->unread + one > share)
		count(server, peer);
	return peer->unread < share ? share - peer->unread : 0;
}

/* Those that have left: a queue, as most of them will have closed their sockets by then. */
static void append(struct server *server, struct peer *peer)
{
	peer->next = NULL;
	*(server->leaving ? &server->leaving_last->next : &server->leaving) = peer;
	server->leaving_last = peer;
	server->left++;
}

static struct peer *take_first(struct server *server)
{
	struct peer *peer = server->leaving;

	if (peer) {
		server->leaving = peer->next;
		server->left--;
	}
	return peer;
}

/*
 * What the client has sent may contain its own end of the connection, which would stay open,
 * and all that is unread with it.
 */
static void discard(int socket)
{
	char bytes[4096];

	while (recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

void unread_leave(struct server *server, struct peer *peer)
{
	count(server, peer);
	if (!peer->unread) {
		peer_free(server, peer);
		return;
	}
	/* It gets no more events, and sees the end after what it has not read. */
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, peer->watch.fd, NULL);
	shutdown(peer->watch.fd, SHUT_RDWR);
	discard(peer->watch.fd);
	append(server, peer);
	server_pause(server);
}

bool unread_tidy(struct server *server)
{
	uint32_t before = server->left;

	for (int n = 0; n < TIDY && server->leaving; n++) {
		struct peer *peer = take_first(server);

		count(server, peer);
		if (peer->unread)
			append(server, peer);
		else
			peer_free(server, peer);
	}
	if (server->left)
		server_pause(server);
	return server->left < before;
}

void unread_free(struct server *server)
{
	struct peer *peer;

	while ((peer = take_first(server)))
		peer_free(server, peer);
}
