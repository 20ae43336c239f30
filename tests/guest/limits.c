// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limits of one user of a device: for open files, files with O_ASYNC and sleepers in
 * WAIT; beyond them is EUSERS. Other users are not affected, and all of it is given back.
 */
/* rig: devices=doorbell,doorbell vectors=4 size=1M mem=768 over=pci,memory timeout=180 */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dev.h"

#define FILES 1024
#define ASYNC_FILES 16
#define SLEEPERS 256
#define IDS (MAX_PEER + 1)
#define ROOT_IDS 16	/* of these */
#define OTHER_DEVICE "/dev/ivshmem1"
#define PARTITION "/dev/ivshmem0p1"
#define TABLE "/sys/bus/ivshmem/devices/ivshmem0/partitions"

enum { ROOT = 0, USER = 1000, OTHER = 1001, CROWD = 2000 };

static int fds[IDS + 1];

/* Change the user; the saved id remains root, so that it can be changed back. */
static void become(uid_t uid)
{
	if (setresuid(-1, ROOT, -1) || setresuid(uid, uid, ROOT))
		tap_bail("become %u: %s", uid, strerror(errno));
}

/* Open up to @most files into fds[@from] and on; gives their number, and errno. */
static int open_files(int from, int most)
{
	int n = 0;

	errno = 0;
	while (n < most && (fds[from + n] = open(RIG_DEVICE, O_RDWR | O_CLOEXEC)) >= 0)
		n++;
	return n;
}

static void close_files(int from, int n)
{
	while (n--)
		close(fds[from + n]);
}

/* Can this user open one more? 0 or a negative errno. */
static int open_one(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void test_files(void)
{
	become(USER);
	tap_eq(open_files(0, FILES + 1), FILES, "a user can open %d files", FILES);
	tap_eq(open_one(RIG_DEVICE), -EUSERS, "one more gives EUSERS");
	close(fds[0]);
	tap_eq(open_files(0, 1), 1, "a file that is closed makes room for one");
	tap_eq(open_one(RIG_DEVICE), -EUSERS, "for no more than one");
	tap_eq(open_one(OTHER_DEVICE), 0, "another device has a count of its own");
	become(OTHER);
	tap_eq(open_one(RIG_DEVICE), 0, "another user has a count of its own");
	become(USER);
	tap_eq(open_one(RIG_DEVICE), -EUSERS, "a close by another user makes no room");
	become(ROOT);
	tap_eq(open_files(FILES, FILES + 1), FILES + 1, "root has no limit");
	close_files(FILES, FILES + 1);
	become(USER);
	tap_eq(open_one(RIG_DEVICE), -EUSERS, "a close by root makes no room");
	become(ROOT);
	close_files(0, FILES);
}

/* A capability lifts the limit, not user id 0. */
static void test_capability(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2], less[2];

	if (syscall(SYS_capget, &head, all))
		tap_bail("capget: %s", strerror(errno));
	memcpy(less, all, sizeof(less));
	less[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	syscall(SYS_capset, &head, less);
	tap_eq(open_files(0, FILES + 1), FILES, "without CAP_SYS_RESOURCE root has the limit");
	syscall(SYS_capset, &head, all);
	close_files(0, FILES);
}

/* A file counts for the user who opened it, even when another one has it. */
static void test_passed(void)
{
	become(USER);
	open_files(0, FILES);
	become(OTHER);
	tap_eq(open_one(RIG_DEVICE), 0, "files from another user do not count");
	become(ROOT);
	close_files(1, FILES - 1);	/* as OTHER would */
	become(USER);
	tap_eq(open_files(1, FILES), FILES - 1, "one that is still open elsewhere counts for its opener");
	become(ROOT);
	close_files(0, FILES);
}

static void test_async(void)
{
	int async = 0;

	become(USER);
	open_files(0, ASYNC_FILES + 2);
	while (async < ASYNC_FILES + 1 && !fcntl(fds[async], F_SETFL, O_RDWR | O_ASYNC))
		async++;
	tap_eq(async, ASYNC_FILES, "%d files with O_ASYNC", ASYNC_FILES);
	refused(fcntl(fds[async], F_SETFL, O_RDWR | O_ASYNC), EUSERS, "one more: EUSERS");
	tap_ok(!(fcntl(fds[async], F_GETFL) & O_ASYNC), "its flag is not set");
	tap_eq(fcntl(fds[0], F_SETFL, O_RDWR | O_ASYNC), 0, "setting it again is allowed");
	fcntl(fds[0], F_SETFL, O_RDWR);
	tap_eq(fcntl(fds[async], F_SETFL, O_RDWR | O_ASYNC), 0, "clearing it makes room");
	refused(fcntl(fds[0], F_SETFL, O_RDWR | O_ASYNC), EUSERS, "for one file");
	close(fds[1]);
	tap_eq(fcntl(fds[0], F_SETFL, O_RDWR | O_ASYNC), 0, "so does closing a file");
	become(OTHER);
	fds[1] = dev_open();
	tap_eq(fcntl(fds[1], F_SETFL, O_RDWR | O_ASYNC), 0, "another user may set it");
	become(ROOT);
	open_files(ASYNC_FILES + 2, ASYNC_FILES + 1);
	for (async = 0; async < ASYNC_FILES + 1; async++)
		if (fcntl(fds[ASYNC_FILES + 2 + async], F_SETFL, O_RDWR | O_ASYNC))
			break;
	tap_eq(async, ASYNC_FILES + 1, "root has no limit");
	close_files(0, 2 * ASYNC_FILES + 3);
}

/* Let a WAIT sleep for a moment until its result is @wanted, or time is up. */
static int sleep_one(int fd, int wanted)
{
	int64_t end = now_ns() + 20 * SECOND;
	int ret;

	do
		ret = dev_wait_vector(fd, 0, SECOND / 100);
	while (ret != wanted && now_ns() < end);
	return ret;
}

/* A process that sleeps in WAIT for a vector; it retries while it gets EUSERS. */
static pid_t sleeper(int fd, uint32_t vector)
{
	pid_t pid = fork();
	long long count;

	if (pid)
		return pid;
	while ((count = dev_wait_vector(fd, vector, -1)) == -EUSERS)
		sleep_ms(1);
	_exit(count != 1);
}

static void test_sleepers(void)
{
	pid_t pids[SLEEPERS];
	int fd, other, root = dev_open(), status = -1;
	struct ivshmem_wait ring_wait = { .timeout_ns = 60 * SECOND };

	if (!dev_interrupts(root, "calls of WAIT asleep")) {
		close(root);
		return;
	}
	become(OTHER);
	other = dev_open();
	become(USER);
	fd = dev_open();
	for (int i = 0; i < SLEEPERS; i++)
		pids[i] = sleeper(fd, i == 0);
	tap_eq(sleep_one(fd, -EUSERS), -EUSERS, "with %d sleepers WAIT gives EUSERS",
	       SLEEPERS);
	tap_eq(dev_ring_wait(fd, MAX_PEER, 3, &ring_wait), -EUSERS, "also if it rings first");
	tap_eq(dev_wait_vector(fd, 0, 0), -ETIMEDOUT, "WAIT without a timeout to sleep is allowed");
	tap_eq(dev_wait_vector(other, 0, SECOND / 100), -ETIMEDOUT, "another user may sleep");
	tap_eq(dev_wait_vector(root, 0, SECOND / 100), -ETIMEDOUT, "and root may");
	dev_ring_self(fd, 1);
	waitpid(pids[0], &status, 0);
	tap_eq(status, 0, "a doorbell wakes one");
	tap_eq(sleep_one(fd, -ETIMEDOUT), -ETIMEDOUT, "that makes room");
	for (int i = 1; i < SLEEPERS; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < SLEEPERS - 1; i++)
		pids[i] = sleeper(fd, 0);
	sleep_ms(500);
	tap_eq(dev_wait_vector(fd, 0, SECOND / 100), -ETIMEDOUT, "so do sleepers that are killed");
	become(ROOT);
	for (int i = 0; i < SLEEPERS - 1; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	close(fd);
	close(other);
	close(root);
}

/*
 * Run as the root of a new user namespace that @maker creates and root maps ids into. It
 * has all capabilities there.
 */
static int in_namespace(uid_t maker, int (*run)(void))
{
	char uids[64], gids[64];
	int status = -1;
	pid_t pid;

	pid = fork();
	if (!pid) {
		become(maker);
		if (unshare(CLONE_NEWUSER))
			_exit(99);
		raise(SIGSTOP);
		_exit(setresgid(0, 0, 0) || setresuid(0, 0, 0) ? 98 : run());
	}
	waitpid(pid, &status, WUNTRACED);
	if (WIFSTOPPED(status)) {
		snprintf(uids, sizeof(uids), "/proc/%d/uid_map", pid);
		snprintf(gids, sizeof(gids), "/proc/%d/gid_map", pid);
		if (file_write(uids, "0 100000 10") || file_write(gids, "0 100000 10"))
			tap_note("no ids: %s", strerror(errno));
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

static int run_open(void)
{
	return -open_one(RIG_DEVICE);
}

static int run_open_as_another(void)
{
	return setresuid(5, 5, 5) ? 96 : run_open();
}

/* In a namespace inside, created by a mapped id. */
static int run_open_nested(void)
{
	if (setresuid(5, 5, 5) || unshare(CLONE_NEWUSER))
		return 95;
	return run_open();
}

static void test_namespaces(void)
{
	file_write("/proc/sys/kernel/unprivileged_userns_clone", "1");
	if (access("/proc/self/ns/user", F_OK)) {
		tap_skip("user namespaces", "this kernel has none");
		return;
	}
	become(USER);
	open_files(0, FILES);
	become(ROOT);
	tap_eq(in_namespace(USER, run_open), EUSERS,
	       "the root of a user's namespace counts as the user");
	tap_eq(in_namespace(USER, run_open_as_another), EUSERS, "so does each other id in it");
	tap_eq(in_namespace(USER, run_open_nested), EUSERS, "and each in a nested namespace");
	tap_eq(in_namespace(OTHER, run_open), 0, "another user's namespace is not full");
	tap_eq(in_namespace(ROOT, run_open_as_another), 0,
	       "in root's namespace each id counts for itself");
	close_files(0, FILES);
}

/* Many users together cannot take the last ids: they are root's. */
static void test_ids(void)
{
	int opened = 0;

	for (uid_t uid = CROWD; uid <= CROWD + IDS / FILES; uid++) {
		become(uid);
		opened += open_files(opened, IDS - opened < FILES ? IDS - opened : FILES);
	}
	become(ROOT);
	tap_eq(opened, IDS - ROOT_IDS, "%d users together get all ids but root's", IDS / FILES + 1);
	tap_eq(open_files(opened, ROOT_IDS), ROOT_IDS, "root can still open");
	refused(open(RIG_DEVICE, O_RDWR), EBUSY, "when no id is left root gets EBUSY");
	close_files(0, opened + ROOT_IDS);
}

/* Where each file takes an id, those of partitions count like all others. */
static void test_partition(void)
{
	tap_eq(file_write(TABLE, "part:512K:256K:0:2"), 0, "a partition");
	tap_ok(file_comes(PARTITION, true), "has a node");
	chmod(PARTITION, 0666);
	become(USER);
	open_files(0, FILES);
	tap_eq(open_one(PARTITION), rig_over("memory") ? -EUSERS : 0,
	       "a partition gives a user more files only if they take no id");
	become(OTHER);
	tap_eq(open_one(PARTITION), 0, "another user can open it");
	become(ROOT);
	close_files(0, FILES);
	tap_eq(file_write(TABLE, "\n"), 0, "it is removed");
}

int main(void)
{
	const struct rlimit many = { IDS + 100, IDS + 100 };

	file_write("/proc/sys/fs/file-max", "1000000");
	if (setrlimit(RLIMIT_NOFILE, &many) || chmod(RIG_DEVICE, 0666) ||
	    chmod(OTHER_DEVICE, 0666))
		tap_bail("%s", strerror(errno));
	test_files();
	test_capability();
	test_passed();
	test_async();
	test_sleepers();
	test_namespaces();
	test_partition();
	if (rig_over("memory"))
		test_ids();
	become(USER);
	tap_eq(open_files(0, FILES + 1), FILES, "in the end all can be opened again");
	return tap_done();
}
