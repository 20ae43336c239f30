// SPDX-License-Identifier: GPL-2.0-only
/*
 * A reset that lasts as long as this test wants. Meanwhile operations wait, or give EAGAIN
 * if they were asked not to wait. A page fault that waits must not hold mmap_lock, as it
 * once did: the process can be inspected, change its mappings and be killed.
 */
/* rig: newqemu=yes alone=yes devices=none timeout=180 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "fake.h"
#include "peers.h"
#include "uring.h"

#define SIZE (1 << 20)
#define PATIENCE 20	/* seconds */
#define REGION "/sys/class/ivshmem/ivshmem0/region"
#define DRIVER "/sys/bus/ivshmem/drivers/ivshmem_chardev/"

/* What the other process reports, in shared memory. */
static volatile struct {
	unsigned int touches, changes;
} *seat;

static const char *device;	/* the host's name for it */
static char reset_path[80], *map;
static int fd;
static pid_t reset;

/* Read without waiting; gives the result. */
static int read_now(void)
{
	char byte;
	struct iovec part = { &byte, 1 };

	return result(preadv2(fd, &part, 1, 0, RWF_NOWAIT));
}

/* Begin a reset that lasts until reset_end(). */
static void reset_begin(void)
{
	int64_t end = now_ns() + PATIENCE * SECOND;

	rig_ask("fake-mode %s slow", device);
	reset = fork();
	if (!reset)
		_exit(file_write(reset_path, "1") != 0);
	while (read_now() != -EAGAIN && now_ns() < end)
		sleep_ms(1);
	sleep_ms(100);	/* the mappings go a moment later */
}

/* Does the reset still last? */
static bool reset_lasts(void)
{
	return !waitpid(reset, NULL, WNOHANG) && read_now() == -EAGAIN;
}

static int reset_end(void)
{
	int status = -1;

	rig_ask("fake-mode %s good", device);
	waitpid(reset, &status, 0);
	return status;
}

static void test_nowait(void)
{
	struct iovec part = { "x", 1 };

	reset_begin();
	tap_eq(read_now(), -EAGAIN, "during a reset reading with RWF_NOWAIT gives EAGAIN");
	tap_eq(result(pwritev2(fd, &part, 1, 0, RWF_NOWAIT)), -EAGAIN,
	       "during a reset writing with RWF_NOWAIT gives EAGAIN");
	tap_eq(reset_end(), 0, "the reset is done");
	tap_eq(read_now(), 1, "after the reset reading with RWF_NOWAIT reads");
}

/* A doorbell that was not rung must not be taken for one that was. */
static void test_ring_wait(void)
{
	struct ivshmem_wait w = { 0 };
	struct ivshmem_ring ring = { 0 };
	int impatient = dev_open_at(RIG_DEVICE, O_RDWR | O_NONBLOCK);

	reset_begin();
	tap_eq(dev_ring_wait(impatient, 0, 0, &w), -EBUSY,
	       "a WAIT that cannot ring for a reset gives EBUSY with O_NONBLOCK");
	w.flags = 0;
	tap_eq(dev_wait(impatient, &w), -EAGAIN, "one that does not ring gives EAGAIN");
	tap_eq(result(ioctl(impatient, IVSHMEM_IOC_RING, &ring)), -EAGAIN, "RING gives EAGAIN");
	tap_eq(reset_end(), 0, "the reset is done");
	close(impatient);
}

/*
 * Calls that have a timeout keep it, and a signal ends them; each in a process of its own. The
 * last reset's end was signalled to the file.
 */
static int signalled_word(void)
{
	struct ivshmem_wait w = {
		.flags = IVSHMEM_WAIT_WORD, .offset = SIZE - sizeof(uint32_t),
	};
	int ret = dev_wait(fd, &w);

	return ret ? ret : (int)w.result;
}

static int ring_in_time(void)
{
	struct ivshmem_wait w = { .timeout_ns = SECOND / 100 };

	return dev_ring_wait(fd, 0, 0, &w);
}

static int ring_by_no_means(void)
{
	struct ivshmem_wait w = { 0 };

	return dev_ring_wait(fd, 0, 0, &w);
}

static void interrupt(int number)
{
	(void)number;
}

static int ring_until_signal(void)
{
	const struct sigaction action = { .sa_handler = interrupt };
	const struct itimerval soon = { .it_value.tv_usec = 100000 };
	struct ivshmem_wait w = { .timeout_ns = -1 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	return dev_ring_wait(fd, 0, 0, &w);
}

/* There is always news of generation 0. */
static int peers_now(void)
{
	return peers_get(fd, &(struct peers){ 0 }, true, 0);
}

static int peers_in_time(void)
{
	return peers_get(fd, &(struct peers){ 0 }, true, SECOND / 100);
}

static void have_peers(void)
{
	struct ivshmem_label label = label_new(SIZE);
	struct peers seen;

	label_add_peers(&label, 1, 0);
	label_store(map, &label);
	file_write(LABEL_RESCAN, "1");
	tap_ok(peers_become(fd, &seen, 1), "the device has a table of peers");
}

static const struct {
	const char *what;
	int (*call)(void);
	int result;
} timed[] = {
	{ "a WAIT for a word reports a doorbell without it", signalled_word,
	  IVSHMEM_RESULT_SIGNALLED },
	{ "and looks without sleeping otherwise", signalled_word, -ETIMEDOUT },
	{ "one that cannot ring with a timeout of 0", ring_by_no_means, -EBUSY },
	{ "in time", ring_in_time, -EBUSY },
	{ "or until a signal gives EBUSY", ring_until_signal, -EBUSY },
	{ "PEERS with a timeout of 0", peers_now, -ETIMEDOUT },
	{ "or another keeps it", peers_in_time, -ETIMEDOUT },
};

static void test_timeouts(void)
{
	int64_t patience;
	int status;
	pid_t pid;

	have_peers();
	reset_begin();
	for (size_t i = 0; i < sizeof(timed) / sizeof(*timed); i++) {
		patience = now_ns() + 5 * SECOND;
		status = -1;
		pid = fork();
		if (!pid)
			_exit(timed[i].call() != timed[i].result);
		while (!waitpid(pid, &status, WNOHANG) && now_ns() < patience)
			sleep_ms(5);
		tap_eq(status, 0, "during a reset %s", timed[i].what);
		if (status < 0)
			kill(pid, SIGKILL);
	}
	tap_ok(reset_lasts(), "the reset lasts");
	tap_eq(reset_end(), 0, "the reset is done");
	memset(map, 0, SIZE);
	file_write(LABEL_RESCAN, "1");
}

static void test_uring(void)
{
	char byte = 0;
	struct uring ring;
	struct io_uring_sqe sqe = uring_request(IORING_OP_READ, fd, &byte, 1, 0);
	int res = 0;

	if (uring_open(&ring, 0, 0)) {
		tap_skip("io_uring during a reset", "this kernel has none");
		return;
	}
	map[0] = 'u';
	reset_begin();
	tap_eq(uring_submit(&ring, &sqe), 1, "a READ of io_uring begins during a reset");
	sleep_ms(100);
	tap_ok(!uring_done(&ring, &res) && reset_lasts(), "the READ waits for the reset");
	sqe.rw_flags = RWF_NOWAIT;
	tap_eq(uring_do(&ring, sqe), -EAGAIN, "a READ with RWF_NOWAIT gives EAGAIN");
	tap_eq(reset_end(), 0, "the reset is done");
	tap_eq(uring_wait(&ring), 1, "after the reset the READ that waited completes");
	tap_eq(byte, 'u', "it has read what is in the region");
	close(ring.fd);
}

/* One byte of the region, which is 's', in three ways; true if it came. */
static bool splice_one(void)
{
	off_t at = 0;
	char byte = 0;
	int ends[2];

	return !pipe(ends) && splice(fd, &at, ends[1], NULL, 1, 0) == 1 &&
	       read(ends[0], &byte, 1) == 1 && byte == 's';
}

static bool sysfs_read_one(void)
{
	int region = dev_open_at(REGION, O_RDONLY);
	char byte = 0;

	return read(region, &byte, 1) == 1 && byte == 's';
}

static bool sysfs_touch_one(void)
{
	int region = dev_open_at(REGION, O_RDWR);

	return *(volatile char *)dev_map(region, SIZE) == 's';
}

/* What waits as reading does, each in a process of its own. */
static void test_others(void)
{
	bool (*const one[])(void) = { splice_one, sysfs_read_one, sysfs_touch_one };
	const int nr = sizeof(one) / sizeof(*one);
	pid_t pids[nr];
	int status, ended = 0, failed = 0;

	map[0] = 's';
	reset_begin();
	for (int i = 0; i < nr; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(!one[i]());
	}
	sleep_ms(200);
	for (int i = 0; i < nr; i++)
		ended += waitpid(pids[i], NULL, WNOHANG) != 0;
	tap_ok(!ended && reset_lasts(), "during a reset splice and the file in sysfs wait");
	tap_eq(reset_end(), 0, "the reset is done");
	for (int i = 0; i < nr; i++)
		failed += waitpid(pids[i], &status, 0) != pids[i] || status;
	tap_eq(failed, 0, "then each gets what is there");
}

/* Change a mapping whose other end is touched: the kernel locks all of it for that. */
static void *change(void *arg)
{
	const size_t page = getpagesize();

	(void)arg;
	for (;; seat->changes++) {
		mprotect(map + SIZE - page, page, PROT_READ);
		mprotect(map + SIZE - page, page, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

static pid_t start_toucher(void)
{
	pid_t pid = fork();
	pthread_t thread;

	if (pid)
		return pid;
	pthread_create(&thread, NULL, change, NULL);
	for (;; seat->touches++)
		*(volatile char *)map = 1;
}

/* Wait until a count moves, or until it stops; false if that takes too long. */
static bool count_moves(volatile unsigned int *count, bool moves)
{
	int64_t end = now_ns() + PATIENCE * SECOND;
	unsigned int before;
	bool moved;

	do {
		before = *count;
		sleep_ms(50);
		moved = *count != before;
	} while (moved != moves && now_ns() < end);
	return moved == moves;
}

/* Read the process's maps, in a process of its own as that may hang. */
static bool maps_can_be_read(pid_t pid)
{
	int64_t end = now_ns() + PATIENCE * SECOND;
	char path[64];
	pid_t reader = fork(), ended;

	if (!reader) {
		snprintf(path, sizeof(path), "/proc/%d/maps", pid);
		_exit(!file_mentions(path, "ivshmem"));
	}
	do {
		sleep_ms(1);
		ended = waitpid(reader, NULL, WNOHANG);
	} while (!ended && now_ns() < end);
	return ended == reader;
}

static void test_fault(void)
{
	pid_t pid = start_toucher();

	tap_ok(count_moves(&seat->touches, true), "a process touches its mapping");
	reset_begin();
	tap_ok(count_moves(&seat->touches, false), "during a reset its page fault waits");
	tap_ok(maps_can_be_read(pid), "others can read its /proc/PID/maps meanwhile (once hung)");
	tap_ok(count_moves(&seat->changes, true), "its other thread can change mappings meanwhile");
	tap_ok(reset_lasts(), "the reset has lasted all the time");
	tap_eq(reset_end(), 0, "the reset is done");
	tap_ok(count_moves(&seat->touches, true), "after the reset the page fault returns");
	reset_begin();
	count_moves(&seat->touches, false);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tap_ok(reset_lasts(), "a process can be killed while its page fault waits for the reset");
	tap_eq(reset_end(), 0, "the reset under a killed process is done");
}

static void *read_region(void *arg)
{
	char byte = 0;

	return pread(*(int *)arg, &byte, 1, 0) == 1 && byte == 's' ? NULL : arg;
}

static void *map_anything(void *arg)
{
	for (;; seat->changes++)
		munmap(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), SIZE);
	return arg;
}

/*
 * The file in sysfs has a lock, for which mmap() waits with mmap_lock held. Who reads meanwhile
 * must not keep that lock.
 */
static pid_t start_region_user(void)
{
	pid_t pid = fork();
	pthread_t reader, other;
	void *ret, *mapped;
	int region;

	if (pid)
		return pid;
	region = dev_open_at(REGION, O_RDWR);
	pthread_create(&other, NULL, map_anything, NULL);
	pthread_create(&reader, NULL, read_region, &region);
	sleep_ms(100);
	mapped = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, region, 0);
	pthread_join(reader, &ret);
	_exit(ret || mapped == MAP_FAILED);
}

static void test_region(void)
{
	pid_t pid, killed;
	int status = -1;
	int64_t end;

	map[0] = 's';
	reset_begin();
	pid = start_region_user();
	killed = start_region_user();
	sleep_ms(500);
	tap_ok(maps_can_be_read(pid),
	       "a process reads and maps the file in sysfs: others can read its maps");
	tap_ok(count_moves(&seat->changes, true), "its other threads can map memory");
	tap_ok(!waitpid(pid, NULL, WNOHANG) && reset_lasts(), "its read waits for the reset");
	kill(killed, SIGKILL);
	for (end = now_ns() + PATIENCE * SECOND; !waitpid(killed, NULL, WNOHANG) &&
	     now_ns() < end;)
		sleep_ms(10);
	tap_ok(kill(killed, 0) && reset_lasts(), "such a process can be killed");
	tap_eq(reset_end(), 0, "the reset is done");
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "then it has read, and mapped");
}

/* The workers of io_uring cannot start a system call again. */
static void test_region_uring(void)
{
	int region = dev_open_at(REGION, O_RDWR), res = 0;
	char byte = 0;
	struct uring ring;
	struct io_uring_sqe sqe = uring_request(IORING_OP_READ, region, &byte, 1, 0);

	if (uring_open(&ring, 0, 0)) {
		tap_skip("io_uring and the file in sysfs", "this kernel has none");
		return;
	}
	reset_begin();
	tap_eq(uring_submit(&ring, &sqe), 1, "a READ of io_uring of the file in sysfs begins");
	for (int i = 0; i < 100 && !uring_done(&ring, &res); i++)
		sleep_ms(50);
	tap_eq(res, -EINTR, "during a reset it gives EINTR");
	tap_eq(reset_end(), 0, "the reset is done");
	tap_eq(uring_do(&ring, sqe), 1, "then it reads");
	close(ring.fd);
	close(region);
}

/* The kernel itself changes the word of these, and holds mmap_lock while that faults. */
static bool futex_lock_one(void)
{
	return !syscall(SYS_futex, map + 64, FUTEX_LOCK_PI_PRIVATE, 0, NULL);
}

static bool futex_add_one(void)
{
	static uint32_t own;

	return !syscall(SYS_futex, &own, FUTEX_WAKE_OP_PRIVATE, 1, 1, map + 128,
			FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)) && map[128] == 1;
}

static void test_futex(void)
{
	bool (*const one[])(void) = { futex_lock_one, futex_add_one };
	const int nr = sizeof(one) / sizeof(*one);
	int status, ended = 0, failed = 0;
	pid_t pids[nr], killed;

	memset(map, 0, 256);
	reset_begin();
	for (int i = 0; i < nr; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(!one[i]());
	}
	killed = fork();
	if (!killed)
		_exit(!futex_lock_one());
	sleep_ms(200);
	for (int i = 0; i < nr; i++)
		ended += waitpid(pids[i], NULL, WNOHANG) != 0;
	tap_ok(!ended && reset_lasts(), "during a reset futexes wait whose word the kernel changes");
	tap_ok(maps_can_be_read(pids[0]), "others can read /proc/PID/maps meanwhile");
	kill(killed, SIGKILL);
	waitpid(killed, NULL, 0);
	tap_ok(reset_lasts(), "such a process can be killed meanwhile");
	tap_eq(reset_end(), 0, "the reset is done");
	for (int i = 0; i < nr; i++)
		failed += waitpid(pids[i], &status, 0) != pids[i] || status;
	tap_eq(failed, 0, "then each does what it should");
}

/*
 * An event loop that reads when it can and sleeps in epoll, edge-triggered, when a read gives
 * EAGAIN: as the runtime of Go does with each file.
 */
static void test_event_loop(void)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	}, got = {};
	int loop = epoll_create1(EPOLL_CLOEXEC);
	char byte;

	tap_eq(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0, "an event loop adds the file");
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	tap_eq(result(pread(fd, &byte, 1, 0)), 1, "it reads at once");
	reset_begin();
	while (epoll_wait(loop, &got, 1, 100) == 1)
		;
	tap_eq(result(pread(fd, &byte, 1, 0)), -EAGAIN, "during a reset it gets EAGAIN");
	tap_ok(!epoll_wait(loop, &got, 1, 100) && reset_lasts(), "and sleeps");
	tap_eq(reset_end(), 0, "the reset is done");
	tap_eq(epoll_wait(loop, &got, 1, PATIENCE * 1000), 1, "its end wakes the event loop");
	tap_ok((got.events & (EPOLLIN | EPOLLOUT)) == (EPOLLIN | EPOLLOUT), "to read and to write");
	tap_eq(result(pread(fd, &byte, 1, 0)), 1, "it reads");
	close(loop);
	fcntl(fd, F_SETFL, O_RDWR);
}

/* What can be done at once, says poll(). */
static short poll_now(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* One that only writes; it sleeps until it can. */
static void test_writer(void)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET }, got = {};
	int loop = epoll_create1(EPOLL_CLOEXEC);

	tap_eq(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0, "an event loop waits to write");
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	while (epoll_wait(loop, &got, 1, 100) == 1)
		;
	tap_eq(result(pwrite(fd, "w", 1, 0)), 1, "it writes at once");
	reset_begin();
	tap_eq(result(pwrite(fd, "w", 1, 0)), -EAGAIN, "during a reset it gets EAGAIN");
	tap_eq(poll_now(), 0, "and poll() says that nothing can be done");
	tap_ok(!epoll_wait(loop, &got, 1, 100) && reset_lasts(), "so it sleeps");
	tap_eq(reset_end(), 0, "the reset is done");
	tap_eq(epoll_wait(loop, &got, 1, PATIENCE * 1000), 1, "its end wakes who writes");
	tap_eq(got.events, EPOLLOUT, "to write");
	tap_eq(result(pwrite(fd, "w", 1, 0)), 1, "it writes");
	tap_eq(poll_now() & POLLOUT, POLLOUT, "poll() says so, too");
	close(loop);
	fcntl(fd, F_SETFL, O_RDWR);
}

/* Users wait for the reset, an unbinding driver does not: it ends their waiting. */
static void test_unbind(void)
{
	char byte;
	int status = 0;
	pid_t reader;

	reset_begin();
	reader = fork();
	if (!reader)
		_exit(result(pread(fd, &byte, 1, 0)) != -ENODEV);
	sleep_ms(100);
	tap_ok(!waitpid(reader, NULL, WNOHANG), "a reader waits for the reset");
	tap_eq(file_write(DRIVER "unbind", "ivshmem0"), 0,
	       "the character device can be unbound during the reset");
	waitpid(reader, &status, 0);
	tap_eq(status, 0, "its reader gets ENODEV at once");
	tap_ok(!waitpid(reset, NULL, WNOHANG), "the reset still lasts");
	tap_eq(file_write(DRIVER "bind", "ivshmem0"), 0, "and bound again");
	tap_eq(result(open(RIG_DEVICE, O_RDWR | O_NONBLOCK)), -EAGAIN,
	       "opening it gives EAGAIN with O_NONBLOCK, as the reset still lasts");
	tap_eq(reset_end(), 0, "the reset is done");
	close(fd);
	fd = dev_open();
	tap_eq(read_now(), 1, "a new file reads");
}

/* Plug a device in; the following tests are of that one. */
static void use_device(const char *name, const char *facts, const char *node)
{
	const char *pci = fake_plug(name, facts);

	device = name;
	snprintf(reset_path, sizeof(reset_path), PCI_DEVICES "%s/reset", pci);
	if (!file_comes(node, true))
		tap_bail("no device");
	fd = dev_open_at(node, O_RDWR);
	map = dev_map(fd, SIZE);
}

int main(void)
{
	use_device("doorbell", "", RIG_DEVICE);
	seat = mmap(NULL, sizeof(*seat), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
	test_nowait();
	test_uring();
	test_others();
	test_fault();
	test_region();
	test_region_uring();
	test_futex();
	test_ring_wait();
	test_timeouts();
	test_event_loop();
	test_writer();
	test_unbind();
	use_device("plain", "vectors=0", "/dev/ivshmem1");
	tap_about("plain");
	test_event_loop();
	test_writer();
	return tap_done();
}
