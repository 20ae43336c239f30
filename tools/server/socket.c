// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binding a socket's path without a race: the holder of the lock file beside it may
 * replace a stale socket, and a stale control socket. Other servers do not take the
 * lock, so a socket with a listener is never replaced. The path of an inherited socket
 * belongs to its creator.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../control_path.h"
#include "lock.h"
#include "socket.h"

#define MAX_PATH	(sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

int socket_path(const char *path)
{
	if (strlen(path) > MAX_PATH)
		warnx("invalid socket path \"%s\": it is longer than %zu bytes; use a shorter one (-S)",
		      path, MAX_PATH);
	else if (is_control_path(path))
		warnx("invalid socket path \"%s\": the end \"" CONTROL_SUFFIX "\" is for control sockets; use another path (-S)",
		      path);
	else
		return 0;
	return -1;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, path);
	return address;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		warn("cannot create a socket");
	return fd;
}

/* Is there no listener on the existing socket? */
static int check_stale(const struct sockaddr_un *address)
{
	struct ucred credentials = { 0 };
	socklen_t length = sizeof(credentials);
	int error = 0;
	int fd = new_socket();

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)address,
		    sizeof(*address)) < 0)
		error = errno;
	else
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
	close(fd);
	if (error == ECONNREFUSED)
		return 0;
	if (error && error != EAGAIN) {
		errno = error;
		warn("cannot check whether socket %s is in use",
		     address->sun_path);
	} else {
		warnx("process %d is listening on %s; stop it or use another socket (-S)",
		      credentials.pid, address->sun_path);
	}
	return -1;
}

static int make_room(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		warn("cannot use socket %s", path);
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		warnx("%s exists and is not a socket; use another path (-S)",
		      path);
		return -1;
	}
	if (check_stale(address) < 0)
		return -1;
	if (unlink(path) == 0)
		return 0;
	warn("cannot replace stale socket %s", path);
	return -1;
}

/* Set the umask, because bind() creates the socket with its final permissions. */
static int bind_and_listen(struct listener *listener,
			   const struct sockaddr_un *address)
{
	mode_t mask = umask(0);
	int error;

	umask(listener->mode < 0 ? mask : 0777 & ~listener->mode);
	error = bind(listener->fd, (const struct sockaddr *)address,
		     sizeof(*address));
	umask(mask);
	if (error < 0) {
		warn("cannot create socket %s", listener->path);
		return -1;
	}
	if (lstat(listener->path, &listener->bound) == 0 &&
	    listen(listener->fd, SOMAXCONN) == 0)
		return 0;
	warn("cannot listen on %s", listener->path);
	remove_own(listener->path, &listener->bound);
	return -1;
}

static int take_lock(struct listener *listener)
{
	if (asprintf(&listener->lock_path, "%s.lock", listener->path) < 0) {
		listener->lock_path = NULL;
		warn("cannot use socket %s", listener->path);
		return -1;
	}
	listener->lock = lock_file(listener->lock_path, "socket lock",
				   "use another socket (-S)");
	return listener->lock < 0 ? -1 : 0;
}

static int listen_at_path(struct listener *listener)
{
	struct sockaddr_un address = address_of(listener->path);

	if (make_room(&address) < 0)
		return -1;
	listener->fd = new_socket();
	if (listener->fd < 0)
		return -1;
	if (bind_and_listen(listener, &address) == 0)
		return 0;
	close(listener->fd);
	listener->fd = -1;
	return -1;
}

/* A start that fails leaves the ids that an earlier server has noted in the lock. */
static void drop_lock(struct listener *listener)
{
	struct stat st;

	if (listener->lock >= 0 && !listener->serves && fstat(listener->lock, &st) == 0 &&
	    st.st_size)
		close(listener->lock);
	else if (listener->lock >= 0)
		lock_remove(listener->lock_path, listener->lock);
	free(listener->lock_path);
}

static int adopt(struct listener *listener)
{
	struct sockaddr_un address = { 0 };
	socklen_t length = sizeof(address) - 1;

	listener->fd = listener->inherited;
	if (getsockname(listener->fd, (struct sockaddr *)&address, &length) < 0) {
		warn("cannot use the inherited socket");
		return -1;
	}
	/* By convention, '@' stands for the zero byte of an abstract name. */
	if (!address.sun_path[0])
		address.sun_path[0] = '@';
	if (listener->path && strcmp(listener->path, address.sun_path)) {
		warnx("the inherited socket is %s, not %s; omit -S or change ListenStream= in the socket unit",
		      address.sun_path, listener->path);
		return -1;
	}
	if (listener->mode >= 0) {
		warnx("--mode does not apply to an inherited socket; use SocketMode= in the socket unit");
		return -1;
	}
	strcpy(listener->own_path, address.sun_path);
	listener->path = listener->own_path;
	return 0;
}

int listener_open(struct listener *listener)
{
	listener->fd = -1;
	listener->lock = -1;
	listener->lock_path = NULL;
	if (listener->inherited >= 0)
		return adopt(listener);
	if (!listener->path)
		listener->path = "/tmp/ivshmem_socket";
	if (take_lock(listener) == 0 && listen_at_path(listener) == 0)
		return 0;
	drop_lock(listener);
	return -1;
}

int listener_open_control(struct listener *control, const struct listener *listener)
{
	control->fd = -1;
	control->lock = -1;
	control->lock_path = NULL;
	control->mode = listener->mode;
	if (listener->inherited >= 0 && control->inherited < 0)
		return 0;
	if (strlen(listener->path) + strlen(CONTROL_SUFFIX) > MAX_PATH) {
		warnx("there is no control socket, because the path %s is too long for one beside it",
		      listener->path);
		return 0;
	}
	stpcpy(stpcpy(control->own_path, listener->path), CONTROL_SUFFIX);
	control->path = control->own_path;
	if (control->inherited >= 0)
		return adopt(control);
	return listen_at_path(control);
}

void listener_close(struct listener *listener)
{
	if (listener->fd < 0)
		return;
	if (listener->inherited < 0)
		remove_own(listener->path, &listener->bound);
	close(listener->fd);
	drop_lock(listener);
}
