// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns a mutex: after a restart of the server, after fork(), with the id of another,
 * and while programs die at random. And what is left of an object without its server.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../guest/pattern.h"
#include "../../lib/owner.h"
#include "../../lib/sync.h"
#include "common/open.h"

#define REGION		(1 << 20)
#define SECOND		INT64_C(1000000000)
#define PATIENCE	ivshmem_after(60 * SECOND)
#define SOON		ivshmem_after(SECOND / 50)
#define MUTEX		0
#define SEMAPHORE	1024
#define EVENT		2048
#define SCENE		4096
#define FRESH		(IVSHMEM_SYNC_CREATE | IVSHMEM_SYNC_RESET)
#define WORKERS		4
#define KILLS		200

static char memory_name[64];
static void *region;

/* A server that does not know which ids the one before it gave. */
static pid_t serve(void)
{
	unlink(scratch("socket"));
	unlink(scratch("socket.lock"));
	return start_server("-M", memory_name, "--reuse-ids", "-l", "1M", "-n", "2", NULL);
}

static struct ivshmem_mutex *must_open_mutex(struct ivshmem *handle, unsigned int flags)
{
	struct ivshmem_mutex *mutex;
	int error = ivshmem_mutex_open(handle, MUTEX, 0, flags, &mutex);

	if (error)
		tap_bail("cannot open the mutex: %s", strerror(-error));
	return mutex;
}

/* Run this in a child; whether it returns 0. */
static bool in_child(int (*body)(void *argument), void *argument)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(body(argument));
	waitpid(pid, &status, 0);
	return status == 0;
}

static uint32_t id_of(struct ivshmem *handle)
{
	struct ivshmem_properties properties;

	ivshmem_get_properties(handle, &properties);
	return properties.id;
}

/* Children */

struct inherited {
	struct ivshmem_mutex *mutex;
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_event *event;
};

static int refused(void *argument)
{
	struct inherited *all = argument;
	bool right = ivshmem_mutex_unlock(all->mutex) == -EPERM &&
		     ivshmem_mutex_lock(all->mutex, 0) == -EPERM &&
		     ivshmem_mutex_consistent(all->mutex) == -EPERM &&
		     ivshmem_mutex_recover(all->mutex, 0) == -EPERM &&
		     ivshmem_semaphore_wait(all->semaphore, 0) == -EPERM &&
		     ivshmem_semaphore_post(all->semaphore) == -EPERM &&
		     ivshmem_event_wait(all->event, 0) == -EPERM &&
		     ivshmem_event_set(all->event) == -EPERM &&
		     ivshmem_event_reset(all->event) == -EPERM;

	ivshmem_mutex_close(all->mutex);
	ivshmem_semaphore_close(all->semaphore);
	ivshmem_event_close(all->event);
	return !right;
}

/* Dies as the owner, while a child of it lives on. */
static int die_before_child(void *argument)
{
	volatile pid_t *child = argument;
	pid_t pid;

	if (ivshmem_mutex_lock(must_open_mutex(must_open(0), 0), PATIENCE))
		return 1;
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	*child = pid;
	return 0;
}

static void test_fork(struct ivshmem *a, struct ivshmem *b)
{
	struct inherited all = { .mutex = must_open_mutex(a, FRESH) };
	struct ivshmem_mutex *other = must_open_mutex(b, 0);
	pid_t *child = (pid_t *)((char *)region + SCENE);

	ivshmem_semaphore_open(a, SEMAPHORE, 0, FRESH, 1, &all.semaphore);
	ivshmem_event_open(a, EVENT, 0, FRESH | IVSHMEM_EVENT_SET, &all.event);
	ivshmem_mutex_lock(all.mutex, 0);
	tap_ok(in_child(refused, &all), "a child's calls on its parent's objects give -EPERM");
	tap_eq(ivshmem_mutex_lock(other, 0), -EAGAIN, "the parent still has its mutex");
	tap_eq(ivshmem_mutex_unlock(all.mutex), 0, "the parent unlocks");
	tap_eq(ivshmem_mutex_lock(other, 0), 0, "another peer locks");
	tap_eq(ivshmem_mutex_unlock(other), 0, "and unlocks");
	tap_ok(!ivshmem_semaphore_wait(all.semaphore, 0) && !ivshmem_event_wait(all.event, 0),
	       "the parent's other objects are as they were");
	tap_ok(in_child(die_before_child, child), "an owner ends whose child lives on");
	tap_eq(ivshmem_mutex_lock(other, PATIENCE), -EOWNERDEAD, "it is known to be dead");
	kill(*child, SIGKILL);
	ivshmem_mutex_close(all.mutex);
	ivshmem_semaphore_close(all.semaphore);
	ivshmem_event_close(all.event);
	ivshmem_mutex_close(other);
}

static void test_close(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_mutex *x = must_open_mutex(a, FRESH), *y = must_open_mutex(b, 0);

	ivshmem_mutex_lock(x, 0);
	ivshmem_mutex_close(x);
	tap_eq(ivshmem_mutex_lock(y, 0), -EOWNERDEAD, "closing a locked mutex is its owner's death");
	ivshmem_mutex_close(y);
}

/* Guests: they write their id, and cannot be asked. */

static struct sync_area *area;

static void lock_as_guest(uint64_t id, uint64_t random)
{
	uint64_t owner = OWNER_HAS_ID | id | random << 18;

	atomic_store(&area->word, sync_next(atomic_load(&area->word), owner));
}

static void test_guest(struct ivshmem *a)
{
	struct ivshmem_mutex *x = must_open_mutex(a, FRESH);
	int guest, id;

	/* Only the test's own two handles, and what they are told of it. */
	if (!eventually(ivshmem_peers(a, NULL, 0) == 1))
		tap_bail("peers of earlier tests are still there");
	guest = join(scratch("socket"));
	id = introduction(guest, 2);
	close(guest);
	if (!eventually(ivshmem_peers(a, NULL, 0) == 1))
		tap_bail("the guest does not leave");
	guest = join(scratch("socket"));
	tap_eq(introduction(guest, 2), id, "a guest joins with the id of an earlier one");
	lock_as_guest(id, 1);
	tap_eq(ivshmem_mutex_lock(x, SOON), -ETIMEDOUT, "that the earlier one left is not its death");
	close(guest);
	tap_eq(ivshmem_mutex_lock(x, PATIENCE), -EOWNERDEAD, "its own disconnect is");
	ivshmem_mutex_close(x);
	x = must_open_mutex(a, FRESH);
	lock_as_guest(id, 2);
	tap_eq(ivshmem_mutex_lock(x, ivshmem_after(SECOND)), -ETIMEDOUT,
	       "an owner that the server does not list is not dead");
	tap_eq(ivshmem_mutex_recover(x, id), 0, "recover reports that it is");
	tap_eq(ivshmem_mutex_lock(x, 0), -EOWNERDEAD, "then it is");
	ivshmem_mutex_close(x);
	x = must_open_mutex(a, FRESH);
	atomic_store(&area->word, sync_next(atomic_load(&area->word), UINT64_C(1) << 20));
	tap_eq(ivshmem_mutex_recover(x, 0), -ENOENT, "recover: an owner without id is not peer 0");
	tap_eq(ivshmem_mutex_recover(x, IVSHMEM_ID_UNKNOWN), 0, "recover: an owner without id");
	ivshmem_mutex_close(x);
}

/* The server is gone; handles are of the old one, then of a new one. */

static void *lock_forever(void *mutex)
{
	return (void *)(intptr_t)ivshmem_mutex_lock(mutex, IVSHMEM_FOREVER);
}

static void test_dead_server(pid_t *server)
{
	struct ivshmem *a = must_open(0), *b = must_open(0), *c;
	struct ivshmem_mutex *x = must_open_mutex(a, FRESH), *y = must_open_mutex(b, 0), *z;
	struct ivshmem_semaphore *semaphore;
	pthread_t thread;
	void *result;

	ivshmem_semaphore_open(a, SEMAPHORE, 0, FRESH, 1, &semaphore);
	ivshmem_mutex_lock(x, 0);
	pthread_create(&thread, NULL, lock_forever, y);
	usleep(20000);
	stop_server(*server, SIGKILL);
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, -ENODEV, "server killed: a lock that waits gives -ENODEV");
	tap_eq(ivshmem_mutex_open(a, 8192, 0, FRESH, &z), -ENODEV, "open gives -ENODEV");
	usleep(2000);
	tap_eq(ivshmem_semaphore_wait(semaphore, 0), -ENODEV, "a wait that need not wait as well");
	tap_eq(ivshmem_semaphore_post(semaphore), 0, "post works");
	*server = serve();
	c = must_open(0);
	z = must_open_mutex(c, 0);
	tap_eq(id_of(c), id_of(a), "server restarted: a newcomer gets the owner's id");
	tap_eq(ivshmem_mutex_lock(z, ivshmem_after(SECOND)), -ETIMEDOUT,
	       "it does not get the mutex");
	tap_eq(ivshmem_mutex_unlock(x), 0, "the owner unlocks");
	tap_eq(ivshmem_mutex_lock(x, 0), -ENODEV, "it cannot lock again");
	tap_eq(ivshmem_mutex_lock(z, PATIENCE), 0, "the newcomer locks");
	ivshmem_semaphore_close(semaphore);
	ivshmem_mutex_close(x);
	ivshmem_mutex_close(y);
	ivshmem_close(a);
	ivshmem_close(b);
	ivshmem_mutex_close(z);
	ivshmem_close(c);
}

/* Processes that lock and are killed at random. */

struct scene {
	_Atomic uint32_t inside;	/* the worker that has the mutex, or 0 */
	_Atomic uint32_t failures;
	_Atomic uint32_t deaths;	/* that were noticed */
	_Atomic uint32_t locks;
	uint64_t pair[2];		/* equal, but for a dead owner */
	_Atomic bool killed[KILLS + WORKERS + 1];
};

static void lock_and_unlock(struct scene *scene, struct ivshmem_mutex *mutex, uint32_t worker,
			    uint64_t *state)
{
	int error = ivshmem_mutex_lock(mutex, PATIENCE);
	uint32_t inside = scene->inside;

	if (error == -EOWNERDEAD) {
		if (inside && !scene->killed[inside])
			scene->failures++;
		scene->deaths++;
		scene->pair[1] = scene->pair[0];
		error = ivshmem_mutex_consistent(mutex);
	} else if (inside || scene->pair[0] != scene->pair[1]) {
		scene->failures++;
	}
	scene->inside = worker;
	scene->pair[0]++;
	if (pattern_next(state) % 8 == 0)
		usleep(pattern_next(state) % 2000);
	scene->pair[1]++;
	scene->locks++;
	if (atomic_exchange(&scene->inside, 0) != worker)
		scene->failures++;
	if (error || ivshmem_mutex_unlock(mutex))
		scene->failures++;
}

static pid_t start_worker(struct scene *scene, uint32_t worker)
{
	uint64_t state = pattern_seed(worker);
	pid_t pid = fork();

	if (!pid) {
		struct ivshmem_mutex *mutex = must_open_mutex(must_open(0), IVSHMEM_SYNC_CREATE);

		while (!scene->killed[0])
			lock_and_unlock(scene, mutex, worker, &state);
		_exit(0);
	}
	return pid;
}

static void test_random_deaths(struct ivshmem *a)
{
	struct scene *scene = (void *)((char *)region + SCENE);
	struct ivshmem_mutex *mutex = must_open_mutex(a, FRESH);
	uint32_t workers[WORKERS], latest = 0, n, kills;
	uint64_t state = pattern_seed(0);
	pid_t pids[WORKERS];
	int status, failures = 0, error;

	memset(scene, 0, sizeof(*scene));
	for (n = 0; n < WORKERS; n++) {
		workers[n] = ++latest;
		pids[n] = start_worker(scene, latest);
	}
	for (kills = 0; kills < KILLS; kills++) {
		usleep(pattern_next(&state) % 30000);
		n = pattern_next(&state) % WORKERS;
		scene->killed[workers[n]] = true;
		kill(pids[n], SIGKILL);
		waitpid(pids[n], &status, 0);
		workers[n] = ++latest;
		pids[n] = start_worker(scene, latest);
	}
	/* Now they all end by themselves. */
	scene->killed[0] = true;
	for (n = 0; n < WORKERS; n++) {
		waitpid(pids[n], &status, 0);
		failures += status != 0;
	}
	error = ivshmem_mutex_lock(mutex, PATIENCE);
	tap_note("%u locks, %u kills, %u owners died", scene->locks, kills, scene->deaths);
	tap_eq(failures, 0, "%d processes end after %d others were killed", WORKERS, KILLS);
	tap_eq(scene->failures, 0, "never two were inside, and -EOWNERDEAD was always true");
	tap_ok(error == 0 || error == -EOWNERDEAD, "the mutex can still be locked");
	tap_ok(scene->deaths <= kills, "there were no more deaths than kills");
	tap_ok(scene->locks > kills && scene->deaths, "some died as owners, most did not");
	ivshmem_mutex_close(mutex);
}

int main(void)
{
	int before = open_descriptors(0);
	struct ivshmem *a, *b;
	pid_t server;

	snprintf(memory_name, sizeof(memory_name), "ivshmem-owners-%d", getpid());
	server = serve();
	a = must_open(0);
	b = must_open(0);
	ivshmem_map(a, 0, 0, &region);
	area = (void *)((char *)region + MUTEX);
	test_fork(a, b);
	test_close(a, b);
	test_guest(a);
	test_random_deaths(a);
	ivshmem_unmap(a, region, REGION);
	ivshmem_close(a);
	ivshmem_close(b);
	test_dead_server(&server);
	tap_eq(open_descriptors(0), before, "no file descriptor is leaked");
	return stop_server(server, SIGTERM) || tap_done();
}
