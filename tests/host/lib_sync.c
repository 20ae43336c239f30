// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutexes, semaphores and events between programs: correct use, each refusal, and the
 * death of an owner.
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
#define SEMAPHORE	1024
#define EVENT		2048
#define COUNTER		4096
#define FRESH		(IVSHMEM_SYNC_CREATE | IVSHMEM_SYNC_RESET)

static struct ivshmem_mutex *must_open_mutex(struct ivshmem *handle)
{
	struct ivshmem_mutex *mutex;
	int error = ivshmem_mutex_open(handle, MUTEX, 1, 0, &mutex);

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

	tap_eq(ivshmem_mutex_open(a, 32, 0, FRESH, &mutex), -EINVAL, "create: unaligned offset");
	tap_eq(ivshmem_mutex_open(a, REGION - 960, 0, FRESH, &mutex), -EINVAL,
	       "create: beyond the end");
	tap_eq(ivshmem_mutex_open(a, -64ULL, 0, FRESH, &mutex), -EINVAL, "create: far beyond");
	tap_eq(ivshmem_mutex_open(a, 0, 2, FRESH, &mutex), -EINVAL, "create: no such vector");
	tap_eq(ivshmem_mutex_open(reader, 0, 0, FRESH, &mutex), -EACCES, "create: read-only handle");
	tap_eq(ivshmem_mutex_open(a, MUTEX, 0, 0, &mutex), -ENOENT, "open: no mutex is there");
	tap_ok(!mutex, "a refusal gives no mutex");
	tap_eq(ivshmem_semaphore_open(a, SEMAPHORE, 0, FRESH, 0x80000000U, &semaphore),
	       -EINVAL, "create: too many permits");
	tap_eq(ivshmem_event_open(a, EVENT, 0, 1U << 31, &event), -EINVAL, "create: unknown flag");
	tap_eq(ivshmem_mutex_open(a, REGION - 1024, 0, FRESH, &mutex), 0,
	       "create: in the last bytes of the region");
	tap_eq(ivshmem_semaphore_open(a, REGION - 1024, 0, 0, 0, &semaphore), -ENOENT,
	       "open: a semaphore where a mutex is");
	ivshmem_mutex_close(mutex);
	ivshmem_mutex_close(NULL);
	ivshmem_semaphore_close(NULL);
	ivshmem_event_close(NULL);
	ivshmem_close(reader);
}

static void *lock_and_end(void *mutex)
{
	return (void *)(intptr_t)ivshmem_mutex_lock(mutex, 0);
}

static void *unlock(void *mutex)
{
	return (void *)(intptr_t)ivshmem_mutex_unlock(mutex);
}

static intptr_t in_thread(void *(*function)(void *), void *argument)
{
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, function, argument);
	pthread_join(thread, &result);
	return (intptr_t)result;
}

/* The second thread has all addresses of the first one. */
static void test_ended_thread(struct ivshmem *handle)
{
	struct ivshmem_mutex *mutex;

	ivshmem_mutex_open(handle, MUTEX, 0, FRESH, &mutex);
	tap_eq(in_thread(lock_and_end, mutex), 0, "lock: by a thread that ends");
	tap_eq(in_thread(unlock, mutex), -EPERM, "unlock: the next thread does not own the mutex");
	ivshmem_mutex_close(mutex);
}

static void test_mutex(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_mutex *x, *y;

	ivshmem_mutex_open(a, MUTEX, 0, FRESH, &x);
	y = must_open_mutex(b);
	tap_eq(ivshmem_mutex_unlock(x), -EPERM, "unlock: the mutex is not locked");
	tap_eq(ivshmem_mutex_lock(x, 0), 0, "lock a free mutex");
	tap_eq(ivshmem_mutex_lock(x, 0), -EDEADLK, "lock: the thread owns the mutex");
	tap_eq(ivshmem_mutex_lock(y, 0), -EAGAIN, "lock: another owns it, without waiting");
	tap_eq(ivshmem_mutex_lock(y, SOON), -ETIMEDOUT, "lock: another owns it, with a deadline");
	tap_eq(ivshmem_mutex_unlock(y), -EPERM, "unlock: another owns the mutex");
	tap_eq(ivshmem_mutex_consistent(x), -EINVAL, "consistent: its previous owner did not die");
	tap_eq(ivshmem_mutex_recover(y, 1), -ENOENT, "recover: that peer does not own the mutex");
	tap_eq(ivshmem_mutex_recover(y, 65536), -ENOENT, "recover: no such peer");
	tap_eq(ivshmem_mutex_unlock(x), 0, "the owner unlocks");
	tap_eq(ivshmem_mutex_lock(y, 0), 0, "another peer locks");
	tap_eq(ivshmem_mutex_unlock(y), 0, "that peer unlocks");
	tap_eq(ivshmem_mutex_lock(x, 0), 0, "the first peer locks again");
	tap_eq(ivshmem_mutex_recover(y, 0), 0, "recover: the owner is declared dead");
	tap_eq(ivshmem_mutex_unlock(x), -EPERM, "unlock: the owner was declared dead");
	tap_eq(ivshmem_mutex_lock(y, 0), -EOWNERDEAD, "the next owner gets -EOWNERDEAD");
	tap_eq(ivshmem_mutex_consistent(y), 0, "the next owner makes the mutex consistent");
	tap_eq(ivshmem_mutex_unlock(y), 0, "the next owner unlocks");
	tap_eq(ivshmem_mutex_lock(x, 0), 0, "a consistent mutex can be locked");
	ivshmem_mutex_recover(y, 0);
	ivshmem_mutex_lock(y, 0);
	tap_eq(ivshmem_mutex_unlock(y), 0, "unlock a mutex that is inconsistent");
	tap_eq(ivshmem_mutex_lock(x, 0), -ENOTRECOVERABLE, "it can no longer be locked");
	tap_eq(ivshmem_mutex_lock(y, PATIENCE), -ENOTRECOVERABLE, "not by the other peer either");
	ivshmem_mutex_close(x);
	ivshmem_mutex_open(a, MUTEX, 0, FRESH, &x);
	tap_eq(ivshmem_mutex_lock(y, 0), 0, "a mutex that is created again can be locked");
	tap_eq(ivshmem_mutex_unlock(y), 0, "a mutex that is created again can be unlocked");
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

	ivshmem_mutex_open(a, MUTEX, 0, FRESH, &mutex);
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
	tap_eq(failures, 0, "%d processes of two threads each lock and unlock", WORKERS);
	tap_eq(memory[0], 2 * WORKERS * ROUNDS, "the mutex excludes them: no increment is lost");
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
		tap_bail("the process did not lock the mutex");
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

	ivshmem_mutex_open(a, MUTEX, 0, FRESH, &x);
	pid = lock_and_die(&go);
	pthread_create(&thread, NULL, lock_later, x);
	usleep(50000);
	close(go);
	waitpid(pid, NULL, 0);
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, -EOWNERDEAD, "the death of the owner wakes a sleeping thread");
	ivshmem_mutex_close(x);

	ivshmem_mutex_open(a, MUTEX, 0, FRESH, &x);
	pid = lock_and_die(&go);
	close(go);
	waitpid(pid, NULL, 0);
	tap_eq(ivshmem_mutex_lock(x, PATIENCE), -EOWNERDEAD,
	       "a thread that locks later gets -EOWNERDEAD as well");
	tap_eq(ivshmem_mutex_unlock(x), 0, "with -EOWNERDEAD the thread owns the mutex");
	ivshmem_mutex_close(x);

	/* The successor gets the id of the dead owner before others notice the death. */
	ivshmem_mutex_open(a, MUTEX, 0, FRESH, &x);
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
	tap_eq(go, 0, "a successor with the same id gets -EOWNERDEAD");
	tap_eq(ivshmem_mutex_lock(x, PATIENCE), 0, "the successor made the mutex consistent");
	ivshmem_mutex_close(x);
}

static void test_semaphore(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_semaphore *x, *y;
	int status, n, failures = 0;
	pid_t pid;

	tap_eq(ivshmem_semaphore_open(a, SEMAPHORE, 0, FRESH, 2, &x), 0, "create a semaphore");
	tap_eq(ivshmem_semaphore_open(b, SEMAPHORE, 0, 0, 0, &y), 0, "open the semaphore");
	tap_eq(ivshmem_semaphore_value(y), 2, "the semaphore has two permits");
	tap_eq(ivshmem_semaphore_wait(x, 0), 0, "one peer takes a permit");
	tap_eq(ivshmem_semaphore_wait(y, 0), 0, "the other peer takes a permit");
	tap_eq(ivshmem_semaphore_wait(x, 0), -EAGAIN, "no permit is left, without waiting");
	tap_eq(ivshmem_semaphore_wait(y, SOON), -ETIMEDOUT, "no permit is left, with a deadline");
	tap_eq(ivshmem_semaphore_post(y), 0, "one peer posts a permit");
	tap_eq(ivshmem_semaphore_wait(x, 0), 0, "the other peer takes it");
	pid = fork();
	if (!pid) {
		struct ivshmem_semaphore *z;

		if (ivshmem_semaphore_open(must_open(0), SEMAPHORE, 1, 0, 0, &z))
			_exit(1);
		for (n = 0; n < ROUNDS; n++)
			if (ivshmem_semaphore_wait(z, PATIENCE))
				_exit(2);
		_exit(0);
	}
	for (n = 0; n < ROUNDS; n++)
		failures += ivshmem_semaphore_post(x) != 0;
	waitpid(pid, &status, 0);
	tap_ok(!status && !failures, "another process takes %d permits", ROUNDS);
	tap_eq(ivshmem_semaphore_value(x), 0, "no permit is left over");
	ivshmem_semaphore_close(x);
	ivshmem_semaphore_open(a, SEMAPHORE, 0, FRESH, IVSHMEM_SEMAPHORE_MAX, &x);
	tap_eq(ivshmem_semaphore_post(x), -EOVERFLOW, "post: the semaphore has all permits it can");
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

	tap_eq(ivshmem_event_open(a, EVENT, 0, FRESH, &x), 0, "create an event");
	tap_eq(ivshmem_event_open(b, EVENT, 1, 0, &y), 0, "open the event");
	tap_eq(ivshmem_event_wait(y, 0), -EAGAIN, "the event is not set, without waiting");
	tap_eq(ivshmem_event_wait(y, SOON), -ETIMEDOUT, "the event is not set, with a deadline");
	for (n = 0; n < WORKERS; n++)
		pthread_create(&threads[n], NULL, wait_for_event, y);
	usleep(50000);
	ivshmem_event_set(x);
	for (n = 0; n < WORKERS; n++) {
		pthread_join(threads[n], &result);
		failures += result != NULL;
	}
	tap_eq(failures, 0, "setting the event wakes all waiters");
	tap_eq(ivshmem_event_wait(x, 0), 0, "the event stays set");
	ivshmem_event_reset(y);
	tap_eq(ivshmem_event_wait(x, 0), -EAGAIN, "a reset event is not set");
	ivshmem_event_close(x);
	ivshmem_event_close(y);

	ivshmem_event_open(a, EVENT, 0, FRESH | IVSHMEM_EVENT_AUTO_RESET | IVSHMEM_EVENT_SET, &x);
	ivshmem_event_open(b, EVENT, 1, 0, &y);
	tap_eq(ivshmem_event_wait(y, 0), 0, "an auto-reset event created set lets one pass");
	tap_eq(ivshmem_event_wait(x, 0), -EAGAIN, "that has reset it");
	for (n = 0; n < 1000; n++) {
		pthread_create(&threads[0], NULL, wait_for_event, y);
		ivshmem_event_set(x);
		pthread_join(threads[0], &result);
		failures += result != NULL;
	}
	tap_eq(failures, 0, "each setting lets one waiter pass");
	tap_eq(ivshmem_event_wait(y, 0), -EAGAIN, "the last one has reset it");
	ivshmem_event_close(x);
	ivshmem_event_close(y);
}

int main(void)
{
	int before = open_descriptors(0);
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(0);

	test_opening(a);
	test_ended_thread(a);
	test_mutex(a, b);
	test_exclusion(a);
	test_owner_death(a);
	test_semaphore(a, b);
	test_event(a, b);
	ivshmem_close(a);
	ivshmem_close(b);
	tap_eq(open_descriptors(0), before, "no file descriptor is leaked");
	return stop_server(server, SIGTERM) || tap_done();
}
