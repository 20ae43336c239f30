// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects that several programs create at once, or that others have left half made, and
 * the sleepers' entries of programs that come and go.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../guest/pattern.h"
#include "../../lib/sync.h"
#include "common/open.h"

#define REGION		(1 << 20)
#define SECOND		INT64_C(1000000000)
#define PATIENCE	ivshmem_after(60 * SECOND)
#define OBJECT		0
#define EXCLUSIVE	1024
#define SCENE		4096
#define FRESH		(IVSHMEM_SYNC_CREATE | IVSHMEM_SYNC_RESET)
#define ROUNDS		1000
#define RESTARTS	10000

static void *region;
static struct sync_area *area;

/* Creation */

struct scene {
	_Atomic uint32_t arrived;
	_Atomic uint32_t inside;
	_Atomic uint32_t created;
	_Atomic uint32_t failures;
};

static struct scene *scene;

/* Both have come here @times times. */
static void meet(uint32_t times)
{
	scene->arrived++;
	while (scene->arrived < 2 * times)
		sched_yield();
}

static void create_and_lock(struct ivshmem *handle, uint32_t round)
{
	struct ivshmem_mutex *mutex, *exclusive;
	int error = ivshmem_mutex_open(handle, OBJECT, 0, IVSHMEM_SYNC_CREATE, &mutex);

	if (!error)
		error = ivshmem_mutex_lock(mutex, PATIENCE);
	if (scene->inside++)
		scene->failures++;
	if (round % 2)
		sched_yield();
	scene->inside--;
	if (error || ivshmem_mutex_unlock(mutex))
		scene->failures++;
	ivshmem_mutex_close(mutex);
	error = ivshmem_mutex_open(handle, EXCLUSIVE, 0,
				   IVSHMEM_SYNC_CREATE | IVSHMEM_SYNC_EXCLUSIVE, &exclusive);
	scene->created += !error;
	if (error && error != -EEXIST)
		scene->failures++;
	ivshmem_mutex_close(exclusive);
}

/* One of two processes; the first prepares the memory, which has been used or not. */
static void create_in_rounds(struct ivshmem *handle, bool first)
{
	uint32_t round;

	for (round = 0; round < ROUNDS; round++) {
		if (first)
			pattern_write(region, 2 * IVSHMEM_SYNC_SIZE, round);
		if (first && round % 2)
			memset(region, 0, 2 * IVSHMEM_SYNC_SIZE);
		meet(2 * round + 1);
		create_and_lock(handle, round);
		meet(2 * round + 2);
	}
}

static void test_concurrent_creation(struct ivshmem *a)
{
	int status = -1;
	pid_t pid;

	memset(scene, 0, sizeof(*scene));
	pid = fork();
	if (!pid) {
		create_in_rounds(must_open(0), false);
		_exit(0);
	}
	create_in_rounds(a, true);
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "two processes create an object at once, %d times", ROUNDS);
	tap_eq(scene->failures, 0, "both get the same mutex, and only one locks it");
	tap_eq(scene->created, ROUNDS, "with EXCLUSIVE one of them creates it, each time");
}

static bool can_be_made(struct ivshmem *handle)
{
	struct ivshmem_mutex *mutex;
	bool made = !ivshmem_mutex_open(handle, OBJECT, 0, IVSHMEM_SYNC_CREATE, &mutex);

	made = made && !ivshmem_mutex_lock(mutex, 0) && !ivshmem_mutex_unlock(mutex);
	ivshmem_mutex_close(mutex);
	return made;
}

static void test_states(struct ivshmem *a)
{
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_mutex *mutex;
	struct ivshmem_event *event;

	tap_eq(ivshmem_mutex_open(a, OBJECT, 0, IVSHMEM_SYNC_EXCLUSIVE, &mutex), -EINVAL,
	       "EXCLUSIVE without CREATE");
	tap_eq(ivshmem_mutex_open(a, OBJECT, 0, IVSHMEM_SYNC_RESET, &mutex), -EINVAL,
	       "RESET without CREATE");
	tap_eq(ivshmem_mutex_open(a, OBJECT, 0, FRESH | IVSHMEM_SYNC_EXCLUSIVE, &mutex), -EINVAL,
	       "RESET with EXCLUSIVE");
	memset(area, 0, sizeof(*area));
	tap_eq(ivshmem_mutex_open(a, OBJECT, 0, 0, &mutex), -ENOENT, "zeroes are no object");
	tap_ok(can_be_made(a), "zeroes become an object");
	tap_ok(can_be_made(a), "that is opened again");
	tap_eq(ivshmem_event_open(a, OBJECT, 0, 0, &event), -ENOENT, "it is no event");
	tap_eq(ivshmem_event_open(a, OBJECT, 0, IVSHMEM_SYNC_CREATE, &event), -EEXIST,
	       "no event is created over it");
	/* Its creator died before the last step; it may look locked. */
	atomic_store(&area->magic, 0);
	tap_ok(can_be_made(a), "a half-made object is completed");
	atomic_store(&area->magic, 0);
	atomic_fetch_or(&area->word, UINT64_C(5) << SYNC_VALUE_SHIFT);
	tap_ok(can_be_made(a), "what looks like a locked mutex without magic is none");
	memset(area, 0xff, sizeof(*area));
	tap_ok(can_be_made(a), "ones become an object");
	atomic_fetch_add(&area->magic, 1 << 16);
	tap_eq(ivshmem_mutex_open(a, OBJECT, 0, IVSHMEM_SYNC_CREATE, &mutex), -EPROTONOSUPPORT,
	       "an object of another version");
	tap_eq(ivshmem_semaphore_open(a, OBJECT, 0, FRESH, 7, &semaphore), 0,
	       "RESET creates whatever there was");
	ivshmem_semaphore_close(semaphore);
	ivshmem_semaphore_open(a, OBJECT, 0, IVSHMEM_SYNC_CREATE, 3, &semaphore);
	tap_eq(ivshmem_semaphore_value(semaphore), 7, "the first creator has set the value");
	ivshmem_semaphore_close(semaphore);
}

/* Sleepers */

static bool is_listed(uint64_t entry, uint32_t id)
{
	return entry >> 40 == 0x736c70 && (entry >> 24 & 0xffff) == id;
}

static int entries_of(uint32_t id)
{
	int n, count = 0;

	for (n = 0; n < SYNC_SLEEPERS; n++)
		count += is_listed(atomic_load(&area->sleepers[n]), id);
	return count;
}

static uint32_t id_of(struct ivshmem *handle)
{
	struct ivshmem_properties properties;

	ivshmem_get_properties(handle, &properties);
	return properties.id;
}

/*
 * A program that waits in vain, and then closes the mutex or dies. Whether it found an
 * entry, which one of its waits may have been too short for.
 */
static bool come_and_go(bool dies)
{
	struct ivshmem *handle = must_open(0);
	uint32_t id = id_of(handle);
	struct ivshmem_mutex *mutex;
	int n = 0, tries = 20;
	uint64_t entry;

	if (ivshmem_mutex_open(handle, OBJECT, 1, 0, &mutex))
		tap_bail("cannot open the mutex");
	while (!entries_of(id) && tries--)
		ivshmem_mutex_lock(mutex, ivshmem_after(100000));
	while (n < SYNC_SLEEPERS - 1 && !is_listed(atomic_load(&area->sleepers[n]), id))
		n++;
	entry = atomic_load(&area->sleepers[n]);
	ivshmem_mutex_close(mutex);
	if (entries_of(id))
		tap_bail("closing the mutex left an entry");
	/* As if it had not been closed. */
	if (dies)
		atomic_store(&area->sleepers[n], entry);
	ivshmem_close(handle);
	return is_listed(entry, id);
}

static void *lock_later(void *mutex)
{
	return (void *)(intptr_t)ivshmem_mutex_lock(mutex, PATIENCE);
}

static void test_restarts(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_mutex *x, *y, *z;
	int n, found = 0;
	pthread_t thread;
	void *result;

	ivshmem_mutex_open(a, OBJECT, 0, FRESH, &x);
	ivshmem_mutex_lock(x, 0);
	while (found < RESTARTS && come_and_go(found % 4))
		found++;
	tap_eq(found, RESTARTS, "a program waits and ends, %d times, and finds an entry", RESTARTS);
	ivshmem_mutex_open(b, OBJECT, 1, 0, &y);
	ivshmem_mutex_open(b, OBJECT, 1, 0, &z);
	pthread_create(&thread, NULL, lock_later, y);
	tap_ok(eventually(entries_of(id_of(b)) == 1), "another one does as well");
	/* Its other object has the same entry. */
	ivshmem_mutex_close(z);
	tap_ok(eventually(entries_of(id_of(b)) == 1), "and keeps it");
	ivshmem_mutex_unlock(x);
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, 0, "it gets the mutex");
	for (n = 0; n < SYNC_SLEEPERS && !atomic_load(&area->sleepers[n]); n++)
		;
	tap_eq(n, SYNC_SLEEPERS, "the ring has taken out all entries");
	ivshmem_mutex_unlock(y);
	ivshmem_mutex_close(x);
	ivshmem_mutex_close(y);
}

/* An entry that was left so many rounds ago that it seems to be of a later one. */
static void test_old_entry(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_mutex *x, *y;
	pthread_t thread;
	uint64_t round, entry;
	void *result;

	ivshmem_mutex_open(a, OBJECT, 0, FRESH, &x);
	ivshmem_mutex_open(b, OBJECT, 1, 0, &y);
	ivshmem_mutex_lock(x, 0);
	memset((void *)area->sleepers, 0, sizeof(area->sleepers));
	round = (atomic_load(&area->word) & SYNC_ROUND) >> SYNC_ROUND_SHIFT;
	entry = UINT64_C(0x736c70) << 40 | (uint64_t)id_of(b) << 24 | 1 << 16;
	atomic_store(&area->sleepers[5], entry | ((round + 400) & 0x3ff));
	pthread_create(&thread, NULL, lock_later, y);
	tap_ok(eventually(atomic_load(&area->sleepers[5]) == (entry | round)),
	       "a sleeper renews an old entry");
	ivshmem_mutex_unlock(x);
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, 0, "it gets the mutex");
	ivshmem_mutex_close(x);
	ivshmem_mutex_close(y);
}

/* Anything may be in the entries. */
static void test_hostile_entries(struct ivshmem *a, struct ivshmem *b)
{
	uint64_t state = pattern_seed(0);
	struct ivshmem_mutex *x, *y;
	pthread_t thread;
	void *result;
	int n;

	ivshmem_mutex_open(a, OBJECT, 0, FRESH, &x);
	ivshmem_mutex_open(b, OBJECT, 1, 0, &y);
	ivshmem_mutex_lock(x, 0);
	for (n = 0; n < SYNC_SLEEPERS; n++)
		atomic_store(&area->sleepers[n], n % 2 ? pattern_next(&state) :
			     pattern_next(&state) >> 24 | UINT64_C(0x736c70) << 40);
	pthread_create(&thread, NULL, lock_later, y);
	tap_ok(eventually(entries_of(id_of(b))), "a sleeper finds a place among nonsense");
	ivshmem_mutex_unlock(x);
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, 0, "it gets the mutex");
	ivshmem_mutex_unlock(y);
	ivshmem_mutex_close(x);
	ivshmem_mutex_close(y);
}

int main(void)
{
	int before = open_descriptors(0);
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(0);

	ivshmem_map(a, 0, 0, &region);
	area = (void *)((char *)region + OBJECT);
	scene = (void *)((char *)region + SCENE);
	test_states(a);
	test_concurrent_creation(a);
	test_restarts(a, b);
	test_old_entry(a, b);
	test_hostile_entries(a, b);
	ivshmem_unmap(a, region, REGION);
	ivshmem_close(a);
	ivshmem_close(b);
	tap_eq(open_descriptors(0), before, "no file descriptor is leaked");
	return stop_server(server, SIGTERM) || tap_done();
}
