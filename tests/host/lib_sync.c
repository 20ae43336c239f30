// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutexes, semaphores and events between programs: what they promise, each
 * refusal, and the death of an owner.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/open.h"
#include "ivshmem_sync.h"

#define REGION		(1 << 20)
#define SECOND		INT64_C(1000000000)
#define PATIENCE	ivshmem_after(60 * SECOND)
#define SOON		ivshmem_after(SECOND / 50)
#define ROUNDS		20000
#define WORKERS		4
#define MUTEX		0
#define SEMAPHORE	512
#define EVENT		1024
#define COUNTER		4096

static struct ivshmem_mutex *must_open_mutex(struct ivshmem *handle)
{
	struct ivshmem_mutex *mutex;
	int error = ivshmem_mutex_open(handle, MUTEX, 1, &mutex);

	if (error)
		tap_bail("cannot open the mutex: %s", strerror(-error));
	return mutex;
}

static void test_opening(struct ivshmem *a)
{
	struct ivshmem *reader = must_open(IVSHMEM_READ_ONLY);
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_mutex *mutex;
	struct ivshmem_event *event;

	tap_eq(ivshmem_mutex_create(a, 32, 0, &mutex), -EINVAL, "odd offset");
	tap_eq(ivshmem_mutex_create(a, REGION - 448, 0, &mutex), -EINVAL,
	       "beyond the end");
	tap_eq(ivshmem_mutex_create(a, -64ULL, 0, &mutex), -EINVAL, "far beyond");
	tap_eq(ivshmem_mutex_create(a, 0, 2, &mutex), -EINVAL, "no such vector");
	tap_eq(ivshmem_mutex_create(reader, 0, 0, &mutex), -EACCES, "read-only");
	tap_eq(ivshmem_mutex_open(a, MUTEX, 0, &mutex), -ENOENT, "no mutex there");
	tap_ok(!mutex, "nothing comes of it");
	tap_eq(ivshmem_semaphore_create(a, SEMAPHORE, 0, 0x80000000U, &semaphore),
	       -EINVAL, "too many permits");
	tap_eq(ivshmem_event_create(a, EVENT, 0, 4, &event), -EINVAL, "unknown flag");
	tap_eq(ivshmem_mutex_create(a, REGION - 512, 0, &mutex), 0,
	       "the last bytes of the region");
	tap_eq(ivshmem_semaphore_open(a, REGION - 512, 0, &semaphore), -ENOENT,
	       "a mutex is no semaphore");
	ivshmem_mutex_close(mutex);
	ivshmem_mutex_close(NULL);
	ivshmem_semaphore_close(NULL);
	ivshmem_event_close(NULL);
	ivshmem_close(reader);
}

static void test_mutex(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_mutex *x, *y;

	ivshmem_mutex_create(a, MUTEX, 0, &x);
	y = must_open_mutex(b);
	tap_eq(ivshmem_mutex_unlock(x), -EPERM, "unlock: not locked");
	tap_eq(ivshmem_mutex_lock(x, 0), 0, "lock");
	tap_eq(ivshmem_mutex_lock(x, 0), -EDEADLK, "the same thread again");
	tap_eq(ivshmem_mutex_lock(y, 0), -EAGAIN, "another: not now");
	tap_eq(ivshmem_mutex_lock(y, SOON), -ETIMEDOUT, "another: not in time");
	tap_eq(ivshmem_mutex_unlock(y), -EPERM, "another cannot unlock");
	tap_eq(ivshmem_mutex_consistent(x), -EINVAL, "it is consistent");
	tap_eq(ivshmem_mutex_recover(y, 1), -ENOENT, "recover: not that peer's");
	tap_eq(ivshmem_mutex_recover(y, 65536), -ENOENT, "recover: no such peer");
	tap_eq(ivshmem_mutex_unlock(x), 0, "unlock");
	tap_eq(ivshmem_mutex_lock(y, 0), 0, "another locks");
	tap_eq(ivshmem_mutex_unlock(y), 0, "and unlocks");
	tap_eq(ivshmem_mutex_lock(x, 0), 0, "lock");
	tap_eq(ivshmem_mutex_recover(y, 0), 0, "say that the owner is gone");
	tap_eq(ivshmem_mutex_unlock(x), -EPERM, "then it has it no more");
	tap_eq(ivshmem_mutex_lock(y, 0), -EOWNERDEAD, "the next one gets -EOWNERDEAD");
	tap_eq(ivshmem_mutex_consistent(y), 0, "puts it right");
	tap_eq(ivshmem_mutex_unlock(y), 0, "and unlocks");
	tap_eq(ivshmem_mutex_lock(x, 0), 0, "all is well");
	ivshmem_mutex_recover(y, 0);
	ivshmem_mutex_lock(y, 0);
	tap_eq(ivshmem_mutex_unlock(y), 0, "unlocked without that");
	tap_eq(ivshmem_mutex_lock(x, 0), -ENOTRECOVERABLE, "it is of no use");
	tap_eq(ivshmem_mutex_lock(y, PATIENCE), -ENOTRECOVERABLE, "to anybody");
	ivshmem_mutex_close(x);
	ivshmem_mutex_create(a, MUTEX, 0, &x);
	tap_eq(ivshmem_mutex_lock(y, 0), 0, "until it is created again");
	tap_eq(ivshmem_mutex_unlock(y), 0, "and so on");
	ivshmem_mutex_close(x);
	ivshmem_mutex_close(y);
}

/* Add to a counter that only the mutex protects. */
static int count(struct ivshmem *handle, struct ivshmem_mutex *mutex)
{
	volatile uint64_t *memory;
	int round, error = 0;

	ivshmem_map(handle, COUNTER, 4096, (void **)&memory);
	for (round = 0; round < ROUNDS && !error; round++) {
		error = ivshmem_mutex_lock(mutex, PATIENCE);
		if (!error) {
			memory[0]++;
			error = ivshmem_mutex_unlock(mutex);
		}
	}
	ivshmem_unmap(handle, (void *)memory, 4096);
	return error;
}

/* Two threads in each process share a handle and an object. */
static void *count_in_thread(void *argument)
{
	void **both = argument;

	return (void *)(intptr_t)count(both[0], both[1]);
}

static int count_twice(struct ivshmem *handle)
{
	void *both[2] = { handle, must_open_mutex(handle) };
	pthread_t thread;
	void *result;
	int error;

	pthread_create(&thread, NULL, count_in_thread, both);
	error = count(both[0], both[1]);
	pthread_join(thread, &result);
	ivshmem_mutex_close(both[1]);
	return error || result;
}

static void test_exclusion(struct ivshmem *a)
{
	struct ivshmem_mutex *mutex;
	uint64_t *memory;
	pid_t pids[WORKERS];
	int n, status, failures = 0;

	ivshmem_mutex_create(a, MUTEX, 0, &mutex);
	ivshmem_map(a, COUNTER, 4096, (void **)&memory);
	memory[0] = 0;
	for (n = 0; n < WORKERS; n++) {
		pids[n] = fork();
		if (!pids[n])
			_exit(count_twice(must_open(0)));
	}
	for (n = 0; n < WORKERS; n++) {
		waitpid(pids[n], &status, 0);
		failures += status != 0;
	}
	tap_eq(failures, 0, "%d processes of two threads each", WORKERS);
	tap_eq(memory[0], 2 * WORKERS * ROUNDS, "exclude each other");
	ivshmem_unmap(a, memory, 4096);
	ivshmem_mutex_close(mutex);
}

/* A process that locks the mutex, reports that, and dies on request. */
static pid_t lock_and_die(int *go)
{
	int ready[2], die[2];
	char byte;
	pid_t pid;

	if (pipe(ready) || pipe(die))
		tap_bail("no pipe");
	pid = fork();
	if (!pid) {
		struct ivshmem_mutex *mutex = must_open_mutex(must_open(0));

		close(die[1]);
		byte = (char)ivshmem_mutex_lock(mutex, PATIENCE);
		if (write(ready[1], &byte, 1) == 1)
			(void)!read(die[0], &byte, 1);
		kill(getpid(), SIGKILL);
	}
	if (read(ready[0], &byte, 1) != 1)
		tap_bail("it did not lock");
	close(ready[0]);
	close(ready[1]);
	close(die[0]);
	*go = die[1];
	return pid;
}

static void *lock_later(void *mutex)
{
	return (void *)(intptr_t)ivshmem_mutex_lock(mutex, PATIENCE);
}

static void test_owner_death(struct ivshmem *a)
{
	struct ivshmem_mutex *x;
	pthread_t thread;
	void *result;
	pid_t pid;
	int go;

	ivshmem_mutex_create(a, MUTEX, 0, &x);
	pid = lock_and_die(&go);
	pthread_create(&thread, NULL, lock_later, x);
	usleep(50000);
	close(go);
	waitpid(pid, NULL, 0);
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, -EOWNERDEAD, "a sleeping thread learns that the owner died");
	ivshmem_mutex_close(x);

	ivshmem_mutex_create(a, MUTEX, 0, &x);
	pid = lock_and_die(&go);
	close(go);
	waitpid(pid, NULL, 0);
	tap_eq(ivshmem_mutex_lock(x, PATIENCE), -EOWNERDEAD,
	       "so does a later one");
	tap_eq(ivshmem_mutex_unlock(x), 0, "and has it");
	ivshmem_mutex_close(x);

	/* The successor has the id of the dead owner, unnoticed by others. */
	ivshmem_mutex_create(a, MUTEX, 0, &x);
	pid = lock_and_die(&go);
	close(go);
	waitpid(pid, NULL, 0);
	pid = fork();
	if (!pid) {
		struct ivshmem_mutex *mine = must_open_mutex(must_open(0));

		_exit(ivshmem_mutex_lock(mine, PATIENCE) != -EOWNERDEAD ||
		      ivshmem_mutex_consistent(mine) || ivshmem_mutex_unlock(mine));
	}
	waitpid(pid, &go, 0);
	tap_eq(go, 0, "and the dead one's successor");
	tap_eq(ivshmem_mutex_lock(x, PATIENCE), 0, "which puts it right");
	ivshmem_mutex_close(x);
}

static void test_semaphore(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_semaphore *x, *y;
	int status, n, failures = 0;
	pid_t pid;

	tap_eq(ivshmem_semaphore_create(a, SEMAPHORE, 0, 2, &x), 0, "a semaphore");
	tap_eq(ivshmem_semaphore_open(b, SEMAPHORE, 0, &y), 0, "opened");
	tap_eq(ivshmem_semaphore_value(y), 2, "has its permits");
	tap_eq(ivshmem_semaphore_wait(x, 0), 0, "one is taken");
	tap_eq(ivshmem_semaphore_wait(y, 0), 0, "and one by the other");
	tap_eq(ivshmem_semaphore_wait(x, 0), -EAGAIN, "no more");
	tap_eq(ivshmem_semaphore_wait(y, SOON), -ETIMEDOUT, "nor in time");
	tap_eq(ivshmem_semaphore_post(y), 0, "one is given");
	tap_eq(ivshmem_semaphore_wait(x, 0), 0, "and taken");
	pid = fork();
	if (!pid) {
		struct ivshmem_semaphore *z;

		if (ivshmem_semaphore_open(must_open(0), SEMAPHORE, 1, &z))
			_exit(1);
		for (n = 0; n < ROUNDS; n++)
			if (ivshmem_semaphore_wait(z, PATIENCE))
				_exit(2);
		_exit(0);
	}
	for (n = 0; n < ROUNDS; n++)
		failures += ivshmem_semaphore_post(x) != 0;
	waitpid(pid, &status, 0);
	tap_ok(!status && !failures, "%d permits for a process", ROUNDS);
	tap_eq(ivshmem_semaphore_value(x), 0, "all are taken");
	ivshmem_semaphore_close(x);
	ivshmem_semaphore_create(a, SEMAPHORE, 0, IVSHMEM_SEMAPHORE_MAX, &x);
	tap_eq(ivshmem_semaphore_post(x), -EOVERFLOW, "there can be no more");
	ivshmem_semaphore_close(x);
	ivshmem_semaphore_close(y);
}

static void *wait_for_event(void *event)
{
	return (void *)(intptr_t)ivshmem_event_wait(event, PATIENCE);
}

static void test_event(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_event *x, *y;
	pthread_t threads[WORKERS];
	int n, failures = 0;
	void *result;

	tap_eq(ivshmem_event_create(a, EVENT, 0, 0, &x), 0, "an event");
	tap_eq(ivshmem_event_open(b, EVENT, 1, &y), 0, "opened");
	tap_eq(ivshmem_event_wait(y, 0), -EAGAIN, "is not set");
	tap_eq(ivshmem_event_wait(y, SOON), -ETIMEDOUT, "nor in time");
	for (n = 0; n < WORKERS; n++)
		pthread_create(&threads[n], NULL, wait_for_event, y);
	usleep(50000);
	ivshmem_event_set(x);
	for (n = 0; n < WORKERS; n++) {
		pthread_join(threads[n], &result);
		failures += result != NULL;
	}
	tap_eq(failures, 0, "setting wakes all");
	tap_eq(ivshmem_event_wait(x, 0), 0, "it stays set");
	ivshmem_event_reset(y);
	tap_eq(ivshmem_event_wait(x, 0), -EAGAIN, "until it is reset");
	ivshmem_event_close(x);
	ivshmem_event_close(y);

	ivshmem_event_create(a, EVENT, 0,
			     IVSHMEM_EVENT_AUTO_RESET | IVSHMEM_EVENT_SET, &x);
	ivshmem_event_open(b, EVENT, 1, &y);
	tap_eq(ivshmem_event_wait(y, 0), 0, "set from the begin");
	tap_eq(ivshmem_event_wait(x, 0), -EAGAIN, "one takes it");
	for (n = 0; n < 1000; n++) {
		pthread_create(&threads[0], NULL, wait_for_event, y);
		ivshmem_event_set(x);
		pthread_join(threads[0], &result);
		failures += result != NULL;
	}
	tap_eq(failures, 0, "each setting lets one go on");
	tap_eq(ivshmem_event_wait(y, 0), -EAGAIN, "none is left over");
	ivshmem_event_close(x);
	ivshmem_event_close(y);
}

int main(void)
{
	int before = open_descriptors(0);
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(0);

	test_opening(a);
	test_mutex(a, b);
	test_exclusion(a);
	test_owner_death(a);
	test_semaphore(a, b);
	test_event(a, b);
	ivshmem_close(a);
	ivshmem_close(b);
	tap_eq(open_descriptors(0), before, "no descriptor is lost");
	return stop_server(server, SIGTERM) || tap_done();
}
