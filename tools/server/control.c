// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket.
 *
 * The answer for thousands of peers does not fit into a socket's buffer, and the server
 * must not wait for a client that does not read. So it sends a file. Clients share one
 * until a peer comes or goes: those that never read hold no more memory than that. The
 * old file's descriptor and the reserved one make room for the new file and the
 * connection, so that the server also answers when peers have taken all others.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../control_path.h"
#include "control.h"
#include "limit.h"
#include "log.h"
#include "rights.h"
#include "server.h"

#define SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* The answer */

static void print_path(FILE *out, const char *path)
{
	for (; *path; path++) {
		if (*path > ' ' && *path <= '~' && *path != '\\')
			fputc(*path, out);
		else
			fprintf(out, "\\x%02x", (unsigned char)*path);
	}
}

static void print_answer(FILE *out, const struct server *server)
{
	const struct peer *peer;

	fprintf(out, "control=%d pid=%d size=%" PRIu64 " vectors=%u peers=%u descriptors=%" PRIu64
		" limit=%" PRIu64 " socket=", CONTROL_VERSION, getpid(), server->size,
		server->vectors, server->count, limit_used(server), (uint64_t)server->limit);
	print_path(out, server->control.socket);
	fputc('\n', out);
	for (peer = server->first; peer; peer = peer->next)
		fprintf(out, "peer=%u pid=%d uid=%u joined=%lld\n", peer->id,
			peer->credentials.pid, peer->credentials.uid,
			(long long)peer->joined);
}

static int sealed_file(const char *text, size_t size)
{
	int fd = memfd_create("ivshmem-control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (fd < 0)
		return -1;
	if (write(fd, text, size) == (ssize_t)size && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int new_answer(const struct server *server)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int fd = -1;

	if (!out)
		return -1;
	print_answer(out, server);
	if (fclose(out) == 0)
		fd = sealed_file(text, size);
	free(text);
	return fd;
}

/* Returns the file, or -1 and sets errno. */
static int answer(struct server *server)
{
	struct control *control = &server->control;

	if (control->answer >= 0 && !control->stale)
		return control->answer;
	if (control->answer >= 0)
		close(control->answer);
	control->answer = new_answer(server);
	control->stale = false;
	return control->answer;
}

/* The socket */

/* Returns 0 or an errno. */
static int send_answer(int socket, int fd)
{
	char byte = '\n';
	struct iovec data = { &byte, sizeof(byte) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	union rights rights;

	rights_attach(&message, &rights, fd);
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

static void serve(struct server *server, int socket)
{
	int fd = answer(server);
	int error = fd < 0 ? errno : send_answer(socket, fd);

	close(socket);
	if (error)
		log_event(log_limited(LOG_WARNING), "event=control reason=\"cannot answer: %s\"",
			  strerror(error));
}

static void watch_listener(struct server *server, int operation, uint32_t events)
{
	struct epoll_event event = {
		.events = events,
		.data.ptr = &server->control.listener,
	};

	epoll_ctl(server->epoll, operation, server->control.listener.fd, &event);
}

/* One connection at a time: peers have their turns in between. */
static void control_ready(struct server *server, struct watch *watch, uint32_t events)
{
	int socket, error;

	(void)events;
	if (server->reserve >= 0)
		close(server->reserve);
	socket = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	error = errno;
	if (socket >= 0)
		serve(server, socket);
	server->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (socket >= 0 || (error != EMFILE && error != ENFILE && error != ENOBUFS &&
			    error != ENOMEM))
		return;
	watch_listener(server, EPOLL_CTL_MOD, 0);
	server_pause(server);
}

void control_changed(struct server *server)
{
	server->control.stale = true;
}

void control_resume(struct server *server)
{
	if (server->control.listener.fd >= 0)
		watch_listener(server, EPOLL_CTL_MOD, EPOLLIN);
}

int control_open(struct server *server, int listener, const char *socket)
{
	struct control *control = &server->control;

	*control = (struct control){ { listener, control_ready }, socket, -1, false };
	if (listener < 0)
		return 0;
	if (answer(server) < 0) {
		warn("cannot create the answer of the control socket");
		return -1;
	}
	/* The server is not complete, but its descriptors are. */
	control->stale = true;
	watch_listener(server, EPOLL_CTL_ADD, EPOLLIN);
	return 0;
}

void control_close(struct server *server)
{
	if (server->control.answer >= 0)
		close(server->control.answer);
}
