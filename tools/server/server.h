/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server: the peers and the event loop.
 */
#ifndef SERVER_H
#define SERVER_H

#include <ivshmem.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "control.h"
#include "ids.h"
#include "peer.h"
#include "turns.h"

struct server {
	int memory;			/* passed to each peer */
	uint64_t size;			/* of the memory */
	uint32_t vectors;		/* per peer */
	bool reuse_ids;			/* see free_id() */
	struct ids ids;			/* have the next id */

	rlim_t limit;			/* RLIMIT_NOFILE */
	uint32_t base;			/* descriptors without peers */
	bool warned;			/* of the limit */
	struct user *users;		/* see unread.h */
	uint64_t unread;		/* messages of all peers, at most */
	struct peer *leaving, *leaving_last;	/* see unread_leave() */
	uint32_t left;			/* how many these are */

	int epoll;
	struct watch listener;
	uint64_t caller;		/* ticket of a peer to accept, or 0 */
	int64_t hold;			/* until when none is accepted, or 0 */
	struct watch signals;
	struct watch timer;		/* see server_pause() */
	bool paused;			/* until then */
	struct watch status;		/* timer, see status_changed() */
	bool status_pending;
	struct control control;
	int reserve;			/* spare descriptor, see turn_away() */
	int stopped_by;			/* signal, or 0 */

	struct turns turns;
	struct peer *first, *last;	/* in the order of joining */
	struct peer *peers[IDS];	/* by id */
	uint32_t first_id;		/* those below are of an earlier server's peers */
	uint32_t next;			/* last assigned id plus one */
	uint32_t count;
	uint64_t joined;		/* total since the start */
};

/*
 * Return 0, or -1 after a message. After server_open(), SIGTERM and its like are queued
 * for server_run(), which then returns. The caller owns the listening socket.
 */
int server_open(struct server *server);
int server_listen(struct server *server, int listener);
void server_run(struct server *server);
void server_close(struct server *server);

/* Accept nobody for a moment (on), or no longer hold that back. */
void server_hold(struct server *server, bool on);

/*
 * After a shortage whose end is not reported: retry after a delay, to avoid a busy
 * loop.
 */
void server_pause(struct server *server);

#endif /* SERVER_H */
