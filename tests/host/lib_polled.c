// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells between programs that have the same file and no server: they are found by looking
 * (lib/polled.c, member.c).
 */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "common/labelled.h"

#define WORD		(DATA + 0x1000)		/* where tests have their words */

static unsigned char *memory;

static _Atomic uint32_t *word_at(unsigned int offset)
{
	return (_Atomic uint32_t *)(void *)(memory + offset);
}

static int look(struct ivshmem *handle, uint32_t vector, struct ivshmem_wait_result *result)
{
	struct ivshmem_wait_options options = { .vector = vector };

	return ivshmem_wait(handle, &options, result);
}

static void test_ring(struct ivshmem *one, struct ivshmem *other)
{
	struct ivshmem_wait_options set = { .flags = IVSHMEM_WAIT_SET, .set = { 0xf } };
	struct ivshmem_wait_options sleep = { .vector = 3, .timeout_ns = IVSHMEM_FOREVER };
	struct ivshmem_wait_result result;

	tap_about("ring");
	tap_eq(look(other, 2, NULL), -ETIMEDOUT, "nothing has rung");
	tap_eq(ivshmem_ring(one, id_of(other), 2), 0, "one rings the other");
	tap_eq(ivshmem_ring(one, id_of(other), 2), 0, "twice");
	tap_eq(look(other, 1, NULL), -ETIMEDOUT, "another vector is not signalled");
	tap_eq(look(other, 2, &result), 0, "that one is");
	tap_ok(result.vector == 2 && result.count == 2 && result.set[0] == 4, "both are counted");
	tap_eq(look(other, 2, &result), -ETIMEDOUT, "once");
	ivshmem_ring(one, id_of(other), 3);
	ivshmem_ring(other, id_of(other), 1);
	tap_eq(ivshmem_wait(other, &set, &result), 0, "any vector, also rung by oneself");
	tap_ok(result.vector == 1 && result.count == 1 && result.set[0] == 0xa, "two are");
	ivshmem_ring(one, id_of(other), 3);
	tap_eq(ivshmem_wait(other, &sleep, &result), 0, "without a timeout");
	tap_eq(ivshmem_ring(one, FIRST_ID + 2, 0), -ENXIO, "nobody has the third slot");
	tap_ok(!strcmp(ivshmem_error(-ENXIO), "there is no peer 65282"), "which is the reason");
	tap_eq(ivshmem_ring(one, 3, 0), -ENXIO, "nor a doorbell id");
	tap_eq(ivshmem_ring(one, id_of(other), 4), -ENXIO, "there is no vector 4");
	tap_ok(!strcmp(ivshmem_error(-ENXIO), "peer 65281 has no vector 4: the last one is 3"),
	       "which is the reason");
	sleep.vector = 4;
	tap_eq(ivshmem_wait(one, &sleep, NULL), -EINVAL, "nor for a wait");
	tap_eq(ivshmem_eventfd(one, 4), -EINVAL, "nor for a descriptor");
}

/* To ring may be the last that a program does. */
static void test_last_ring(struct ivshmem *other)
{
	struct ivshmem *third = open_region(0);
	struct ivshmem_wait_result result;

	tap_about("last ring");
	tap_eq(ivshmem_ring(third, id_of(other), 2), 0, "a program rings");
	ivshmem_close(third);
	tap_ok(!raw_section(memory, 2)->owner, "and leaves");
	tap_eq(look(other, 2, &result), 0, "its doorbell is heard");
	tap_eq(result.count, 1, "once");
}

static void *ring_later(void *argument)
{
	struct ivshmem **pair = argument;

	usleep(50000);
	*word_at(WORD) = 1;
	ivshmem_ring(pair[0], id_of(pair[1]), 0);
	return NULL;
}

static void test_word(struct ivshmem *one, struct ivshmem *other, uint64_t spin_ns,
		      const char *about)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD, .offset = WORD, .timeout_ns = PATIENCE,
		.spin_ns = spin_ns,
	};
	struct ivshmem *pair[] = { one, other };
	struct ivshmem_wait_result result;
	pthread_t thread;
	int error;

	tap_about(about);
	*word_at(WORD) = 0;
	pthread_create(&thread, NULL, ring_later, pair);
	do {
		error = ivshmem_wait(other, &options, &result);
	} while (!error && !result.changed);
	tap_ok(!error && result.changed, "the change of a word ends a wait");
	pthread_join(thread, NULL);
	*word_at(WORD) = 0;
	look(other, 0, NULL);
	options.timeout_ns = 1000000;
	tap_eq(ivshmem_wait(other, &options, &result), -ETIMEDOUT, "a timeout does");
	options.flags |= IVSHMEM_WAIT_ABSTIME;
	options.timeout_ns = ivshmem_after(1000000);
	tap_eq(ivshmem_wait(other, &options, &result), -ETIMEDOUT, "also an absolute one");
	tap_ok(!result.changed && !result.count, "with nothing to report");
	options.timeout_ns = ivshmem_after(PATIENCE);
	tap_eq(ivshmem_ring_wait(other, id_of(other), 0, &options, &result), 0, "ring and wait");
	tap_eq(result.count, 1, "it rings itself");
}

static void test_eventfd(struct ivshmem *one, struct ivshmem *other)
{
	struct pollfd ready = { .fd = ivshmem_eventfd(other, 1), .events = POLLIN };
	uint64_t count;

	tap_about("eventfd");
	tap_eq(poll(&ready, 1, 0), 0, "nothing has rung");
	ivshmem_ring(one, id_of(other), 1);
	tap_eq(poll(&ready, 1, -1), 1, "poll() without a timeout ends");
	tap_ok(read(ready.fd, &count, sizeof(count)) == 8 && count == 1, "it counts");
	close(ready.fd);
}

static struct raw_section *pretend(unsigned int slot, uint32_t id)
{
	struct raw_section *section = raw_section(memory, slot);

	section->id = id;
	section->state = 1;
	section->owner = 1000 + slot;
	return section;
}

/* How often the peer in the first slot has rung vector 1 of another, which only looks can find. */
static uint32_t rung_by_first(unsigned int slot)
{
	return raw_section(memory, 0)->counters[4 + 4 * slot + 1];
}

/* A peer with a doorbell id, such as a guest, is rung by that, as are all who claim to have it. */
static void test_doorbell_id(struct ivshmem *one)
{
	uint32_t ids[3] = { 0 }, *rung = &raw_section(memory, 0)->counters[2], before = *rung;

	tap_about("doorbell id");
	pretend(2, 7);
	tap_eq(ivshmem_peers(one, ids, 3), 2, "one peer has an id");
	tap_ok(ids[0] == 7 && ids[1] == FIRST_ID + 1, "which is its number");
	tap_eq(ivshmem_ring(one, 7, 1), 0, "it is rung by that");
	tap_ok(rung_by_first(2) == 1 && *rung == before + 1, "in the memory");
	pretend(3, 7);
	ivshmem_peers(one, ids, 3);
	tap_eq(ivshmem_ring(one, 7, 1), 0, "two have the same");
	tap_ok(rung_by_first(2) == 2 && rung_by_first(3) == 1, "both are rung");
	raw_section(memory, 3)->id = 65536;
	tap_ok(ivshmem_peers(one, ids, 3) == 3 && ids[2] == FIRST_ID + 3,
	       "an id that nobody can have is none");
	tap_ok(eventually(ivshmem_peers(one, ids, 3) == 1), "both are silent");
	tap_eq(ivshmem_ring(one, FIRST_ID + 3, 1), -ENXIO, "so they are not there");
	tap_eq(rung_by_first(3), 2, "but hear of it if they go on");
	memset(raw_section(memory, 2), 0, 2 * SECTION);
}

/* How often the library's thread has begun to sleep. */
static long sleeps(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	char path[300], line[128];
	long count = 0, found = 0;

	while (tasks && (task = readdir(tasks))) {
		bool ours = false;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file)) {
			ours |= !strcmp(line, "Name:\tivshmem\n");
			if (ours && sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1)
				found += count;
		}
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return found;
}

static void *wait_long(void *argument)
{
	struct ivshmem_wait_options options = { .timeout_ns = IVSHMEM_FOREVER };

	ivshmem_wait(argument, &options, NULL);
	return NULL;
}

/* Only heartbeats wake the thread: each look for doorbells would take a sleep. */
static bool is_idle(volatile uint64_t *beats)
{
	uint64_t first = *beats;
	long before = sleeps(), slept;

	if (!eventually(*beats >= first + 10))
		return false;
	slept = sleeps() - before;
	tap_note("%ld sleeps in %lu heartbeats", slept, (unsigned long)(*beats - first));
	return slept && slept <= 4 * (long)(*beats - first);
}

static void test_looks(void)
{
	struct ivshmem *one = open_region(0), *other;
	struct ivshmem_channel_options range = { .offset = DATA, .size = 0x10000 };
	volatile uint64_t *beats = &raw_section(memory, 0)->heartbeat;
	struct ivshmem_channel *channel;
	long before, waiting;
	pthread_t thread;

	tap_about("looks");
	tap_ok(is_idle(beats), "nobody waits: few sleeps");
	pthread_create(&thread, NULL, wait_long, one);
	before = sleeps();
	tap_ok(eventually(sleeps() - before > 200), "somebody waits: many");
	waiting = sleeps() - before;
	other = open_region(0);
	tap_ok(waiting && !ivshmem_ring(other, id_of(one), 0), "until a doorbell ends that");
	pthread_join(thread, NULL);
	ivshmem_close(other);
	tap_ok(is_idle(beats), "nobody waits: few sleeps");
	channel = must_create(one, &range);
	before = sleeps();
	tap_ok(ivshmem_channel_fd(channel) >= 0 && eventually(sleeps() - before > 200),
	       "a channel has a descriptor: many");
	ivshmem_channel_close(channel);
	tap_ok(is_idle(beats), "it is closed: few sleeps");
	ivshmem_close(one);
}

/* What was rung before the program came is for whom had the slot then. */
static void test_arrival(struct ivshmem *one)
{
	struct ivshmem *third = open_region(0);
	uint32_t id = id_of(third);
	struct ivshmem_wait_result result;

	tap_about("arrival");
	tap_eq(ivshmem_ring(one, id, 0), 0, "a program is rung");
	ivshmem_close(third);
	third = open_region(0);
	tap_eq(id_of(third), id, "and replaced by another");
	tap_eq(look(third, 0, NULL), -ETIMEDOUT, "which does not hear that");
	ivshmem_ring(one, id, 0);
	tap_eq(look(third, 0, &result), 0, "but the next one");
	tap_eq(result.count, 1, "alone");
	ivshmem_close(third);
}

/* What both programs of a test have to know. */
struct relay {
	uint32_t first;			/* the id of the one that begins */
	uint32_t count;
	uint64_t spin_ns;
};

static int hand_over(struct ivshmem *handle, const struct relay *relay, uint32_t other,
		     uint32_t turn)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD, .offset = WORD, .timeout_ns = PATIENCE,
		.spin_ns = relay->spin_ns,
	};
	struct ivshmem_wait_result result;
	uint32_t n;

	for (n = turn; n < relay->count; n += 2) {
		do {
			options.expected = n - 1;
			if (atomic_load(word_at(WORD)) == n)
				break;
			if (ivshmem_wait(handle, &options, &result))
				return 1;
		} while (atomic_load(word_at(WORD)) != n);
		atomic_store(word_at(WORD), n + 1);
		if (ivshmem_ring(handle, other, 0))
			return 2;
	}
	return 0;
}

static int answer(void *argument)
{
	const struct relay *relay = argument;
	struct ivshmem *handle;

	if (ivshmem_open(&handle, scratch("region"), 0))
		return 3;
	*word_at(WORD) = 1;
	return hand_over(handle, relay, relay->first, 2);
}

/* Two programs, each of which wakes the other. */
static void test_hand_overs(uint32_t count, uint64_t spin_ns)
{
	struct ivshmem *handle = open_region(0);
	struct relay relay = { id_of(handle), count, spin_ns };
	uint32_t other;
	pid_t pid;
	double start;
	struct timespec time;

	tap_about("hand-overs");
	*word_at(WORD) = 0;
	pid = start_program(answer, &relay);
	if (!eventually(ivshmem_peers(handle, &other, 1) == 1 && *word_at(WORD) == 1))
		tap_bail("the other program does not come");
	clock_gettime(CLOCK_MONOTONIC, &time);
	start = time.tv_sec + time.tv_nsec / 1e9;
	tap_eq(hand_over(handle, &relay, other, 1), 0, "%u of them", count);
	clock_gettime(CLOCK_MONOTONIC, &time);
	tap_note("%.1f us each", (time.tv_sec + time.tv_nsec / 1e9 - start) * 1e6 / count);
	tap_eq(end_program(pid), 0, "in both programs");
	ivshmem_close(handle);
}

int main(void)
{
	struct ivshmem *one, *other;

	memory = make_region(4, 4);
	one = open_region(0);
	other = open_region(0);
	test_ring(one, other);
	test_last_ring(other);
	test_word(one, other, 0, "word");
	test_word(one, other, 1000000, "spin");
	test_doorbell_id(one);
	test_arrival(one);
	test_eventfd(one, other);
	ivshmem_close(other);
	ivshmem_close(one);
	test_looks();
	test_hand_overs(1000, 0);
	test_hand_overs(100000, 2000000);
	return tap_done();
}
