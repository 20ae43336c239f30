// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is present: two devices with the same memory are peers, although they are in one
 * machine. They come and go, change, lose their slots, and leave alone what is no longer
 * theirs.
 */
/* rig: devices=plain,plain,doorbell vectors=2 size=1M,1M,4M bridges=yes over=pci,window */
/* rig: alone=yes timeout=240 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "module.h"
#include "peers.h"

#define SIZE (1UL << 20)
#define BUS "/sys/bus/ivshmem/"
#define CHARDEV BUS "drivers/ivshmem_chardev/"
#define SECOND_DEVICE "/dev/ivshmem1"
#define DOORBELL_DEVICE "/dev/ivshmem2"
#define PARTITION "/dev/ivshmem0p1"
#define SLEEPERS 256	/* of one user, in PEERS */
/* Much longer than a peer needs to notice anything. */
#define LONG_MS 1500

static struct ivshmem_label label;
static char *region;
static int fds[2];		/* of both devices */
static struct peers seen;

static int rescan(unsigned int device)
{
	char path[64];

	snprintf(path, sizeof(path), BUS "devices/ivshmem%u/rescan", device);
	return file_write(path, "1");
}

static volatile struct ivshmem_peer_section *section(unsigned int slot)
{
	return peers_section(region, &label, slot);
}

/* A new label with room for @peers; both devices are told of it. */
static void relabel(unsigned int peers)
{
	static unsigned int count;

	memset(region, 0, 256 << 10);
	label = label_new(SIZE);
	label.uuid[0] = ++count;
	label_add(&label, 1, "raw", "part", 512 << 10, 64 << 10, 0, 1);
	label_add_peers(&label, peers, 1);
	label_store(region, &label);
	if (rescan(0) || rescan(1))
		tap_bail("a label with %u slots is refused", peers);
}

static short poll_now(int fd, int ms)
{
	/* Not POLLIN, for which a device without vectors is always ready. */
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	while (poll(&p, 1, ms) < 0 && errno == EINTR)
		;
	return p.revents & (POLLPRI | POLLHUP);
}

static void test_without(void)
{
	tap_eq(peers_get(fds[0], &seen, false, 0), -EOPNOTSUPP, "without a label: no PEERS");
	tap_ok(!(dev_info(fds[0]).features & IVSHMEM_FEATURE_PEERS), "nor the feature");
	label = label_new(SIZE);
	label_store(region, &label);
	tap_eq(rescan(0), 0, "a label without slots");
	tap_eq(peers_get(fds[0], &seen, false, 0), -EOPNOTSUPP, "has no PEERS, either");
}

static void test_both(void)
{
	struct peers other = { 0 };
	const struct ivshmem_peer_info *self;

	sethostname("first-name", 10);
	relabel(4);
	tap_ok(peers_become(fds[0], &seen, 2), "two slots are taken");
	tap_ok(peers_become(fds[1], &other, 2), "the other device sees them, too");
	tap_ok(dev_info(fds[0]).features & IVSHMEM_FEATURE_PEERS, "INFO: the feature");
	for (unsigned int i = 0; i < 2; i++) {
		struct ivshmem_peer_info *at = &seen.at[i];

		tap_eq(at->slot, i, "peer %u: slot", i);
		tap_eq(at->id, 0xff00 + i, "peer %u: id", i);
		tap_eq(at->kind, IVSHMEM_PEER_GUEST, "peer %u: kind", i);
		tap_eq(at->generation, 1, "peer %u: the first in its slot", i);
		tap_ok(!strcmp(at->name, "first-name"), "peer %u: name", i);
		tap_ok(at->owner && at->owner == other.at[i].owner, "peer %u: owner", i);
		tap_ok(at->silent_ms < IVSHMEM_SILENT_MS, "peer %u: not silent", i);
		tap_eq(at->reserved, 0, "peer %u: reserved", i);
		tap_eq(section(i)->owner, at->owner, "peer %u: the owner in the memory", i);
		tap_eq(section(i)->state, IVSHMEM_PEER_PRESENT, "peer %u: state", i);
	}
	tap_ok(seen.at[0].owner != seen.at[1].owner, "their numbers differ");
	self = peers_self(&seen);
	tap_ok(self && peers_self(&other) && self->slot != peers_self(&other)->slot,
	       "each is itself");
}

/* The list of people. */
static void test_sysfs(void)
{
	const char *lines = dev_attribute("ivshmem0", "peers");
	unsigned int slot, id, silent;
	char kind[16], who[16], name[33];

	tap_ok(sscanf(lines, "%u %u %15s %15s %u %32s", &slot, &id, kind, who, &silent,
		      name) == 6 &&
	       slot == 0 && id == 0xff00 && !strcmp(kind, "guest") && !strcmp(name, "first-name"),
	       "sysfs: \"%s\"", lines);
}

static void test_partition(void)
{
	struct peers other = { 0 };
	int part;

	tap_ok(file_comes(PARTITION, true), "there is a partition");
	part = dev_open_at(PARTITION, O_RDWR);
	tap_ok(peers_become(part, &other, 2) && other.at[0].owner == seen.at[0].owner,
	       "it sees the same");
	tap_eq(poll_now(part, 0), 0, "and nothing new");
	sethostname("second-name", 11);
	tap_eq(poll_now(part, 30000), POLLPRI, "another name is news for it");
	tap_eq(poll_now(part, 0), POLLPRI, "until it has been told");
	close(part);
}

/* A name of any length and bytes. */
static void test_names(void)
{
	char name[64];

	memset(name, 'x', sizeof(name));
	name[1] = '\n';
	name[2] = (char)0xff;
	sethostname(name, sizeof(name));
	do {
		if (peers_get(fds[0], &seen, true, PEERS_PATIENCE))
			break;
	} while (memcmp(seen.at[0].name, name, 32) || memcmp(seen.at[1].name, name, 32));
	tap_ok(!memcmp(seen.at[0].name, name, 32), "a long name is cut");
	tap_ok(strstr(dev_attribute("ivshmem0", "peers"), "x??xxxxx"),
	       "sysfs shows what is printable of it");
	sethostname("name", 4);
}

static int raw(int fd, struct ivshmem_peers p)
{
	return result(ioctl(fd, IVSHMEM_IOC_PEERS, &p));
}

static void test_arguments(void)
{
	struct ivshmem_peer_info one;
	const uintptr_t at = (uintptr_t)&one;

	tap_eq(raw(fds[0], (struct ivshmem_peers){}), 0, "no room is no error");
	tap_eq(raw(fds[0], (struct ivshmem_peers){ .flags = 2 }), -EINVAL, "unknown flag");
	tap_eq(raw(fds[0], (struct ivshmem_peers){ .timeout_ns = 1 }), -EINVAL,
	       "a timeout without WAIT");
	tap_eq(raw(fds[0], (struct ivshmem_peers){ .peers = at }), -EINVAL, "no room somewhere");
	tap_eq(raw(fds[0], (struct ivshmem_peers){ .info_size = 64 }), -EINVAL,
	       "a size without room");
	tap_eq(raw(fds[0], (struct ivshmem_peers){ .room = 1, .info_size = 64 }), -EINVAL,
	       "room nowhere");
	for (unsigned int i = 0; i < 5; i++) {
		static const uint32_t sizes[] = { 0, 56, 68, 4104, -8U };

		tap_eq(raw(fds[0], (struct ivshmem_peers){ .peers = at, .room = 1,
							   .info_size = sizes[i] }),
		       -EINVAL, "elements of %u bytes", sizes[i]);
	}
	tap_eq(raw(fds[0], (struct ivshmem_peers){ .peers = 8, .room = 1, .info_size = 64 }),
	       -EFAULT, "a bad address");
	refused(ioctl(fds[0], IVSHMEM_IOC_PEERS, 8), EFAULT, "a bad structure");
}

static void test_room(void)
{
	struct {
		char bytes[3][128];
	} all;
	struct ivshmem_peers p = { .peers = (uintptr_t)&all, .room = 1, .info_size = 128 };
	struct ivshmem_peer_info *info = (void *)all.bytes[0];

	memset(&all, 0x5a, sizeof(all));
	tap_eq(result(ioctl(fds[0], IVSHMEM_IOC_PEERS, &p)), 0, "room for one");
	tap_eq(p.nr, 2, "there are two");
	tap_ok(info->owner == section(0)->owner && !all.bytes[0][64] && !all.bytes[0][127],
	       "the first is told, and 0 for what the driver does not know");
	tap_eq(all.bytes[1][0], 0x5a, "nothing is written behind it");
	p.room = 0x10000000;
	p.peers = (uintptr_t)&all;
	tap_eq(result(ioctl(fds[0], IVSHMEM_IOC_PEERS, &p)), 0, "more room than there is");
	tap_ok(all.bytes[1][0] != 0x5a || all.bytes[1][1] != 0x5a, "both are told");
	tap_eq(all.bytes[2][0], 0x5a, "and nothing else");
}

static void test_timeouts(void)
{
	int nonblock = dev_open_at(RIG_DEVICE, O_RDONLY | O_NONBLOCK);
	struct peers other = { 0 };

	tap_ok(peers_become(fds[0], &seen, 2), "both are there");
	/* Nothing changes any more. */
	while (!peers_get(fds[0], &seen, true, SECOND))
		;
	tap_eq(peers_get(fds[0], &seen, true, 0), -ETIMEDOUT, "WAIT: timeout 0");
	tap_eq(peers_get(fds[0], &seen, true, SECOND / 100), -ETIMEDOUT, "WAIT: a short one");
	other.generation = seen.generation;
	tap_eq(peers_get(nonblock, &other, true, -1), -EAGAIN, "WAIT: O_NONBLOCK");
	other.generation++;
	tap_eq(peers_get(nonblock, &other, true, -1), 0, "WAIT: another generation");
	tap_eq(other.generation, seen.generation, "which is told, to a read-only file, too");
	close(nonblock);
}

/* Of the same user, asleep until it is killed. */
static void *sleeper(void *arg)
{
	struct peers *peers = malloc(sizeof(*peers));

	*peers = seen;
	while (peers_get(*(int *)arg, peers, true, -1) != -ENODEV)
		;
	return NULL;
}

/* Ends the process: 0 if a user has this many sleepers, and no more. */
static int crowd(void)
{
	struct peers peers;
	pthread_attr_t small;
	pthread_t thread;
	int fd, ret = 0;

	if (setresuid(1000, 1000, 1000))
		return 1;
	fd = open(RIG_DEVICE, O_RDONLY | O_CLOEXEC);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (int i = 0; i < SLEEPERS; i++)
		if (pthread_create(&thread, &small, sleeper, &fd))
			return 2;
	for (int i = 0; i < 2000 && ret != -EUSERS; i++) {
		peers = seen;
		ret = peers_get(fd, &peers, true, SECOND / 100);
	}
	peers = seen;
	return ret == -EUSERS && peers_get(fd, &peers, true, 0) == -ETIMEDOUT ? 0 : 3;
}

static void test_limit(void)
{
	pid_t pid;
	int status = -1;

	chmod(RIG_DEVICE, 0666);
	while (!peers_get(fds[0], &seen, true, SECOND))
		;
	pid = fork();
	if (!pid)
		_exit(crowd());
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "%d tasks of a user may sleep, and no more", SLEEPERS);
	tap_eq(peers_get(fds[0], &seen, true, SECOND / 100), -ETIMEDOUT, "root may");
}

static volatile sig_atomic_t sigios;

static void on_signal(int signal)
{
	sigios += signal == SIGIO;
}

static void *waiter(void *arg)
{
	struct peers peers = seen;

	return (void *)(long)peers_get(*(int *)arg, &peers, true, -1);
}

static void test_signals(void)
{
	int deaf = dev_open(), async = dev_open();
	pthread_t thread;
	void *ret;

	signal(SIGIO, on_signal);
	for (int i = 0; i < 2; i++) {
		fcntl(i ? async : deaf, F_SETOWN, getpid());
		fcntl(i ? async : deaf, F_SETFL, O_RDWR | O_ASYNC);
	}
	peers_get(fds[0], &seen, false, 0);
	pthread_create(&thread, NULL, waiter, &fds[0]);
	sethostname("third-name", 10);
	pthread_join(thread, &ret);
	tap_eq((long)ret, 0, "WAIT for ever ends with a change");
	tap_eq(poll_now(deaf, 0), 0, "a file that never called PEERS gets no news");
	tap_eq(sigios, 0, "and no SIGIO");
	/* The second device follows. */
	sleep_ms(LONG_MS);
	peers_get(async, &seen, false, 0);
	sethostname("fourth-name", 11);
	tap_eq(poll_now(async, 30000), POLLPRI, "one that did gets some");
	for (int i = 0; i < 1000 && !sigios; i++)
		sleep_ms(10);
	tap_ok(sigios > 0, "and SIGIO");
	close(deaf);
	close(async);
}

/* What is told on the way to the program: PEERS writes to a page that is not there yet. */
static struct {
	int fd, result;
	struct ivshmem_peers p;
} slow;

static void *peers_slowly(void *unused)
{
	slow.result = result(ioctl(slow.fd, IVSHMEM_IOC_PEERS, &slow.p));
	return unused;
}

/* Begins PEERS in a thread, which waits for the page with its result; false without userfaultfd. */
static bool slow_begin(int faults, char *page, pthread_t *thread)
{
	struct uffdio_register missing = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
		.range = { (uintptr_t)page, PAGE },
	};
	struct uffd_msg message;

	if (ioctl(faults, UFFDIO_REGISTER, &missing))
		tap_bail("UFFDIO_REGISTER: %s", strerror(errno));
	slow.p = (struct ivshmem_peers){
		.peers = (uintptr_t)page, .room = 4, .info_size = 64,
	};
	pthread_create(thread, NULL, peers_slowly, NULL);
	return read(faults, &message, sizeof(message)) == sizeof(message);
}

static void slow_end(int faults, char *page, pthread_t thread)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)page, PAGE } };

	if (ioctl(faults, UFFDIO_ZEROPAGE, &zero))
		tap_bail("UFFDIO_ZEROPAGE: %s", strerror(errno));
	pthread_join(thread, NULL);
}

/* Both devices have another name, and all who are to be notified were. */
static void rename_both(const char *name)
{
	peers_get(fds[0], &seen, false, 0);
	sethostname(name, strlen(name));
	peers_get(fds[0], &seen, true, PEERS_PATIENCE);
	sleep_ms(LONG_MS);
}

static int epoll_once(int loop, int ms)
{
	struct epoll_event got;
	int ret;

	while ((ret = epoll_wait(loop, &got, 1, ms)) < 0 && errno == EINTR)
		;
	return ret;
}

static void test_slow(void)
{
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
	struct uffdio_api api = { .api = UFFD_API };
	int faults = syscall(SYS_userfaultfd, O_CLOEXEC), loop = epoll_create1(EPOLL_CLOEXEC);
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	if (faults < 0 || ioctl(faults, UFFDIO_API, &api)) {
		tap_skip("a change while PEERS tells another", "this kernel has no userfaultfd");
		return;
	}
	slow.fd = dev_open();
	fcntl(slow.fd, F_SETOWN, getpid());
	fcntl(slow.fd, F_SETFL, O_RDWR | O_ASYNC);
	epoll_ctl(loop, EPOLL_CTL_ADD, slow.fd, &event);
	if (!slow_begin(faults, page, &thread))
		tap_bail("userfaultfd: %s", strerror(errno));
	rename_both("fifth-name");
	/* Woken, it finds nothing, as nothing has been told yet. */
	tap_eq(epoll_once(loop, 100), 0, "before the first PEERS nothing is news");
	sigios = 0;
	slow_end(faults, page, thread);
	tap_eq(slow.result, 0, "somebody changes while the first PEERS is on its way");
	tap_eq(epoll_once(loop, 5000), 1, "that is news, by edge");
	tap_ok(sigios > 0, "and by SIGIO");
	madvise(page, PAGE, MADV_DONTNEED);
	if (!slow_begin(faults, page, &thread))
		tap_bail("userfaultfd: %s", strerror(errno));
	rename_both("sixth-name");
	peers_get(slow.fd, &seen, false, 0);
	tap_eq(poll_now(slow.fd, 0), 0, "another thread overtakes, and nothing is new");
	slow_end(faults, page, thread);
	tap_eq(slow.result, 0, "the one that was overtaken ends");
	tap_eq(poll_now(slow.fd, 0), 0, "which makes nothing new");
	close(slow.fd);
	close(faults);
	close(loop);
	munmap(page, PAGE);
}

/* Nothing is lost if the result could not be written. */
static void test_fault(void)
{
	int fd = dev_open();

	peers_get(fd, &seen, false, 0);
	rename_both("seventh-name");
	tap_eq(poll_now(fd, 0), POLLPRI, "a change");
	tap_eq(raw(fd, (struct ivshmem_peers){ .peers = 8, .room = 1, .info_size = 64 }), -EFAULT,
	       "that cannot be written");
	tap_eq(poll_now(fd, 0), POLLPRI, "is still news");
	refused(ioctl(fd, IVSHMEM_IOC_PEERS, 8), EFAULT, "nor with a bad structure");
	tap_eq(poll_now(fd, 0), POLLPRI, "is it told");
	close(fd);
}

static void *wait_until(void *arg)
{
	struct peers peers = seen;

	return (void *)(long)peers_get(fds[0], &peers, true, *(int64_t *)arg);
}

/* Signals for a task in WAIT; what it returns, after another change if it sleeps on. */
static int interrupted(int64_t timeout, int flags, const char *name)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	pthread_t thread;
	void *ret;

	sigaction(SIGUSR1, &action, NULL);
	peers_get(fds[0], &seen, false, 0);
	pthread_create(&thread, NULL, wait_until, &timeout);
	for (int i = 0; i < 10; i++) {
		sleep_ms(50);
		pthread_kill(thread, SIGUSR1);
	}
	if (name)
		rename_both(name);
	pthread_join(thread, &ret);
	return (long)ret;
}

static void test_interrupted(void)
{
	tap_eq(interrupted(-1, 0, NULL), -EINTR, "a signal ends WAIT with EINTR");
	tap_eq(interrupted(60 * SECOND, SA_RESTART, NULL), -EINTR,
	       "with a timeout also under SA_RESTART");
	tap_eq(interrupted(-1, SA_RESTART, "eighth-name"), 0, "without one it restarts");
}

/* The test is a peer itself, in the last slot. */
static void test_stranger(void)
{
	volatile struct ivshmem_peer_section *mine = section(3);
	static const char name[32] = "\x1b[31mred";

	tap_ok(peers_become(fds[0], &seen, 2), "both are there");
	mine->owner = 77;
	mine->id = 1234;
	mine->kind = IVSHMEM_PEER_HOST;
	for (unsigned int i = 0; i < sizeof(name); i++)
		mine->name[i] = name[i];
	sleep_ms(LONG_MS);
	peers_get(fds[0], &seen, false, 0);
	tap_eq(seen.nr, 2, "a slot with an owner, but no state, is not told");
	mine->heartbeat++;
	mine->state = IVSHMEM_PEER_PRESENT;
	tap_ok(peers_become(fds[0], &seen, 3), "now it is");
	tap_ok(seen.at[2].slot == 3 && seen.at[2].id == 1234 && seen.at[2].owner == 77 &&
	       seen.at[2].kind == IVSHMEM_PEER_HOST && !memcmp(seen.at[2].name, name, 32),
	       "with what it says");
	tap_ok(peers_become(fds[0], &seen, 2), "it is gone when its heart stands still");
	tap_eq(mine->owner, 77, "which leaves it its slot, as there are free ones");
	mine->heartbeat++;
	tap_ok(peers_become(fds[0], &seen, 3), "it comes back");
	mine->id = 0x10000;
	mine->heartbeat++;
	while (seen.nr == 3 && seen.at[2].id == 1234 &&
	       !peers_get(fds[0], &seen, true, PEERS_PATIENCE))
		;
	tap_eq(seen.at[2].id, 0xff03, "an id that no doorbell has is none");
	mine->state = 0;
	mine->owner = 0;
	tap_ok(peers_become(fds[0], &seen, 2), "it leaves");
}

/* Others can write to a section, but not for long. */
static void test_scribbled(void)
{
	const struct ivshmem_peer_info *self = peers_self(&seen);
	volatile struct ivshmem_peer_section *own = section(self ? self->slot : 0);

	own->id = 5;
	own->kind = 3;
	own->name[0] = '!';
	own->state = 0;
	own->heartbeat = 0;
	sleep_ms(LONG_MS);
	tap_ok(own->id == IVSHMEM_PEER_NO_ID && own->kind == IVSHMEM_PEER_GUEST &&
	       own->name[0] != '!' && own->state == IVSHMEM_PEER_PRESENT && own->heartbeat > 1,
	       "what others write to a section does not stay");
	tap_ok(peers_become(fds[0], &seen, 2), "both are there");
}

static void test_stolen(void)
{
	volatile struct ivshmem_peer_section *lost;
	const struct ivshmem_peer_info *self;
	unsigned int slot;
	uint64_t beat, generation;

	self = peers_self(&seen);
	slot = self ? self->slot : 0;
	lost = section(slot);
	lost->owner = 0x5707e4;
	sleep_ms(LONG_MS);
	beat = lost->heartbeat;
	generation = lost->generation;
	sleep_ms(LONG_MS);
	tap_ok(lost->heartbeat == beat && lost->owner == 0x5707e4 && lost->generation == generation,
	       "it writes nothing to a slot that it has lost");
	tap_ok(peers_become(fds[0], &seen, 2), "it has another one");
	self = peers_self(&seen);
	tap_ok(self && self->slot != slot, "and knows that");
	lost->state = 0;
	lost->owner = 0;
}

/* Is all of the region, but for the label, still as it was? */
static bool unchanged(const char *copy)
{
	return !memcmp(copy + label.peers_offset, region + label.peers_offset,
		       SIZE - label.peers_offset);
}

static void test_foreign_label(void)
{
	char *copy = malloc(SIZE);
	const char first = region[IVSHMEM_LABEL_AT_UUID];
	const struct ivshmem_peer_info *self;
	uint64_t owner = section(0)->owner;
	uint32_t size = label.peer_size;
	unsigned int slot;

	region[IVSHMEM_LABEL_AT_UUID] = 0x55;
	tap_ok(peers_become(fds[0], &seen, 0), "with another label nobody is there");
	tap_ok(peers_become(fds[1], &seen, 0), "for the other device, too");
	memset(region + label.peers_offset, 0, 4 * size);
	memcpy(copy, region, SIZE);
	sleep_ms(LONG_MS);
	tap_ok(unchanged(copy), "none of them writes, though there are free slots");
	memset(region + label.peers_offset, 0xa5, SIZE - label.peers_offset);
	memcpy(copy, region, SIZE);
	sleep_ms(LONG_MS);
	tap_ok(unchanged(copy), "nor into what is there now");
	memset(region + label.peers_offset, 0, 4 * size);
	region[IVSHMEM_LABEL_AT_UUID] = first;
	tap_ok(peers_become(fds[0], &seen, 2), "with the label they come back");
	tap_ok(section(0)->owner && section(0)->owner != owner, "as others");
	self = peers_self(&seen);
	slot = self ? self->slot : 0;
	region[IVSHMEM_LABEL_AT_PEERS] = 2;
	tap_ok(peers_become(fds[0], &seen, 0), "another number of slots is another label");
	region[IVSHMEM_LABEL_AT_PEERS] = 4;
	tap_ok(peers_become(fds[0], &seen, 2), "they come back");
	self = peers_self(&seen);
	tap_ok(self && self->slot == slot, "to their own slots");
	memcpy(copy, region, SIZE);
	memset(region, 0, 8);
	tap_ok(peers_become(fds[0], &seen, 0), "without a label nobody is there");
	tap_eq(poll_now(fds[0], 0), 0, "which is known");
	tap_eq(rescan(0) | rescan(1), 0, "it is read again");
	tap_eq(poll_now(fds[0], 30000), POLLPRI, "that is news");
	tap_eq(peers_get(fds[0], &seen, false, 0), -EOPNOTSUPP, "there is no PEERS");
	tap_eq(poll_now(fds[0], 0), 0, "which is known");
	memcpy(region, copy, 8);
	tap_eq(rescan(0) | rescan(1), 0, "the label comes again");
	tap_eq(poll_now(fds[0], 30000), POLLPRI, "that is news, too");
	tap_ok(peers_become(fds[0], &seen, 2), "both come back");
	free(copy);
}

/* Sleeps in PEERS; what it returns when the label goes. */
static void test_label_goes(void)
{
	pthread_t thread;
	void *ret;

	peers_get(fds[0], &seen, false, 0);
	pthread_create(&thread, NULL, waiter, &fds[0]);
	sleep_ms(50);
	label.uuid[1]++;
	label.peers = 0;
	label_store(region, &label);
	rescan(0);
	pthread_join(thread, &ret);
	tap_eq((long)ret, -EOPNOTSUPP, "WAIT ends when there are no slots any more");
}

static void test_full(void)
{
	struct peers other = { 0 };

	rig_ask("console-mark");
	relabel(1);
	tap_ok(peers_become(fds[0], &seen, 1) && peers_become(fds[1], &other, 1),
	       "two peers, and one slot");
	tap_ok(!peers_self(&seen) != !peers_self(&other), "one of them has it");
	rig_ask("expect-log all 1 slots for peers are taken");
	sleep_ms(LONG_MS);
	peers_get(fds[0], &seen, false, 0);
	peers_get(fds[1], &other, false, 0);
	tap_ok(!peers_self(&seen) != !peers_self(&other), "and keeps it");
	section(0)->owner = 0x5707e4;
	sleep_ms(LONG_MS);
	for (int i = 0; i < 100; i++, sleep_ms(100)) {
		peers_get(fds[0], &seen, false, 0);
		peers_get(fds[1], &other, false, 0);
		if (peers_self(&seen) || peers_self(&other))
			break;
	}
	tap_ok(!peers_self(&seen) != !peers_self(&other) && section(0)->owner != 0x5707e4,
	       "a slot whose owner does not live is taken");
	tap_eq(section(0)->generation, 2, "by its second owner");
}

static void test_unbind(void)
{
	pthread_t thread;
	void *ret;

	relabel(4);
	tap_ok(peers_become(fds[0], &seen, 2) && peers_become(fds[1], &seen, 2),
	       "both are there");
	pthread_create(&thread, NULL, waiter, &fds[1]);
	sleep_ms(50);
	if (rig_over("pci"))
		file_write(PCI_DRIVER "unbind", dev_pci(1));
	else
		file_write("/sys/kernel/config/ivshmem/ivshmem1/enable", "0");
	pthread_join(thread, &ret);
	tap_eq((long)ret, -ENODEV, "WAIT ends with the device");
	tap_eq(peers_get(fds[1], &seen, false, 0), -ENODEV, "PEERS says so, too");
	tap_eq(poll_now(fds[1], 0) & POLLHUP, POLLHUP, "and poll");
	tap_ok(peers_become(fds[0], &seen, 1), "the other device sees it go");
	close(fds[1]);
}

static void test_chardev(void)
{
	pthread_t thread;
	void *ret;

	pthread_create(&thread, NULL, waiter, &fds[0]);
	sleep_ms(50);
	tap_eq(file_write(CHARDEV "unbind", "ivshmem0"), 0, "unbind the node");
	pthread_join(thread, &ret);
	tap_eq((long)ret, -ENODEV, "WAIT ends with it");
	tap_eq(file_write(CHARDEV "bind", "ivshmem0"), 0, "bind it again");
	close(fds[0]);
	munmap(region, SIZE);
	fds[0] = dev_open();
	region = dev_map(fds[0], SIZE);
	tap_ok(section(seen.at[0].slot)->owner == seen.at[0].owner, "the slot is kept");
	tap_ok(peers_become(fds[0], &seen, 1), "and told of");
}

static void test_reset(void)
{
	uint64_t owner = seen.at[0].owner, beat;
	unsigned int slot = seen.at[0].slot;
	char path[128];

	if (!rig_over("pci")) {
		tap_skip("reset", "only PCI devices have one");
		return;
	}
	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", dev_pci(0));
	tap_eq(file_write(path, "1"), 0, "reset");
	beat = section(slot)->heartbeat;
	sleep_ms(LONG_MS);
	tap_ok(section(slot)->owner == owner && section(slot)->heartbeat != beat,
	       "the slot is kept, and its heart beats");
}

/* Nobody else is on this device. */
static void test_doorbell(void)
{
	int fd = dev_open_at(DOORBELL_DEVICE, O_RDWR);
	char *memory = dev_map(fd, 4 << 20);
	struct ivshmem_label other = label_new(4 << 20);
	uint32_t id = dev_info(fd).id;

	label_add_peers(&other, 16, 4);
	label_store(memory, &other);
	tap_eq(rescan(2), 0, "a label of a device with doorbells");
	tap_ok(peers_become(fd, &seen, 1), "it is there");
	if (dev_info(fd).vectors && id != IVSHMEM_ID_UNKNOWN)
		tap_eq(seen.at[0].id, id, "by its doorbell id");
	else
		tap_eq(seen.at[0].id, 0xff00, "by its slot, as it has no doorbell id");
	munmap(memory, 4 << 20);
	close(fd);
}

static void test_unplug(void)
{
	struct ivshmem_label other = label_new(SIZE);
	pthread_t thread;
	char *memory;
	void *ret;
	int fd;

	if (!rig_over("pci"))
		return;
	rig_ask("plug plain hot 1M");
	tap_ok(file_comes(SECOND_DEVICE, true), "plug a device");
	fd = dev_open_at(SECOND_DEVICE, O_RDWR);
	memory = dev_map(fd, SIZE);
	label_add_peers(&other, 2, 0);
	label_store(memory, &other);
	rescan(1);
	tap_ok(peers_become(fd, &seen, 1), "it has a slot");
	pthread_create(&thread, NULL, waiter, &fd);
	sleep_ms(50);
	rig_ask("unplug hot");
	pthread_join(thread, &ret);
	tap_eq((long)ret, -ENODEV, "WAIT ends when it is unplugged");
	munmap(memory, SIZE);
	close(fd);
}

int main(void)
{
	fds[0] = dev_open();
	fds[1] = dev_open_at(SECOND_DEVICE, O_RDWR);
	region = dev_map(fds[0], SIZE);
	test_without();
	test_both();
	test_sysfs();
	test_partition();
	test_names();
	test_arguments();
	test_room();
	test_timeouts();
	test_limit();
	test_signals();
	test_slow();
	test_fault();
	test_interrupted();
	test_stranger();
	test_scribbled();
	test_stolen();
	test_foreign_label();
	test_full();
	test_unbind();
	test_chardev();
	test_reset();
	test_unplug();
	test_doorbell();
	test_label_goes();
	munmap(region, SIZE);
	close(fds[0]);
	if (rig_over("pci"))
		module_clean();
	return tap_done();
}
