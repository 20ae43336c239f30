/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket: tells an administrator about the server and its peers.
 *
 * The server sends each client one byte with the descriptor of a file and closes the
 * connection. The file is sealed and shared by clients, which read it by pread(). It has
 * a line for the server, then one for each peer, of key=value pairs:
 *
 *	control=1 pid=9 size=4096 vectors=1 peers=1 descriptors=16 limit=1024 socket=/a/path
 *	peer=0 pid=10 uid=1000 joined=1764394583
 *
 * "control" is the version of this format. Clients ignore keys that they do not know.
 * "joined" is in seconds since 1970. In a path, spaces, backslashes and what is not
 * printable ASCII are \xNN.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>

#include "peer.h"

struct server;

struct control {
	struct watch listener;		/* its fd is -1 without a control socket */
	const char *socket;		/* path of the server's socket */
	int answer;			/* the file of the last answer, or -1 */
	bool stale;			/* something has changed since */
};

/*
 * Answer on a listening socket (-1: none), which the caller owns. Returns 0, or -1 after
 * a message.
 */
int control_open(struct server *server, int listener, const char *socket);
void control_close(struct server *server);

/* A peer has come or gone. */
void control_changed(struct server *server);

/* Watch the socket again after server_pause(). */
void control_resume(struct server *server);

#endif /* CONTROL_H */
