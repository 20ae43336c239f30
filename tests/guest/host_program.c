// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine with interrupts, one without, and a program on the host have the same memory; no
 * server knows all three. They send messages and share a mutex, events and a semaphore. Then the
 * program dies, both machines notice, and its successor goes on. At last a machine dies, which
 * the program and the other machine notice.
 */
/* rig: guests=2 devices=mixed vectors=4 size=1M alone=yes timeout=300 */
#include <ivshmem_channel.h>
#include <ivshmem_sync.h>
#include <poll.h>
#include <pthread.h>

#include "labels.h"
#include "loop.h"

#ifndef WITH_INTERRUPTS
#define WITH_INTERRUPTS	1	/* so many machines */
#endif
#define SIZE		(1UL << 20)
#define SLOTS		4
#define VECTORS		4
#define NAME		"part"
#define PART		(512UL << 10)	/* where the partition is, and its size */
#define PART_SIZE	(128UL << 10)
/* In the partition. */
#define MUTEX		0
#define BEGIN		IVSHMEM_SYNC_SIZE
#define END		(2 * IVSHMEM_SYNC_SIZE)
#define DONE		(3 * IVSHMEM_SYNC_SIZE)
#define COUNTER		(4 * IVSHMEM_SYNC_SIZE)
#define CHANNEL_SIZE	0x4000
#define PARTIES		3
#define BETWEEN_GUESTS	2	/* the number of their channel; those to the host have theirs */
#define MESSAGES	200
#define ADDITIONS	200
#define KILL_MS		300	/* until the program dies: the other guest shall sleep */
#define VECTOR		1	/* for channels; the objects have the next one */

static struct ivshmem *shm;
static struct ivshmem_mutex *mutex;
static struct ivshmem_event *begin, *end;	/* of adding up */
static struct ivshmem_semaphore *done;
static volatile uint64_t *counter;	/* protected by the mutex */

static int64_t soon(void)
{
	return ivshmem_after(60 * SECOND);
}

static struct ivshmem_channel_options range(unsigned int number)
{
	return (struct ivshmem_channel_options){
		.offset = (number + 1) * CHANNEL_SIZE, .size = CHANNEL_SIZE, .vector = VECTOR,
	};
}

/* The first of the three creates them. */
static int open_objects(void)
{
	void *memory;
	int error = ivshmem_map(shm, 0, 0, &memory);

	if (error)
		return error;
	counter = (void *)((char *)memory + COUNTER);
	error = ivshmem_mutex_open(shm, MUTEX, VECTOR + 1, IVSHMEM_SYNC_CREATE, &mutex);
	if (!error)
		error = ivshmem_event_open(shm, BEGIN, VECTOR + 1, IVSHMEM_SYNC_CREATE, &begin);
	if (!error)
		error = ivshmem_event_open(shm, END, VECTOR + 1, IVSHMEM_SYNC_CREATE, &end);
	if (!error)
		error = ivshmem_semaphore_open(shm, DONE, VECTOR + 1, IVSHMEM_SYNC_CREATE, 0,
					       &done);
	return error;
}

/* Add up with the others, and say that it is done. */
static int add_up(void)
{
	int error = ivshmem_event_wait(begin, soon());

	for (int i = 0; i < ADDITIONS && !error; i++) {
		error = ivshmem_mutex_lock(mutex, soon());
		if (error)
			break;
		(*counter)++;
		error = ivshmem_mutex_unlock(mutex);
	}
	return error ? error : ivshmem_semaphore_post(done);
}

/* Say the same back until the other end has closed. */
static void *echo(void *number)
{
	struct ivshmem_channel_options options = range((uintptr_t)number);
	struct ivshmem_channel *channel;
	char text[64];
	int64_t size = ivshmem_channel_attach(shm, &options, soon(), &channel);

	if (size) {
		printf("channel %u: %s\n", (unsigned int)(uintptr_t)number, ivshmem_error(size));
		return (void *)size;
	}
	while (size >= 0) {
		size = ivshmem_channel_recv(channel, text, sizeof(text), soon());
		if (size >= 0)
			size = ivshmem_channel_send(channel, text, size, 0, soon());
	}
	printf("channel %u: %s\n", (unsigned int)(uintptr_t)number, ivshmem_error(size));
	ivshmem_channel_close(channel);
	return (void *)size;
}

/* This is the program on the host. Unless it is a successor it has the mutex at its end. */
static int run_on_host(const char *path, bool successor)
{
	pthread_t threads[2];
	void *results[2];
	int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	error = ivshmem_open_partition(&shm, path, NAME, 0);
	if (!error)
		error = open_objects();
	if (error) {
		printf("cannot open: %s\n", ivshmem_error(error));
		return 1;
	}
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, echo, (void *)i);
	if (!successor) {
		error = add_up();
		if (!error)
			error = ivshmem_event_wait(end, soon());
		if (!error)
			error = ivshmem_mutex_lock(mutex, soon());
		if (!error)
			error = ivshmem_semaphore_post(done);
		if (error) {
			printf("cannot add up: %s\n", ivshmem_error(error));
			return 2;
		}
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], &results[i]);
	return results[0] == (void *)-EPIPE && results[1] == (void *)-EPIPE ? 0 : 3;
}

/* The first guest finds the partition by its name, the other one by its node. */
static void open_guest(void)
{
	struct ivshmem_label label = label_new(SIZE);
	int error, fd = dev_open();

	tap_eq(!!dev_info(fd).vectors, rig_guest() < WITH_INTERRUPTS, "interrupts, or none");
	if (!rig_guest()) {
		label_add(&label, 1, "raw", NAME, PART, PART_SIZE, 0, VECTORS);
		label_add_peers(&label, SLOTS, VECTORS);
		label_store(dev_map(fd, SIZE), &label);
	}
	close(fd);
	rig_ask("barrier labelled");
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label");
	error = rig_guest() ? ivshmem_open(&shm, "/dev/ivshmem0p1", 0)
			    : ivshmem_open_partition(&shm, "/dev/ivshmem0", NAME, 0);
	if (!error)
		error = open_objects();
	if (error)
		tap_bail("cannot open the partition: %s", ivshmem_error(error));
}

/* Wait until there are so many others, for which there is a descriptor. */
static bool become(int others)
{
	struct pollfd ready = { .fd = ivshmem_fd(shm), .events = POLLIN };

	while (ivshmem_peers(shm, NULL, 0) != others)
		if (poll(&ready, 1, 60000) != 1)
			return false;
	return true;
}

/* The program on the host among those who are present, and its id. */
static uint32_t test_program(void)
{
	struct ivshmem_peer peers[SLOTS] = { 0 };
	const struct ivshmem_peer *program = NULL;
	int guests = 0;

	tap_eq(ivshmem_list_peers(shm, peers, SLOTS), PARTIES, "all three are listed");
	for (int i = 0; i < PARTIES; i++) {
		guests += peers[i].kind == IVSHMEM_KIND_GUEST;
		if (peers[i].kind == IVSHMEM_KIND_PROGRAM)
			program = &peers[i];
	}
	tap_eq(guests, 2, "two guests");
	for (int i = 0; i < PARTIES; i++)
		if (peers[i].self)
			tap_ok((peers[i].id < 0xff00) == (rig_guest() < WITH_INTERRUPTS),
			       "this one has the id %#x", peers[i].id);
	if (!program)
		tap_bail("no program");
	tap_ok(!strncmp(program->name, "host_program", 12), "and %s", program->name);
	tap_eq(program->id, 0xff00 + program->slot, "the program is rung by its slot");
	return program->id;
}

/* How many messages come back. */
static int talk(struct ivshmem_channel *channel, int messages)
{
	char text[32], answer[32];
	int64_t size;
	int i;

	for (i = 0; i < messages; i++) {
		size = snprintf(text, sizeof(text), "message %d", i);
		if (ivshmem_channel_send(channel, text, size, 0, soon()) ||
		    ivshmem_channel_recv(channel, answer, sizeof(answer), soon()) != size ||
		    memcmp(text, answer, size))
			break;
	}
	return i;
}

static void test_guests(void)
{
	struct ivshmem_channel_options options = range(BETWEEN_GUESTS);
	struct ivshmem_channel *channel;

	if (rig_guest()) {
		tap_eq((intptr_t)echo((void *)BETWEEN_GUESTS), -EPIPE, "answer the other guest");
		return;
	}
	if (ivshmem_channel_create(shm, &options, &channel))
		tap_bail("no channel between the guests");
	tap_eq(talk(channel, MESSAGES), MESSAGES, "messages to the other guest, and back");
	ivshmem_channel_close(channel);
}

static void test_objects(void)
{
	int posted = 0;

	rig_ask("barrier objects");
	if (!rig_guest())
		tap_eq(ivshmem_event_set(begin), 0, "all three begin");
	tap_eq(add_up(), 0, "lock and unlock %d times", ADDITIONS);
	if (!rig_guest()) {
		while (posted < PARTIES && !ivshmem_semaphore_wait(done, soon()))
			posted++;
		tap_eq(posted, PARTIES, "all three have done it");
		tap_eq(*counter, PARTIES * ADDITIONS, "no addition is lost");
		tap_eq(ivshmem_event_set(end), 0, "that is all");
		tap_eq(ivshmem_semaphore_wait(done, soon()), 0, "the program has the mutex");
	}
	rig_ask("barrier done");
	tap_eq(ivshmem_mutex_lock(mutex, ivshmem_after(SECOND / 5)), -ETIMEDOUT,
	       "nobody else gets it");
}

static long long ms_since(int64_t start)
{
	return (now_ns() - start) / 1000000;
}

/* One guest polls, the other one sleeps in a call. */
static void test_death(struct ivshmem_channel *channel)
{
	struct pollfd ready = { .fd = ivshmem_channel_fd(channel), .events = POLLIN };
	int64_t got, start;
	char text[32];
	bool told;

	rig_ask("barrier dies");
	start = now_ns();
	if (rig_guest()) {
		got = ivshmem_channel_recv(channel, text, sizeof(text), soon());
		tap_eq(got, -EPIPE, "a call that sleeps learns of the death, %lld ms later",
		       ms_since(start) - KILL_MS);
		tap_ok(become(1), "so does a program that asks who is there");
		return;
	}
	sleep_ms(KILL_MS);
	start = now_ns();
	rig_ask("program-kill");
	told = become(1);
	tap_ok(told, "the library tells of the death %lld ms later", ms_since(start));
	while ((got = ivshmem_channel_recv(channel, text, sizeof(text), 0)) == -EAGAIN)
		if (loop_poll(ready.fd, 60000) != 1)
			break;
	tap_eq(got, -EPIPE, "and the channel does, after %lld ms", ms_since(start));
}

/* A guest cannot know by itself that a program of another machine has died. */
static void test_mutex(uint32_t program)
{
	if (!rig_guest()) {
		tap_eq(ivshmem_mutex_recover(mutex, program), 0, "report the death");
		tap_eq(ivshmem_mutex_lock(mutex, soon()), -EOWNERDEAD, "the mutex comes from it");
		tap_eq(ivshmem_mutex_consistent(mutex), 0, "what it protects is repaired");
		tap_eq(ivshmem_mutex_unlock(mutex), 0, "unlock it");
	}
	rig_ask("barrier repaired");
	tap_eq(ivshmem_mutex_lock(mutex, soon()), 0, "lock the mutex");
	tap_eq(ivshmem_mutex_unlock(mutex), 0, "and unlock it");
}

static void test_successor(struct ivshmem_channel *channel)
{
	if (!rig_guest())
		rig_ask("program again");
	tap_ok(become(2), "a successor comes");
	tap_eq(talk(channel, MESSAGES), MESSAGES, "messages to it, and back");
	rig_ask("barrier talked");
}

/* The program ends when both ends have gone: this one closes, the other guest dies. */
static void test_dead_guest(struct ivshmem_channel *channel)
{
	int64_t start = now_ns();
	bool ended;

	ivshmem_channel_close(channel);
	ended = rig_try("program-end");
	tap_ok(ended, "the program learns of the death of a guest, %lld ms later",
	       ms_since(start));
	tap_ok(become(0), "nobody is left");
}

int main(int argc, char **argv)
{
	struct ivshmem_channel_options options;
	struct ivshmem_channel *channel;
	uint32_t program;

	if (argc > 1)
		return run_on_host(argv[1], argc > 2);
	open_guest();
	tap_ok(become(1), "both guests are there");
	options = range(rig_guest());
	if (ivshmem_channel_create(shm, &options, &channel))
		tap_bail("no channel to the host");
	rig_ask("barrier guests");
	if (!rig_guest())
		rig_ask("program");
	tap_ok(become(2), "the program comes");
	program = test_program();
	tap_eq(talk(channel, MESSAGES), MESSAGES, "messages to the host, and back");
	test_guests();
	test_objects();
	test_death(channel);
	rig_ask("barrier dead");
	test_mutex(program);
	test_successor(channel);
	if (rig_guest()) {
		tap_done();
		rig_ask("kill");
		return 1;
	}
	test_dead_guest(channel);
	return tap_done();
}
