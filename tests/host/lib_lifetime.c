// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of things: a handle is closed before its objects, a thread is cancelled, the
 * server dies, and what a descriptor tells about that (lib/handle.c, backend_server.c).
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/open.h"
#include "ivshmem_channel.h"
#include "ivshmem_sync.h"
#include "../../lib/handle.h"

#define SECOND		1000000000LL
#define ROUNDS		300
#define WAITERS		3

static void test_close_first(void)
{
	struct ivshmem_channel_options range = { .size = 64 << 10 };
	struct ivshmem *handle = must_open(0), *witness = must_open(0);
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_channel *channel, *other;
	struct ivshmem_event *event;
	struct ivshmem_mutex *mutex;

	if (ivshmem_channel_create(handle, &range, &channel) ||
	    ivshmem_mutex_open(handle, 64 << 10, 0, IVSHMEM_SYNC_CREATE, &mutex) ||
	    ivshmem_semaphore_open(handle, 65 << 10, 0, IVSHMEM_SYNC_CREATE, 1, &semaphore) ||
	    ivshmem_event_open(handle, 66 << 10, 0, IVSHMEM_SYNC_CREATE, &event))
		tap_bail("cannot create the objects");
	tap_eq(ivshmem_channel_attach(handle, &(struct ivshmem_channel_options){ .size = 1 },
				      0, &other), -EMSGSIZE, "an attach fails");
	ivshmem_close(handle);
	tap_eq(ivshmem_channel_send(channel, "x", 1, 0, 0), -EAGAIN,
	       "a channel works after its handle is closed");
	tap_eq(ivshmem_mutex_lock(mutex, 0), 0, "so does a mutex");
	tap_eq(ivshmem_semaphore_wait(semaphore, 0), 0, "so does a semaphore");
	tap_eq(ivshmem_event_wait(event, ivshmem_after(SECOND / 50)), -ETIMEDOUT,
	       "so does an event");
	tap_eq(ivshmem_mutex_unlock(mutex), 0, "the mutex can be unlocked");
	ivshmem_channel_close(channel);
	ivshmem_mutex_close(mutex);
	ivshmem_semaphore_close(semaphore);
	tap_eq(ivshmem_peers(witness, NULL, 0), 1, "the last object keeps the connection");
	ivshmem_event_close(event);
	tap_ok(eventually(ivshmem_peers(witness, NULL, 0) == 0),
	       "then the connection is closed");
	ivshmem_close(witness);
}

/* Waiting threads, one of which is cancelled. */

struct waiter {
	struct ivshmem *handle;
	pthread_t thread;
	_Atomic uint32_t seen;
};

static _Atomic uint32_t *word;

static void *keep_waiting(void *argument)
{
	struct waiter *waiter = argument;
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD,
		.timeout_ns = IVSHMEM_FOREVER,
	};

	for (;;) {
		options.expected = *word;
		waiter->seen = options.expected;
		ivshmem_wait(waiter->handle, &options, NULL);
	}
	return NULL;
}

static void start(struct waiter *waiter)
{
	waiter->seen = 0;
	if (pthread_create(&waiter->thread, NULL, keep_waiting, waiter))
		tap_bail("cannot create a thread");
}

static void cancel(struct waiter *waiter)
{
	pthread_cancel(waiter->thread);
	pthread_join(waiter->thread, NULL);
}

static void test_cancel(void)
{
	struct ivshmem *a = must_open(0), *b = must_open(0);
	struct waiter waiters[WAITERS];
	struct ivshmem_properties properties;
	int round, n, missed = 0;

	if (ivshmem_map(a, 0, 4096, (void **)&word))
		tap_bail("cannot map");
	ivshmem_get_properties(b, &properties);
	*word = 1;
	for (n = 0; n < WAITERS; n++) {
		waiters[n].handle = b;
		start(&waiters[n]);
	}
	for (round = 0; round < ROUNDS && !missed; round++) {
		(*word)++;
		ivshmem_ring(a, properties.id, 0);
		usleep(round % 8 * 20);
		cancel(&waiters[round % WAITERS]);
		(*word)++;
		ivshmem_ring(a, properties.id, 0);
		for (n = 0; n < WAITERS; n++)
			if (n != round % WAITERS)
				missed += !eventually(waiters[n].seen == *word);
		start(&waiters[round % WAITERS]);
	}
	tap_eq(missed, 0, "%d waiters are cancelled: the others see each doorbell", ROUNDS);
	if (missed)
		tap_bail("threads hang");
	for (n = 0; n < WAITERS; n++)
		cancel(&waiters[n]);
	ivshmem_unmap(a, (void *)word, 4096);
	ivshmem_close(a);
	ivshmem_close(b);
}

/* The same in the waits of objects, which then serve another thread. */

static void *lock_mutex(void *mutex)
{
	ivshmem_mutex_lock(mutex, IVSHMEM_FOREVER);
	return NULL;
}

static void *take_permit(void *semaphore)
{
	ivshmem_semaphore_wait(semaphore, IVSHMEM_FOREVER);
	return NULL;
}

static void *receive(void *channel)
{
	char byte;

	ivshmem_channel_recv(channel, &byte, 1, IVSHMEM_FOREVER);
	return NULL;
}

static void cancel_in(void *(*wait)(void *object), void *object)
{
	int round;

	for (round = 0; round < 20; round++) {
		pthread_t thread;

		pthread_create(&thread, NULL, wait, object);
		usleep(round * 500);
		pthread_cancel(thread);
		pthread_join(thread, NULL);
	}
}

static void test_cancel_objects(void)
{
	struct ivshmem_channel_options range = { .size = 64 << 10 };
	struct ivshmem *a = must_open(0), *b = must_open(0);
	int64_t soon = ivshmem_after(60 * SECOND);
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_channel *ends[2];
	struct ivshmem_mutex *mutex;
	char byte;

	if (ivshmem_mutex_open(a, 64 << 10, 0, IVSHMEM_SYNC_CREATE, &mutex) ||
	    ivshmem_semaphore_open(a, 65 << 10, 0, IVSHMEM_SYNC_CREATE, 0, &semaphore) ||
	    ivshmem_channel_create(a, &range, &ends[0]) ||
	    ivshmem_channel_attach(b, &range, 0, &ends[1]))
		tap_bail("cannot create the objects");
	ivshmem_mutex_lock(mutex, soon);
	cancel_in(lock_mutex, mutex);
	ivshmem_mutex_unlock(mutex);
	tap_eq(ivshmem_mutex_lock(mutex, soon), 0,
	       "threads are cancelled: a mutex can be locked");
	cancel_in(take_permit, semaphore);
	ivshmem_semaphore_post(semaphore);
	tap_eq(ivshmem_semaphore_wait(semaphore, soon), 0,
	       "threads are cancelled: a permit is there");
	cancel_in(receive, ends[0]);
	ivshmem_channel_recv(ends[1], &byte, 1, 0);
	tap_eq(ivshmem_channel_send(ends[1], "x", 1, 0, soon), 0,
	       "threads are cancelled: a channel can send");
	cancel_in(receive, ends[1]);
	tap_eq(ivshmem_channel_recv(ends[0], &byte, 1, soon), 1,
	       "threads are cancelled: a channel can receive");
	ivshmem_mutex_unlock(mutex);
	ivshmem_mutex_close(mutex);
	ivshmem_semaphore_close(semaphore);
	ivshmem_channel_close(ends[0]);
	ivshmem_channel_close(ends[1]);
	ivshmem_close(a);
	ivshmem_close(b);
}

/* A thread that never sleeps is cancelled where it holds a lock, if anywhere. */
static void *keep_ringing(void *argument)
{
	for (;;) {
		ivshmem_ring(argument, 0, 0);
		ivshmem_peers(argument, NULL, 0);
		pthread_testcancel();
	}
	return NULL;
}

static void test_cancel_others(void)
{
	struct ivshmem *a = must_open(0);
	pthread_t thread;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		pthread_create(&thread, NULL, keep_ringing, a);
		usleep(round % 8 * 20);
		pthread_cancel(thread);
		pthread_join(thread, NULL);
		if (ivshmem_ring(a, 0, 0))
			tap_bail("cannot ring");
	}
	tap_ok(true, "%d threads that ring are cancelled: no lock stays held", ROUNDS);
	ivshmem_close(a);
}

/* Descriptors */

static bool has_news(int fd, int timeout)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, timeout) == 1;
}

static void test_news(pid_t server)
{
	struct ivshmem_wait_options look = { .timeout_ns = 0 };
	struct ivshmem *a = must_open(0), *b;
	int fd = ivshmem_fd(a);

	tap_ok(fd >= 0, "a descriptor for news");
	tap_eq(ivshmem_fd(a), fd, "it is always the same");
	ivshmem_peers(a, NULL, 0);
	tap_ok(!has_news(fd, 0), "it is not readable without news");
	b = must_open(0);
	tap_ok(has_news(fd, -1), "it becomes readable when a peer arrives");
	tap_ok(eventually(ivshmem_peers(a, NULL, 0) == 1), "that peer is there");
	tap_ok(!has_news(fd, 0), "it is not readable when the peers are known");
	ivshmem_close(b);
	tap_ok(has_news(fd, -1), "it becomes readable when a peer leaves");
	tap_ok(eventually(ivshmem_wait(a, &look, NULL) == -ETIMEDOUT &&
			  ivshmem_ring(a, 1, 0) == -ENXIO), "another call notices that");
	tap_ok(has_news(fd, 0), "it stays readable until the peers are asked for");
	tap_eq(ivshmem_peers(a, NULL, 0), 0, "no peer is there");
	tap_ok(!has_news(fd, 0), "it is not readable then");
	stop_server(server, SIGKILL);
	tap_ok(has_news(fd, -1), "it becomes readable when the server dies");
	tap_eq(ivshmem_peers(a, NULL, 0), -ENODEV, "without a server: count peers");
	tap_ok(has_news(fd, 0), "it stays readable");
	ivshmem_close(a);
}

/* Each call learns it, though none sleeps and none else has told it. */
static void test_no_server(const char *what, int (*call)(struct ivshmem *handle))
{
	pid_t server = start_server("--memfd", NULL);
	struct ivshmem *handle = must_open(0);

	tap_ok(call(handle) != -ENODEV, "%s: the server is there", what);
	stop_server(server, SIGKILL);
	tap_eq(call(handle), -ENODEV, "%s: the server is gone", what);
	tap_eq(call(handle), -ENODEV, "%s: and stays so", what);
	ivshmem_close(handle);
}

static int call_wait(struct ivshmem *handle)
{
	struct ivshmem_wait_options look = { .timeout_ns = 0 };

	return ivshmem_wait(handle, &look, NULL);
}

static int call_spin(struct ivshmem *handle)
{
	struct ivshmem_wait_options look = { .timeout_ns = 1, .spin_ns = 1000 };

	return ivshmem_wait(handle, &look, NULL);
}

static int call_ring(struct ivshmem *handle)
{
	return ivshmem_ring(handle, 9, 0);
}

static int call_ring_known(struct ivshmem *handle)
{
	return ivshmem_ring(handle, 0, 0);
}

static int call_ring_wait(struct ivshmem *handle)
{
	struct ivshmem_wait_options look = { .timeout_ns = 0 };

	return ivshmem_ring_wait(handle, 9, 0, &look, NULL);
}

static int call_properties(struct ivshmem *handle)
{
	struct ivshmem_properties properties;

	return ivshmem_get_properties(handle, &properties);
}

static int call_peers(struct ivshmem *handle)
{
	return ivshmem_peers(handle, NULL, 0);
}

static void test_server_end(void)
{
	test_no_server("wait", call_wait);
	test_no_server("spin", call_spin);
	test_no_server("ring an unknown peer", call_ring);
	test_no_server("ring a known peer", call_ring_known);
	test_no_server("ring_wait", call_ring_wait);
	test_no_server("properties", call_properties);
	test_no_server("peers", call_peers);
}

/* Calls that nobody would ring learn it while they wait. */

static void *kill_soon(void *server)
{
	usleep(200000);
	stop_server((pid_t)(intptr_t)server, SIGKILL);
	return NULL;
}

static int call_attach(struct ivshmem *handle)
{
	struct ivshmem_channel_options nobody = { .size = 64 << 10 };
	struct ivshmem_channel *channel;

	return ivshmem_channel_attach(handle, &nobody, ivshmem_after(60 * SECOND), &channel);
}

/* For a user that cannot ring, the object says that it has one (lib/sync.h). */
static int call_event(struct ivshmem *handle)
{
	struct ivshmem_event *event;
	uint32_t *mapped;
	int error;

	if (ivshmem_map(handle, 0, 4096, (void **)&mapped) ||
	    ivshmem_event_open(handle, 0, 0, IVSHMEM_SYNC_CREATE, &event))
		tap_bail("no event");
	mapped[2] = 0x6d757465;
	error = ivshmem_event_wait(event, ivshmem_after(60 * SECOND));
	ivshmem_event_close(event);
	ivshmem_unmap(handle, mapped, 4096);
	return error;
}

static void test_polling(const char *what, int (*call)(struct ivshmem *handle))
{
	pid_t server = start_server("--memfd", NULL);
	struct ivshmem *handle = must_open(0);
	pthread_t thread;

	pthread_create(&thread, NULL, kill_soon, (void *)(intptr_t)server);
	tap_eq(call(handle), -ENODEV, "%s: the server dies meanwhile", what);
	pthread_join(thread, NULL);
	ivshmem_close(handle);
}

/* What the server says of a peer comes once. Who cannot take it would not know the peer. */
static void test_no_descriptor(void)
{
	pid_t server = start_server("--memfd", "-n", "1", NULL);
	struct ivshmem_channel_options range = { .size = 64 << 10 };
	struct ivshmem *handle = must_open(0);
	struct ivshmem_channel *channel;
	struct rlimit old, limit;
	char byte;
	pid_t peer;

	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	if (ivshmem_channel_create(handle, &range, &channel) || ivshmem_channel_fd(channel) < 0)
		tap_bail("cannot create a channel");
	limit.rlim_cur = open_descriptors(0);
	peer = fork();
	if (!peer) {
		must_open(0);
		pause();
		_exit(0);
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	tap_ok(eventually(ivshmem_peers(handle, NULL, 0) == -ENODEV),
	       "a peer comes, and no descriptor is left: the connection is over");
	tap_ok(!strcmp(ivshmem_error(-ENODEV), "no descriptor is left for a peer's doorbell"),
	       "which is said");
	tap_eq(ivshmem_channel_recv(channel, &byte, 1, 0), -ENODEV, "a channel: recv(0)");
	tap_ok(has_news(ivshmem_channel_fd(channel), 0), "its descriptor stays readable");
	tap_eq(ivshmem_channel_send(channel, "x", 1, 0, 0), -ENODEV, "then send(0) says so, too");
	tap_ok(has_news(ivshmem_channel_fd(channel), 0), "for ever");
	tap_eq(ivshmem_channel_recv(channel, &byte, 1, ivshmem_after(SECOND)), -ENODEV,
	       "a channel: recv() that waits (once EMFILE)");
	setrlimit(RLIMIT_NOFILE, &old);
	tap_ok(has_news(ivshmem_fd(handle), 0), "and one for news that is made afterwards");
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	ivshmem_channel_close(channel);
	ivshmem_close(handle);
	stop_server(server, SIGTERM);
}

/*
 * A fork while another thread closes a handle, just when that has closed its socket: the number
 * of that may belong to another file by then, which is the child's as well.
 */

static _Atomic int watched = -1;
static pthread_t forker;

static void *fork_now(void *argument)
{
	int fd = (int)(intptr_t)argument, status;
	pid_t pid;

	dup2(STDIN_FILENO, fd);
	pid = fork();
	if (!pid)
		_exit(fcntl(fd, F_GETFD) < 0);
	waitpid(pid, &status, 0);
	return (void *)(intptr_t)status;
}

/* In place of that of libc, for the library as well. */
int close(int fd)
{
	int result = (int)syscall(SYS_close, fd);

	if (fd >= 0 && fd == watched) {
		watched = -1;
		pthread_create(&forker, NULL, fork_now, (void *)(intptr_t)fd);
		usleep(200000);
	}
	return result;
}

static void test_fork_and_close(void)
{
	struct ivshmem *handle = must_open(0);
	uint32_t events;
	int fd = handle->ops->news(handle, &events);
	void *status;

	watched = fd;
	ivshmem_close(handle);
	pthread_join(forker, &status);
	tap_eq((intptr_t)status, 0, "a fork while a handle is closed: the child keeps other files");
	close(fd);
}

/* A fork while another thread opens a descriptor of its own handle. */

static bool forks;

static void *fork_and_open(void *argument)
{
	pid_t pid = fork();
	int status;

	(void)argument;
	if (!pid) {
		alarm(60);
		_exit(ivshmem_fd(must_open(0)) < 0);
	}
	waitpid(pid, &status, 0);
	return (void *)(intptr_t)status;
}

static void *status_of_child;

int epoll_create1(int flags)
{
	if (forks) {
		forks = false;
		pthread_create(&forker, NULL, fork_and_open, NULL);
		pthread_join(forker, &status_of_child);
	}
	return (int)syscall(SYS_epoll_create1, flags);
}

static void test_fork_and_open(void)
{
	struct ivshmem *handle = must_open(0);

	forks = true;
	tap_ok(ivshmem_fd(handle) >= 0, "a fork while a descriptor is opened");
	tap_eq((intptr_t)status_of_child, 0, "the child has one of a handle of its own");
	ivshmem_close(handle);
}

int main(void)
{
	int before = open_descriptors(0);
	pid_t server = start_server("--memfd", "--reuse-ids", NULL);

	test_close_first();
	test_cancel();
	test_cancel_objects();
	test_cancel_others();
	test_fork_and_close();
	test_fork_and_open();
	test_news(server);
	test_server_end();
	test_polling("wait for the creator of a channel", call_attach);
	test_polling("wait for an event by polling", call_event);
	test_no_descriptor();
	tap_eq(open_descriptors(0), before, "no file descriptor is leaked");
	return tap_done();
}
