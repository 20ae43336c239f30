// SPDX-License-Identifier: GPL-2.0-only
/*
 * A handle on a file, as programs of the host use the memory of plain devices
 * (lib/backend_file.c).
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "ivshmem_sync.h"
#include "../guest/loop.h"

#define SIZE	(64 << 10)

static struct ivshmem *open_file(unsigned int flags)
{
	struct ivshmem *handle;
	int error = ivshmem_open(&handle, scratch("memory"), flags);

	if (error)
		tap_bail("cannot open: %s", ivshmem_error(error));
	return handle;
}

static void make_file(void)
{
	int fd = open(scratch("memory"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		tap_bail("no file: %m");
	close(fd);
}

static void test_properties(void)
{
	int before = open_descriptors(0);
	struct ivshmem *handle = open_file(0);
	struct ivshmem_properties properties;

	tap_about("properties");
	tap_eq(ivshmem_get_properties(handle, &properties), 0, "they are got");
	tap_eq(properties.transport, IVSHMEM_TRANSPORT_FILE, "transport");
	tap_eq(properties.size, SIZE, "size");
	tap_eq(properties.id, IVSHMEM_ID_UNKNOWN, "id");
	tap_eq(properties.vectors, 0, "vectors");
	tap_ok(!properties.can_ring && !properties.vectors_guessed, "no doorbells, for sure");
	tap_eq(properties.page_size, sysconf(_SC_PAGESIZE), "page size");
	ivshmem_close(handle);
	tap_eq(open_descriptors(0), before, "no descriptor is left");
}

static void test_memory(void)
{
	struct ivshmem *handle = open_file(0), *reader = open_file(IVSHMEM_READ_ONLY);
	void *mine, *whole;

	tap_about("memory");
	tap_eq(ivshmem_map(handle, 4096, 4096, &mine), 0, "a part is mapped");
	tap_eq(ivshmem_map(reader, 0, 0, &whole), 0, "all is mapped to be read");
	strcpy(mine, "here");
	tap_ok(!strcmp((char *)whole + 4096, "here"), "they are the same");
	tap_eq(ivshmem_map(handle, SIZE, 0, &mine), -EINVAL, "nothing is behind the end");
	ivshmem_unmap(reader, whole, SIZE);
	ivshmem_close(reader);
	ivshmem_close(handle);
}

static void test_no_doorbells(void)
{
	struct ivshmem_wait_options options = { .timeout_ns = 0 };
	struct ivshmem *handle = open_file(0);
	struct pollfd news = { .events = POLLIN };

	tap_about("no doorbells");
	tap_eq(ivshmem_ring(handle, 0, 0), -EOPNOTSUPP, "ring");
	tap_eq(ivshmem_wait(handle, &options, NULL), -EOPNOTSUPP, "wait");
	tap_eq(ivshmem_ring_wait(handle, 0, 0, &options, NULL), -EOPNOTSUPP, "ring and wait");
	tap_eq(ivshmem_eventfd(handle, 0), -EOPNOTSUPP, "eventfd");
	tap_eq(ivshmem_peers(handle, NULL, 0), -EOPNOTSUPP, "peers");
	news.fd = ivshmem_fd(handle);
	tap_ok(news.fd >= 0 && poll(&news, 1, 0) == 0, "there is a descriptor, without news");
	tap_eq(ivshmem_peer_gone(handle, 3), 0, "a peer can be reported to be gone");
	ivshmem_close(handle);
}

static void test_channel(void)
{
	struct ivshmem_channel_options range = { .size = SIZE };
	struct ivshmem *one = open_file(0), *other = open_file(0);
	struct ivshmem_channel *a = must_create(one, &range), *b = must_attach(other, &range);
	char buffer[8];

	tap_about("channel");
	tap_ok(!say(a, "there") && hear(b, "there", ivshmem_after(PATIENCE)), "one way");
	tap_ok(!say(b, "and back") && hear(a, "and back", ivshmem_after(PATIENCE)), "the other");
	ivshmem_channel_close(b);
	tap_eq(ivshmem_channel_recv(a, buffer, sizeof(buffer), ivshmem_after(PATIENCE)), -EPIPE,
	       "the end is noticed");
	ivshmem_channel_close(a);
	ivshmem_close(one);
	ivshmem_close(other);
}

/*
 * Only the timer makes the descriptor readable, after it was for somebody as well: here for
 * a call that found no room.
 */
static void test_event_loop(void)
{
	struct ivshmem_channel_options range = { .size = 4096 + 2 * 256 };
	struct ivshmem *one = open_file(0), *other = open_file(0);
	struct ivshmem_channel *a = must_create(one, &range), *b = must_attach(other, &range);

	tap_about("event loop");
	handshake(a, b);
	ivshmem_channel_fd(a);
	while (!loop_send(a))
		;
	while (loop_recv(b) != -EAGAIN)
		;
	usleep(100000);
	tap_eq(loop_send(a), 0, "there is room again, and the timer has run out");
	tap_eq(loop_recv(a), -EAGAIN, "there is no message");
	loop_send(b);
	tap_ok(loop_wakes(a), "the descriptor tells when there is one");
	tap_eq(loop_recv(a), 32, "which is received");
	ivshmem_peer_gone(one, 3);
	loop_recv(a);
	loop_send(b);
	tap_ok(loop_wakes(a), "as it does after other news");
	ivshmem_channel_close(a);
	ivshmem_channel_close(b);
	ivshmem_close(one);
	ivshmem_close(other);
}

/* Who sends now and then, and finds room, is told: nobody else would do that here. */
static void test_end(void (*end)(struct ivshmem_channel *channel), const char *what)
{
	struct ivshmem_channel_options range = { .size = SIZE };
	struct ivshmem *one = open_file(0), *other = open_file(0);
	struct ivshmem_channel *a = must_create(one, &range), *b = must_attach(other, &range);
	int n;

	tap_about("end");
	handshake(a, b);
	for (n = 0; n < 3; n++) {
		say(a, "anybody?");
		usleep(2000);
	}
	end(b);
	tap_eq(say(a, "anybody?"), -EPIPE, "send(0) tells of the other end's %s", what);
	ivshmem_channel_close(a);
	if (end != ivshmem_channel_close)
		ivshmem_channel_close(b);
	ivshmem_close(one);
	ivshmem_close(other);
}

/* Locks the mutex, and is killed with it. */
static void lock_and_die(uint64_t offset)
{
	struct ivshmem_mutex *mutex;
	pid_t pid = fork();

	if (pid) {
		waitpid(pid, NULL, 0);
		return;
	}
	if (!ivshmem_mutex_open(open_file(0), offset, 0, IVSHMEM_SYNC_CREATE, &mutex) &&
	    !ivshmem_mutex_lock(mutex, 0))
		raise(SIGKILL);
	_exit(1);
}

static void test_dead_owner(void)
{
	struct ivshmem *handle = open_file(0);
	struct ivshmem_mutex *mutex;

	tap_about("dead owner");
	lock_and_die(0);
	tap_eq(ivshmem_mutex_open(handle, 0, 0, 0, &mutex), 0, "its mutex is opened");
	tap_eq(ivshmem_mutex_lock(mutex, 0), -EOWNERDEAD, "its death is known without a server");
	tap_eq(ivshmem_mutex_consistent(mutex), 0, "the data is mended");
	tap_eq(ivshmem_mutex_unlock(mutex), 0, "the mutex is unlocked");
	ivshmem_mutex_close(mutex);
	ivshmem_close(handle);
}

static void test_refused(void)
{
	struct ivshmem *handle;
	int before = open_descriptors(0);

	tap_about("refused");
	if (truncate(scratch("memory"), 0) < 0)
		tap_bail("truncate: %m");
	tap_eq(ivshmem_open(&handle, scratch("memory"), 0), -EINVAL, "an empty file");
	tap_ok(!strcmp(ivshmem_error(-EINVAL), "the file is empty"), "with the reason");
	tap_eq(open_descriptors(0), before, "no descriptor is left");
	chmod(scratch("memory"), 0400);
	if (access(scratch("memory"), W_OK))
		tap_eq(ivshmem_open(&handle, scratch("memory"), 0), -EACCES, "one of others");
	else
		tap_skip("one of others", "root may write to it");
}

int main(void)
{
	make_file();
	test_properties();
	test_memory();
	test_no_doorbells();
	test_channel();
	test_event_loop();
	test_end(ivshmem_channel_shutdown, "shutdown");
	test_end(ivshmem_channel_close, "close");
	test_dead_owner();
	test_refused();
	return tap_done();
}
