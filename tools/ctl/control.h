/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asking a server on its control socket, without joining it. tools/server/control.h
 * describes the answer.
 */
#ifndef CTL_CONTROL_H
#define CTL_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server_peer {
	uint16_t id;
	pid_t pid;
	uid_t uid;
	int64_t joined;			/* seconds since 1970 */
};

struct server_answer {
	pid_t pid;
	uint64_t size;
	uint32_t vectors;
	uint64_t descriptors, limit;
	struct server_peer *peers;	/* in the order of joining */
	size_t count;
};

/*
 * Ask the server of @socket, and wait at most @ns for it. Returns 0 or a negative errno:
 * -ETIMEDOUT without an answer, -ECONNRESET if the server has closed the connection
 * without one, -EPROTO for nonsense, which @reason explains.
 */
int control_ask(const char *socket, int64_t ns, struct server_answer *answer,
		const char **reason);

void control_free(struct server_answer *answer);

#endif /* CTL_CONTROL_H */
