// SPDX-License-Identifier: GPL-2.0-only
/* Connections by vsock between the guests of a test: see vsock.h. */
#include <signal.h>
#include <sys/resource.h>

#include "../labels.h"
#include "../vsock.h"

void vsock_make(void)
{
	char name[16];

	snprintf(name, sizeof(name), "guest%d", rig_guest());
	sethostname(name, strlen(name));
	if (!rig_guest())
		tap_eq(sh("ivshmemctl format --force --vsock --ports 4 --device /dev/ivshmem0"), 0,
		       "lay out a partition for vsock");
	rig_ask("barrier vsock");
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "rescan");
}

void vsock_load(void)
{
	tap_eq(sh("insmod /lib/ivshmem_rings.ko; insmod /lib/ivshmem_vsock.ko"), 0,
	       "the driver loads");
	tap_ok(file_comes(VSOCK_NODE "cid_base", true), "it binds to the partition");
}

void vsock_unload(void)
{
	bool gone = false;

	for (int i = 0; i < 200 && !gone; i++, sleep_ms(100))
		gone = !sh("rmmod ivshmem_vsock");
	tap_ok(gone && !sh("rmmod ivshmem_rings"), "the driver unloads");
}

/* Find a line of a file that begins with a number; gives what follows. */
static bool find_line(const char *path, unsigned int number, char *rest)
{
	FILE *f = fopen(path, "r");
	unsigned int found;
	bool ok = false;

	while (f && !ok && fscanf(f, "%u %199[^\n]", &found, rest) == 2)
		ok = found == number;
	if (f)
		fclose(f);
	return ok;
}

/* The slot of a guest, or -1. */
static int slot_of(int guest)
{
	char rest[200], name[64];

	for (int slot = 0; slot < 16; slot++)
		if (find_line("/sys/class/ivshmem/ivshmem0/peers", slot, rest) &&
		    sscanf(rest, "%*s %*s %*s %*s %63s", name) == 1 &&
		    !strncmp(name, "guest", 5) && atoi(name + 5) == guest)
			return slot;
	return -1;
}

/* The line of a guest in "cids", without its slot. */
static bool link_of(int guest, char *rest)
{
	int slot = slot_of(guest);

	return slot >= 0 && find_line(VSOCK_NODE "cids", slot, rest);
}

unsigned int vsock_up(int guest)
{
	char rest[200], state[16];
	unsigned int cid;

	if (!link_of(guest, rest) || sscanf(rest, "%u %15s", &cid, state) != 2)
		return 0;
	return strcmp(state, "up") ? 0 : cid;
}

unsigned int vsock_cid(int guest)
{
	unsigned int cid;

	for (int i = 0; i < 600; i++, sleep_ms(50)) {
		cid = vsock_up(guest);
		if (cid)
			return cid;
	}
	tap_bail("the link to guest %d does not come up", guest);
}

long long vsock_number(int guest, enum vsock_field field)
{
	char rest[200], *word = rest;

	if (!link_of(guest, rest))
		return -1;
	for (int i = 0; i < (int)field; i++)
		word = strchr(word, ' ') + 1;
	return atoll(word);
}

static struct sockaddr_vm address(unsigned int cid, unsigned int port)
{
	return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

int vsock_listen(int type, unsigned int port)
{
	struct sockaddr_vm any = address(VMADDR_CID_ANY, port);
	int fd = socket(AF_VSOCK, type, 0);

	if (fd < 0)
		return -errno;
	if (!bind(fd, (void *)&any, sizeof(any)) && !listen(fd, 1024))
		return fd;
	return result(close(fd)) ?: -EIO;
}

int vsock_connect_from(unsigned int from, int type, unsigned int cid, unsigned int port)
{
	struct sockaddr_vm peer = address(cid, port), own = address(VMADDR_CID_ANY, from);
	struct timeval patience = { .tv_sec = 600 };
	int fd = socket(AF_VSOCK, type, 0), ret;

	if (fd < 0)
		return -errno;
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof(patience));
	ret = result(bind(fd, (void *)&own, sizeof(own)));
	ret = ret ? ret : result(connect(fd, (void *)&peer, sizeof(peer)));
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int vsock_connect(int type, unsigned int cid, unsigned int port)
{
	return vsock_connect_from(VMADDR_PORT_ANY, type, cid, port);
}

int vsock_send(int fd, const void *data, size_t size)
{
	for (ssize_t n; size; data += n, size -= n) {
		n = send(fd, data, size, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
	}
	return 0;
}

int vsock_receive(int fd, void *data, size_t size)
{
	for (ssize_t n; size; data += n, size -= n) {
		n = recv(fd, data, size, 0);
		if (n <= 0)
			return n ? -errno : -EPIPE;
	}
	return 0;
}

bool vsock_has_messages(void)
{
	return kernel_since(5, 14);
}

static void echo(int fd, __attribute__((unused)) unsigned int from)
{
	static char data[1 << 18];

	for (ssize_t n; (n = recv(fd, data, sizeof(data), 0)) > 0;)
		if (vsock_send(fd, data, n))
			break;
}

static void tell_name(int fd, unsigned int from)
{
	vsock_send(fd, &from, sizeof(from));
}

/* Of all that vsock_serve() has made. */
static pid_t group;

static void answer_all(int listener, void (*answer)(int fd, unsigned int from))
{
	struct sockaddr_vm peer;
	socklen_t size = sizeof(peer);
	int fd;

	signal(SIGCHLD, SIG_IGN);
	while ((fd = accept(listener, (void *)&peer, &size)) >= 0) {
		if (!answer) {
			vsock_send(fd, VSOCK_GREETING, strlen(VSOCK_GREETING));
			continue;
		}
		if (!fork()) {
			answer(fd, peer.svm_cid);
			_exit(0);
		}
		close(fd);
	}
	_exit(1);
}

/* Answer each connection in a process of its own, or greet and keep it. */
static void serve(int type, unsigned int port, void (*answer)(int fd, unsigned int from))
{
	int listener = vsock_listen(type, port);
	pid_t child;

	tap_ok(listener >= 0, "there is a socket that listens to port %u (%d)", port, listener);
	fflush(stdout);
	child = fork();
	setpgid(child, group);
	if (!child)
		answer_all(listener, answer);
	group = group ? group : child;
	close(listener);
}

void vsock_serve(void)
{
	struct rlimit files = { .rlim_cur = 4096, .rlim_max = 4096 };

	tap_eq(result(setrlimit(RLIMIT_NOFILE, &files)), 0, "allow many connections");
	serve(SOCK_STREAM, VSOCK_ECHO, echo);
	serve(SOCK_STREAM, VSOCK_NAMES, tell_name);
	serve(SOCK_STREAM, VSOCK_HOLD, NULL);
	if (vsock_has_messages())
		serve(SOCK_SEQPACKET, VSOCK_MESSAGES, echo);
}

void vsock_end(void)
{
	tap_eq(result(kill(-group, SIGKILL)), 0, "end those who listen");
	group = 0;
}

unsigned int vsock_own(void)
{
	FILE *f = fopen(VSOCK_NODE "cid_base", "r");
	unsigned int base = 0;

	if (!f || fscanf(f, "%u", &base) != 1)
		tap_bail("the partition has no cid_base");
	fclose(f);
	return base + slot_of(rig_guest());
}

bool vsock_reaches(int guest)
{
	static const char hello[] = "are you there?";
	char answer[sizeof(hello)];
	bool same = false;

	for (int i = 0; i < 30 && !same; i++) {
		int fd = vsock_connect(SOCK_STREAM, vsock_cid(guest), VSOCK_ECHO);

		same = fd >= 0 && !vsock_send(fd, hello, sizeof(hello)) &&
		       !vsock_receive(fd, answer, sizeof(hello)) &&
		       !memcmp(hello, answer, sizeof(hello));
		if (fd >= 0)
			close(fd);
		else
			sleep_ms(100);
	}
	return same;
}
