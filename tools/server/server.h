/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server proper: who is there, and the event loop.
 */
#ifndef SERVER_H
#define SERVER_H

#include <linux/ivshmem.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "peer.h"

struct server {
	int memory;			/* what every peer gets */
	uint32_t vectors;		/* of each peer */
	bool fresh_ids;			/* see free_id() */

	rlim_t limit;			/* of open descriptors */

	int epoll;
	struct watch listener;
	struct watch signals;
	struct watch timer;		/* ends pauses, see server_pause() */
	int reserve;			/* a descriptor to give up in need */
	int stopped_by;			/* signal, or 0 */

	struct peer *first, *last;	/* who is there, as they joined */
	struct peer *peers[IVSHMEM_MAX_PEER + 1];	/* by id */
	uint32_t next;			/* one more than the id given last */
	uint32_t count;
	uint64_t joined;		/* how many ever did */
};

/*
 * Both give 0, or -1 having said what is wrong. From server_open() on a signal
 * that asks to stop is kept for server_run(), which returns then. The listening
 * socket stays the caller's and may come from anywhere.
 */
int server_open(struct server *server);
int server_listen(struct server *server, int listener);
void server_run(struct server *server);
void server_close(struct server *server);

#endif /* SERVER_H */
