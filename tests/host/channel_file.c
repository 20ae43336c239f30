// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels, mutexes, semaphores and events between programs that have a file with a peer area
 * and no server; and what becomes of them when a program is killed, stopped or forks.
 */
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "common/labelled.h"
#include "../guest/loop.h"
#include "../../lib/set.h"

#define CHANNEL		0x10000		/* in the partition, and its size */
#define EVENT		0x1000
#define SEMAPHORE	0x2000
#define MUTEX		0x3000
#define TURNS		200

static const struct ivshmem_channel_options range = {
	.offset = CHANNEL, .size = CHANNEL, .spin_ns = -1,
};

static double seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Attach and say the same back, until the other end has closed. */
static int echo(void *argument)
{
	struct ivshmem_channel *channel;
	struct ivshmem *handle;
	char text[64];
	int64_t size;

	(void)argument;
	if (ivshmem_open_partition(&handle, scratch("region"), "part", 0) ||
	    ivshmem_channel_attach(handle, &range, ivshmem_after(PATIENCE), &channel))
		return 1;
	while ((size = ivshmem_channel_recv(channel, text, sizeof(text), IVSHMEM_FOREVER)) >= 0)
		if (ivshmem_channel_send(channel, text, size, 0, IVSHMEM_FOREVER))
			return 2;
	ivshmem_channel_close(channel);
	ivshmem_close(handle);
	return size == -EPIPE ? 0 : 3;
}

static void test_messages(void)
{
	struct ivshmem *handle = open_part();
	struct ivshmem_channel *channel = must_create(handle, &range);
	pid_t pid = start_program(echo, NULL);
	char text[32];
	int n, wrong = 0;

	tap_about("messages");
	for (n = 0; n < TURNS; n++) {
		snprintf(text, sizeof(text), "message %d", n);
		wrong += ivshmem_channel_send(channel, text, strlen(text), 0,
					      ivshmem_after(PATIENCE)) ||
			 !hear(channel, text, ivshmem_after(PATIENCE));
	}
	tap_eq(wrong, 0, "%d there and back", TURNS);
	ivshmem_channel_close(channel);
	tap_eq(end_program(pid), 0, "the end is noticed");
	ivshmem_close(handle);
}

/* The same in an event loop, whose poll() has no timeout. */
static void test_event_loop(void)
{
	struct ivshmem *handle = open_part();
	struct ivshmem_channel *channel = must_create(handle, &range);
	pid_t pid = start_program(echo, NULL);
	struct pollfd ready = { ivshmem_channel_fd(channel), POLLIN, 0 };
	bool sent = false;
	char text[32];
	int heard = 0;

	tap_about("event loop");
	while (heard < TURNS) {
		int64_t size;

		if (!sent)
			sent = !ivshmem_channel_send(channel, "loop", 4, 0, 0);
		size = ivshmem_channel_recv(channel, text, sizeof(text), 0);
		if (size == 4) {
			heard++;
			sent = false;
		} else if (size != -EAGAIN || poll(&ready, 1, -1) != 1) {
			break;
		}
	}
	tap_eq(heard, TURNS, "messages there and back");
	kill_program(pid);
	while (ivshmem_channel_recv(channel, text, sizeof(text), 0) == -EAGAIN)
		poll(&ready, 1, -1);
	tap_ok(true, "it is called when the other program was killed");
	ivshmem_channel_close(channel);
	ivshmem_close(handle);
}

static void test_killed(void)
{
	struct ivshmem *handle = open_part();
	struct ivshmem_channel *channel = must_create(handle, &range);
	pid_t pid = start_program(echo, NULL);
	char text[8];
	double start;

	tap_about("killed");
	tap_ok(!ivshmem_channel_send(channel, "hello", 5, 0, ivshmem_after(PATIENCE)) &&
	       hear(channel, "hello", ivshmem_after(PATIENCE)), "an answer");
	start = seconds();
	kill_program(pid);
	tap_eq(ivshmem_channel_recv(channel, text, sizeof(text), IVSHMEM_FOREVER), -EPIPE,
	       "who waits for a message learns of the death");
	tap_note("%.2f s later", seconds() - start);
	tap_ok(seconds() - start < 30, "soon");
	pid = start_program(echo, NULL);
	tap_ok(!ivshmem_channel_send(channel, "again", 5, 0, ivshmem_after(PATIENCE)) &&
	       hear(channel, "again", ivshmem_after(PATIENCE)), "its successor answers");
	kill_program(pid);
	tap_ok(eventually(ivshmem_channel_send(channel, "", 0, 0, 0) == -EPIPE),
	       "who only sends learns of it as well");
	ivshmem_channel_close(channel);
	ivshmem_close(handle);
}

/* A program that is stopped and continued has a new session, and the same slot. */
static void test_stopped(void)
{
	struct ivshmem *handle = open_part();
	struct ivshmem_channel *channel = must_create(handle, &range);
	pid_t pid = start_program(echo, NULL);
	int status = -1;
	char text[8];

	tap_about("stopped");
	tap_ok(!ivshmem_channel_send(channel, "hello", 5, 0, ivshmem_after(PATIENCE)) &&
	       hear(channel, "hello", ivshmem_after(PATIENCE)), "an answer");
	kill(pid, SIGSTOP);
	tap_eq(ivshmem_channel_recv(channel, text, sizeof(text), IVSHMEM_FOREVER), -EPIPE,
	       "a program that is stopped counts as absent");
	kill(pid, SIGCONT);
	tap_eq(waitpid(pid, &status, 0), pid, "it learns that the session is over");
	tap_eq(status, 3 << 8, "from its call");
	ivshmem_channel_close(channel);
	ivshmem_close(handle);
}

static int tell(struct ivshmem_channel *channel, const char *text)
{
	return ivshmem_channel_send(channel, text, strlen(text), 0, ivshmem_after(PATIENCE));
}

/*
 * Ask, be stopped, and ask again into a session that is over by then. The answer of that never
 * comes, and the call that waits for it must say so.
 */
static int ask(void *argument)
{
	struct ivshmem_channel *channel;
	struct ivshmem *handle;
	char text[8];
	int64_t size;

	(void)argument;
	if (ivshmem_open_partition(&handle, scratch("region"), "part", 0) ||
	    ivshmem_channel_attach(handle, &range, ivshmem_after(PATIENCE), &channel) ||
	    tell(channel, "first") || !hear(channel, "first", ivshmem_after(PATIENCE)))
		return 1;
	raise(SIGSTOP);
	size = tell(channel, "second");
	if (!size)
		size = ivshmem_channel_recv(channel, text, sizeof(text), IVSHMEM_FOREVER);
	if (size != -EPIPE && size != -ECONNRESET)
		return 2;
	return tell(channel, "third") || !hear(channel, "third", ivshmem_after(PATIENCE));
}

static void test_asking(void)
{
	struct ivshmem *handle = open_part();
	struct ivshmem_channel *channel = must_create(handle, &range);
	pid_t pid = start_program(ask, NULL);
	int status = -1;
	char text[8];

	tap_about("asking");
	tap_ok(hear(channel, "first", ivshmem_after(PATIENCE)) && !tell(channel, "first"),
	       "a question and its answer");
	tap_eq(ivshmem_channel_recv(channel, text, sizeof(text), IVSHMEM_FOREVER), -EPIPE,
	       "who asked is stopped");
	kill(pid, SIGCONT);
	tap_ok(hear(channel, "third", ivshmem_after(PATIENCE)) && !tell(channel, "third"),
	       "it asks again after the question that was lost");
	tap_ok(waitpid(pid, &status, 0) == pid && !status, "it was told that it was lost");
	ivshmem_channel_close(channel);
	ivshmem_close(handle);
}

/* Takes the mutex, says so, and stays. */
static int lock_and_stay(void *argument)
{
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_mutex *mutex;
	struct ivshmem *handle;

	(void)argument;
	if (ivshmem_open_partition(&handle, scratch("region"), "part", 0) ||
	    ivshmem_mutex_open(handle, MUTEX, 0, IVSHMEM_SYNC_CREATE, &mutex) ||
	    ivshmem_semaphore_open(handle, SEMAPHORE, 0, IVSHMEM_SYNC_CREATE, 0, &semaphore) ||
	    ivshmem_mutex_lock(mutex, IVSHMEM_FOREVER) || ivshmem_semaphore_post(semaphore))
		return 1;
	for (;;)
		pause();
}

static void *kill_later(void *argument)
{
	usleep(200000);
	kill_program(*(pid_t *)argument);
	return NULL;
}

static void test_mutex(void)
{
	struct ivshmem *handle = open_part();
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_mutex *mutex;
	pthread_t killer;
	double start;
	pid_t pid;

	tap_about("mutex");
	if (ivshmem_semaphore_open(handle, SEMAPHORE, 0, IVSHMEM_SYNC_CREATE, 0, &semaphore) ||
	    ivshmem_mutex_open(handle, MUTEX, 0, IVSHMEM_SYNC_CREATE, &mutex))
		tap_bail("no objects");
	pid = start_program(lock_and_stay, NULL);
	tap_eq(ivshmem_semaphore_wait(semaphore, ivshmem_after(PATIENCE)), 0,
	       "another program has locked it");
	tap_eq(ivshmem_mutex_lock(mutex, ivshmem_after(SECOND / 2)), -ETIMEDOUT,
	       "then nobody else can");
	kill(pid, SIGSTOP);
	tap_ok(eventually(ivshmem_peers(handle, NULL, 0) == 0), "it is stopped, and absent");
	tap_eq(ivshmem_mutex_lock(mutex, ivshmem_after(SECOND / 2)), -ETIMEDOUT,
	       "which does not take its mutex from it");
	start = seconds();
	pthread_create(&killer, NULL, kill_later, &pid);
	tap_eq(ivshmem_mutex_lock(mutex, IVSHMEM_FOREVER), -EOWNERDEAD,
	       "its death does, while another waits");
	pthread_join(killer, NULL);
	tap_note("%.2f s later", seconds() - start - 0.2);
	tap_ok(seconds() - start < 30, "soon");
	tap_eq(ivshmem_mutex_consistent(mutex), 0, "it is of use again");
	tap_eq(ivshmem_mutex_unlock(mutex), 0, "and unlocked");
	ivshmem_mutex_close(mutex);
	ivshmem_semaphore_close(semaphore);
	ivshmem_close(handle);
}

/* Adds to a number under the mutex; each of these waits for the others. */
static int add(void *argument)
{
	struct ivshmem_mutex *mutex;
	struct ivshmem_event *event;
	struct ivshmem *handle;
	void *mapped;
	int n;

	(void)argument;
	if (ivshmem_open_partition(&handle, scratch("region"), "part", 0) ||
	    ivshmem_map(handle, 0, 4096, &mapped) ||
	    ivshmem_event_open(handle, EVENT, 0, IVSHMEM_SYNC_CREATE, &event) ||
	    ivshmem_mutex_open(handle, MUTEX, 1, IVSHMEM_SYNC_CREATE, &mutex) ||
	    ivshmem_event_wait(event, ivshmem_after(PATIENCE)))
		return 1;
	for (n = 0; n < TURNS; n++) {
		volatile long *number = mapped;
		long before;

		if (ivshmem_mutex_lock(mutex, ivshmem_after(PATIENCE)))
			return 2;
		before = *number;
		sched_yield();
		*number = before + 1;
		if (ivshmem_mutex_unlock(mutex))
			return 3;
	}
	return 0;
}

static void test_three(unsigned char *memory)
{
	struct ivshmem *handle = open_part();
	struct ivshmem_event *event;
	pid_t pids[3];
	int n;

	tap_about("three programs");
	*(long *)(memory + DATA) = 0;
	if (ivshmem_event_open(handle, EVENT, 0, IVSHMEM_SYNC_CREATE, &event))
		tap_bail("no event");
	for (n = 0; n < 3; n++)
		pids[n] = start_program(add, NULL);
	tap_ok(eventually(ivshmem_peers(handle, NULL, 0) == 3), "all are there");
	tap_eq(ivshmem_event_set(event), 0, "they begin");
	for (n = 0; n < 3; n++)
		tap_eq(end_program(pids[n]), 0, "one ends");
	tap_eq(*(long *)(memory + DATA), 3 * TURNS, "they have added all");
	ivshmem_event_close(event);
	ivshmem_close(handle);
}

/* A child neither lives for its parent nor writes for it. */
static int use_of_parent(void *argument)
{
	struct ivshmem_wait_options look = { .timeout_ns = 0 };
	struct ivshmem *handle = argument, *own;
	int refused = ivshmem_ring(handle, FIRST_ID, 0) == -EPERM &&
		      ivshmem_wait(handle, &look, NULL) == -EPERM &&
		      ivshmem_list_peers(handle, NULL, 0) == -EPERM;

	ivshmem_close(handle);
	if (!refused || ivshmem_open(&own, scratch("region"), 0) ||
	    ivshmem_peers(own, NULL, 0) != 1)
		return 1;
	ivshmem_close(own);
	return 0;
}

static void test_fork(unsigned char *memory)
{
	struct ivshmem *handle = open_region(0);
	uint64_t owner = raw_section(memory, 0)->owner;

	tap_about("fork");
	tap_eq(end_program(start_program(use_of_parent, handle)), 0,
	       "a child has a handle of its own, and not its parent's");
	tap_ok(raw_section(memory, 0)->owner == owner, "the parent has its slot");
	tap_eq(ivshmem_ring(handle, FIRST_ID, 0), 0, "and rings");
	ivshmem_close(handle);
}

static void *wait_for_ever(void *argument)
{
	struct ivshmem_wait_options options = { .timeout_ns = IVSHMEM_FOREVER };

	ivshmem_wait(argument, &options, NULL);
	return NULL;
}

static void test_cancel(void)
{
	struct ivshmem_wait_options options = { .timeout_ns = PATIENCE };
	struct ivshmem *handle = open_region(0);
	struct ivshmem_wait_result found;
	pthread_t threads[2];
	void *result;
	int n;

	tap_about("pthread_cancel()");
	for (n = 0; n < 2; n++)
		pthread_create(&threads[n], NULL, wait_for_ever, handle);
	usleep(20000);
	for (n = 0; n < 2; n++) {
		pthread_cancel(threads[n]);
		pthread_join(threads[n], &result);
		tap_ok(result == PTHREAD_CANCELED, "a thread that waits ends");
	}
	ivshmem_ring(handle, id_of(handle), 0);
	tap_eq(ivshmem_wait(handle, &options, &found), 0, "another one waits");
	tap_eq(found.count, 1, "and hears its doorbell");
	ivshmem_close(handle);
}

/* An object keeps the slot after the handle is closed; the last one gives it back. */
static void test_lifetime(unsigned char *memory)
{
	struct ivshmem *handle = open_region(0);
	struct ivshmem_event *event;

	tap_about("lifetime");
	if (ivshmem_event_open(handle, DATA + EVENT, 0, IVSHMEM_SYNC_CREATE, &event))
		tap_bail("no event");
	ivshmem_close(handle);
	tap_ok(raw_section(memory, 0)->owner, "an object keeps the slot");
	tap_eq(ivshmem_event_set(event), 0, "and works");
	ivshmem_event_close(event);
	tap_ok(!raw_section(memory, 0)->owner, "without it, the slot is free");
}

/* Has this peer entered itself among those to be rung when the event is set? */
static bool is_sleeper(unsigned char *memory, uint32_t id)
{
	uint64_t *entries = (void *)(memory + DATA + EVENT + 128);
	int n;

	for (n = 0; n < 112; n++)
		if (entries[n] >> 40 == 0x736c70 && (entries[n] >> 24 & 0xffff) == id)
			return true;
	return false;
}

/* The slot is taken from an end of a channel: both ends go on, by another number. */
static void test_stolen(unsigned char *memory)
{
	struct ivshmem *handle = open_part(), *other = open_part();
	struct ivshmem_channel *a = must_create(handle, &range), *b = must_attach(other, &range);
	struct ivshmem_event *event, *same;
	char text[8];
	int64_t got;

	tap_about("stolen slot");
	handshake(a, b);
	if (ivshmem_event_open(handle, EVENT, 0, IVSHMEM_SYNC_CREATE, &event) ||
	    ivshmem_event_open(other, EVENT, 0, IVSHMEM_SYNC_CREATE, &same))
		tap_bail("no event");
	raw_section(memory, 0)->owner = 99;
	got = ivshmem_channel_recv(a, text, sizeof(text), ivshmem_after(PATIENCE));
	tap_ok(got == -EPIPE || got == -ECONNRESET, "this end's session is over");
	got = ivshmem_channel_recv(b, text, sizeof(text), ivshmem_after(PATIENCE));
	tap_ok(got == -EPIPE || got == -ECONNRESET, "so is the other's");
	tap_ok(pass(a, b) && pass(b, a), "then messages go both ways");
	tap_ok(id_of(handle) == FIRST_ID + 2, "the program has another id");
	tap_eq(*(uint32_t *)(memory + DATA + CHANNEL + 512 + 24), FIRST_ID + 2,
	       "by which the channel is rung");
	ivshmem_event_reset(event);
	tap_eq(ivshmem_event_wait(event, ivshmem_after(SECOND / 10)), -ETIMEDOUT,
	       "it waits for an event");
	tap_ok(is_sleeper(memory, FIRST_ID + 2), "by which it is rung for that as well");
	tap_eq(ivshmem_event_set(same), 0, "which the other sets");
	tap_eq(ivshmem_event_wait(event, ivshmem_after(PATIENCE)), 0, "and it sees");
	ivshmem_event_close(event);
	ivshmem_event_close(same);
	ivshmem_channel_close(a);
	ivshmem_channel_close(b);
	ivshmem_close(handle);
	ivshmem_close(other);
	memset(memory + AREA, 0, 4 * SECTION);
}

/* Only one of the ends has a slot, and the other cannot ring it. */
static void test_no_slot(void)
{
	struct ivshmem_channel_options options = range;
	struct ivshmem_channel_set *set;
	struct ivshmem_channel *a, *b, *found;
	struct ivshmem *handle, *other;
	int n;

	tap_about("no slot");
	make_region(1, 4);
	handle = open_part();
	other = open_part();
	tap_ok(id_of(handle) == FIRST_ID && id_of(other) == IVSHMEM_ID_UNKNOWN, "for one of two");
	a = must_create(handle, &options);
	b = must_attach(other, &options);
	ivshmem_channel_fd(a);
	handshake(a, b);
	for (n = 0; n < 6 && loop_recv(a) == -EAGAIN; n++)
		loop_wakes(a);
	tap_ok(a->listener.poll, "the end with doorbells looks every millisecond");
	tap_ok(!loop_send(b) && loop_wakes(a) && loop_recv(a) == 32, "and receives");
	ivshmem_channel_close(a);
	if (ivshmem_channel_set_open(handle, 0, IVSHMEM_CHANNEL_SET_SIZE, 0, &set))
		tap_bail("no set");
	options.set = set;
	a = must_create(handle, &options);
	handshake(a, b);
	for (n = 0; n < 6; n++) {
		while (!ivshmem_channel_set_next(set, &found))
			loop_recv(found);
		loop_poll(ivshmem_channel_set_fd(set), 60000);
	}
	tap_ok(set->listener.poll, "a set does so for this channel");
	ivshmem_channel_close(a);
	tap_ok(!set->listener.unrung && !set->listener.poll, "until that channel is closed");
	ivshmem_channel_close(b);
	ivshmem_channel_set_close(set);
	ivshmem_close(handle);
	ivshmem_close(other);
}

int main(void)
{
	unsigned char *memory = make_region(8, 4);

	test_messages();
	test_event_loop();
	test_killed();
	test_stopped();
	test_asking();
	test_mutex();
	memset(memory + AREA, 0, 8 * SECTION);
	test_three(memory);
	memset(memory + AREA, 0, 8 * SECTION);
	test_fork(memory);
	test_cancel();
	test_lifetime(memory);
	test_stolen(memory);
	test_no_slot();
	return tap_done();
}
