// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removal and reset of a device must not wait for other processes: not for a thread that
 * never sleeps, nor for users that are stopped, frozen or out of memory. While the driver
 * made huge entries, removal waited for any idle io_uring SQPOLL thread on the machine.
 */
/* rig: bridges=yes devices=doorbell vectors=4 size=16M mem=1024 over=pci,memory timeout=400 */
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "uring.h"
#include "users.h"

#define DEVICE "0000:01:01.0"
#define CONFIG "/sys/kernel/config/ivshmem/ivshmem0"
#define GROUPS "/tmp/groups/"
#define OWN GROUPS "own/"
#define STRANGER 1000
#define HOUR_MS 3600000
#define LONG 20		/* seconds: a call that takes longer is waiting */
#define ROUNDS 5	/* several, as the result depends on timing */
#define HUNGRY 6
#define GIB (1UL << 30)
#define PLACES 64

static int end_device(void)
{
	if (rig_over("memory"))
		return result(rmdir(CONFIG));
	return file_write(PCI_DRIVER "unbind", DEVICE);
}

static int reset_device(void)
{
	return file_write(PCI_DEVICES DEVICE "/reset", "1");
}

/* Bring the device back after end_device(). */
static void bring_device(void)
{
	int failed;

	if (rig_over("memory"))
		failed = mkdir(CONFIG, 0755) || file_write(CONFIG "/size", "16M") ||
			 file_write(CONFIG "/vectors", "4") ||
			 file_write(CONFIG "/enable", "1");
	else
		failed = file_write(PCI_DRIVER "bind", DEVICE);
	if (failed || !file_comes(RIG_DEVICE, true))
		tap_bail("the device does not come back");
}

/* A removal or reset, which runs in a process of its own. */
struct deed {
	const char *name;
	int (*run)(void);
	pid_t pid;
};

static struct deed end = { "removal", end_device, 0 };
static struct deed reset = { "reset", reset_device, 0 };

/* Does it return while the users cannot run? Call deed_finish() later. */
static bool deed_done(struct deed *deed)
{
	int64_t late = now_ns() + LONG * SECOND;
	int status = -1;

	deed->pid = fork();
	if (!deed->pid)
		_exit(deed->run() != 0);
	while (now_ns() < late) {
		if (waitpid(deed->pid, &status, WNOHANG) == deed->pid) {
			deed->pid = 0;
			return !status;
		}
		sleep_ms(1);
	}
	tap_note("%s does not return", deed->name);
	return false;
}

static void deed_finish(struct deed *deed)
{
	if (deed->pid)
		waitpid(deed->pid, NULL, 0);
	if (deed == &end)
		bring_device();
}

/* After a removal all users have seen the end; after a reset they go on until killed. */
static int users_after(struct users *users, struct deed *deed)
{
	int failed = 0, fd;

	if (deed != &end) {
		users_mark(users);
		fd = dev_open();
		for (uint32_t v = 0; v < USER_VECTORS; v++)
			dev_ring_self(fd, v);
		close(fd);
		failed = users_go_on(users);
		users_kill(users);
	}
	return failed + users_end(users);
}

/*
 * An io_uring whose kernel thread polls for an hour after its first request; a negative
 * errno if there is none.
 */
static int polling_ring(void)
{
	struct uring ring;
	int ret = uring_open(&ring, IORING_SETUP_SQPOLL, HOUR_MS);

	return ret ? ret : uring_do(&ring, (struct io_uring_sqe){ .opcode = IORING_OP_NOP });
}

/* A process that has such an io_uring and never opened the device. */
static pid_t stranger_start(int *error)
{
	int said[2];
	pid_t pid;

	if (pipe(said))
		tap_bail("no pipe");
	pid = fork();
	if (!pid) {
		if (setresuid(STRANGER, STRANGER, 0))
			_exit(1);
		*error = polling_ring();
		/* Before 5.11 only root may. */
		if (*error == -EPERM && !setresuid(0, 0, 0))
			*error = polling_ring();
		if (write(said[1], error, sizeof(*error)) == sizeof(*error))
			pause();
		_exit(0);
	}
	if (read(said[0], error, sizeof(*error)) != sizeof(*error))
		tap_bail("the process with the io_uring does not start");
	close(said[0]);
	close(said[1]);
	return pid;
}

static void test_poller(struct deed *deed)
{
	struct users users;
	int error;
	pid_t pid = stranger_start(&error);

	if (error) {
		tap_note("io_uring_setup: %s", strerror(-error));
		tap_skip("a thread of io_uring that polls", "this kernel does not allow it");
	} else {
		users_start(&users, RIG_DEVICE);
		tap_ok(deed_done(deed), "%s with a thread of io_uring that polls", deed->name);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (error)
		return;
	tap_eq(users_after(&users, deed), 0, "%s: its users see what they should", deed->name);
	deed_finish(deed);
}

static void users_signal(struct users *users, int signal)
{
	for (int i = 0; i < USERS; i++)
		kill(users->seats[i].pid, signal);
}

static void test_stopped(struct deed *deed)
{
	int waits = 0, failed = 0;
	struct users users;

	for (int i = 0; i < ROUNDS; i++) {
		users_start(&users, RIG_DEVICE);
		users_signal(&users, SIGSTOP);
		waits += !deed_done(deed);
		users_signal(&users, SIGCONT);
		failed += users_after(&users, deed);
		deed_finish(deed);
	}
	tap_eq(waits, 0, "%s with users that are stopped, %d times", deed->name, ROUNDS);
	tap_eq(failed, 0, "%s: once they go on they see what they should", deed->name);
}

static void test_frozen(struct deed *deed)
{
	int waits = 0, failed = 0;
	struct users users;

	for (int i = 0; i < ROUNDS; i++) {
		file_write(OWN "cgroup.procs", "0");
		users_start(&users, RIG_DEVICE);
		file_write(GROUPS "cgroup.procs", "0");
		failed += file_write(OWN "cgroup.freeze", "1") != 0;
		waits += !deed_done(deed);
		failed += file_write(OWN "cgroup.freeze", "0") != 0;
		failed += users_after(&users, deed);
		deed_finish(deed);
	}
	tap_eq(waits, 0, "%s with users that are frozen, %d times", deed->name, ROUNDS);
	tap_eq(failed, 0, "%s: once they thaw they see what they should", deed->name);
}

/* Map the region at more and more places, each of which needs page tables. */
static void be_hungry(int ready)
{
	char *places = mmap(NULL, PLACES * GIB, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const size_t size = 4 << 20;
	int fd = dev_open();

	guard();
	if (places == MAP_FAILED || write(ready, "", 1) != 1)
		_exit(1);
	for (unsigned long i = 0;; i++) {
		char *place = places + i % PLACES * GIB;

		if (mmap(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 0) == MAP_FAILED || !user_touch(place, size, true))
			_exit(!user_gone(fd));
		if (i % PLACES == PLACES - 1 && munmap(places, PLACES * GIB))
			_exit(2);
	}
}

/*
 * @limit is set to @bytes. With memory.high users are throttled at each page, with
 * memory.max they are killed, one after the other.
 */
static void test_hungry(struct deed *deed, const char *limit, const char *bytes)
{
	pid_t pids[HUNGRY];
	int ready[2], failed = 0, status;
	char byte;

	if (pipe(ready))
		tap_bail("no pipe");
	file_write(OWN "cgroup.procs", "0");
	for (int i = 0; i < HUNGRY; i++) {
		pids[i] = fork();
		if (!pids[i])
			be_hungry(ready[1]);
	}
	file_write(GROUPS "cgroup.procs", "0");
	for (int i = 0; i < HUNGRY; i++)
		failed += read(ready[0], &byte, 1) != 1;
	failed += file_write(limit, bytes) != 0;
	sleep_ms(300);
	tap_ok(deed_done(deed), "%s with users that are out of %s", deed->name,
	       limit + strlen(OWN));
	failed += file_write(limit, "max") != 0;
	for (int i = 0; i < HUNGRY; i++) {
		if (deed != &end)
			kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		failed += status && status != SIGKILL;
	}
	tap_eq(failed, 0, "%s: they end as they should", deed->name);
	deed_finish(deed);
	close(ready[0]);
	close(ready[1]);
}

static bool have_groups(void)
{
	mkdir(GROUPS, 0755);
	if (mount("none", GROUPS, "cgroup2", 0, NULL))
		return false;
	file_write(GROUPS "cgroup.subtree_control", "+memory");
	return !mkdir(OWN, 0755);
}

static void test_all(struct deed *deed, bool groups)
{
	test_poller(deed);
	test_stopped(deed);
	if (!groups || access(OWN "cgroup.freeze", F_OK))
		tap_skip("users that are frozen", "this kernel cannot freeze a group");
	else
		test_frozen(deed);
	if (!groups || access(OWN "memory.high", F_OK)) {
		tap_skip("users that are out of memory", "this kernel has no memory cgroup");
		return;
	}
	test_hungry(deed, OWN "memory.high", "0");
	test_hungry(deed, OWN "memory.max", "2M");
}

int main(void)
{
	bool groups = have_groups();

	test_all(&end, groups);
	if (rig_over("pci"))
		test_all(&reset, groups);
	if (groups && !access(OWN "memory.max", F_OK))
		rig_try("expect-log Call Trace");	/* of the OOM killer */
	return tap_done();
}
