// SPDX-License-Identifier: GPL-2.0-only
/*
 * The server's limit of descriptors. A peer needs one for its socket, and one per
 * vector.
 */
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include "limit.h"
#include "log.h"
#include "server.h"

void limit_raise(struct server *server)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	server->limit = limit.rlim_max;
}

uint64_t limit_used(const struct server *server)
{
	return server->base + (uint64_t)server->count * (server->vectors + 1) + server->left;
}

/* Once, when three quarters are in use, and again only after half were free. */
void limit_check(struct server *server)
{
	uint64_t used = limit_used(server);

	if (used < server->limit / 2)
		server->warned = false;
	if (used < server->limit - server->limit / 4 || server->warned)
		return;
	server->warned = true;
	log_event(LOG_WARNING,
		  "event=limit peers=%u descriptors=%llu limit=%llu room=%llu advice=\"raise LimitNOFILE= of the service, or the hard limit (ulimit -Hn), before more peers than there is room for are refused\"",
		  server->count, (unsigned long long)used,
		  (unsigned long long)server->limit,
		  (unsigned long long)(used < server->limit ?
		  (server->limit - used) / (server->vectors + 1) : 0));
}
