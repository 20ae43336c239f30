// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: the servers of this machine.
 *
 * Any program can listen on a socket with any path. So a server is what answers on a
 * control socket; a server without one, such as QEMU's own, is not noticed.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "ctl.h"
#include "doctor.h"
#include "servers.h"
#include "textfile.h"

#define SECOND		INT64_C(1000000000)
#define ONE_NS		(5 * SECOND)	/* a service manager may have to start it */
#define ALL_NS		(15 * SECOND)	/* for all servers together */

/* Whether members of our group may join it. A server of one user is nobody else's matter. */
static bool is_for_group(const char *socket)
{
	struct stat status;

	return !stat(below("%s", socket), &status) && is_our_group(status.st_gid) &&
	       (status.st_mode & 0060) == 0060;
}

/* Returns whether there is a server. */
static bool examine_server(const char *socket, json_t *usable)
{
	struct server_answer answer = { 0 };
	const char *reason;
	int error = control_ask(below("%s", socket), ONE_NS, &answer, &reason);

	control_free(&answer);
	if (!error && access(below("%s", socket), W_OK))
		error = -errno;
	switch (-error) {
	case 0:
		json_array_append_new(usable, json_bytes(socket));
		return true;
	case EACCES:
	case EPERM:
		if (!is_for_group(socket))
			return false;
		complain_membership(socket);
		return true;
	case ETIMEDOUT:
	case ECONNRESET:
		problem("server-silent",
			"the server of %s does not answer: see its log, then restart it", socket);
		return true;
	default:	/* another program */
		return false;
	}
}

/* Those for the group first: any user can have others that keep silent until the end. */
bool examine_servers(json_t *usable)
{
	int64_t end = now_ns() + ALL_NS;
	char **sockets;
	int count = servers_find(below("%s", ""), &sockets);
	bool found = false;

	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < count && now_ns() < end; i++)
			if (is_for_group(sockets[i]) == !pass)
				found |= examine_server(sockets[i], usable);
	if (count >= 0)
		free_names(sockets, count);
	return found;
}
