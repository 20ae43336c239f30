// SPDX-License-Identifier: GPL-2.0-only
/*
 * What works on a mapping of the region as on one of any file, where the region has struct
 * pages: shared futexes and what pthread makes of them, O_DIRECT to a disk, the calls by
 * which processes read each other's memory, vmsplice, io_uring's fixed buffers, huge
 * entries. And what must not work: to make the programs' view and the kernel's differ.
 */
/*
 * rig: devices=plain size=16M over=pci,window,memory mem=1024 append=preempt=full timeout=240
 * rig: modules=virtio_pci?,virtio_blk? programs=mkfs.ext4
 * rig: qemu='-drive if=virtio,snapshot=on,driver=raw,file.driver=null-co,file.size=64M'
 */
#include <linux/futex.h>
#include <linux/if_xdp.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guarded.h"
#include "pattern.h"
#include "uring.h"

#define SIZE (16UL << 20)
#define LARGE (4UL << 20)
#define HUGE (2UL << 20)
#define WORD (HUGE + 3 * PAGE)	/* where a futex is */
#define TURNS 20000
#define PARAMETER "/sys/module/ivshmem/parameters/pages"
#define SYSFS "/sys/class/ivshmem/ivshmem0/"
#define WINDOW "/sys/kernel/config/ivshmem/ivshmem0/"
#define DRIVER "/sys/bus/ivshmem/drivers/ivshmem_chardev/"

static int fd;
static char *map, bytes[SIZE];

/* A process with a mapping of its own at another address, which exits with what @run gives. */
static pid_t other_process(int (*run)(char *own))
{
	pid_t pid = fork();

	if (!pid)
		_exit(run(dev_map(dev_open(), SIZE)));
	return pid;
}

static int status_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

/* A mapping of all at an address that allows no huge entries. */
static char *map_odd(void)
{
	char *room = mmap(NULL, SIZE + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = (char *)(((uintptr_t)room + HUGE - 1) / HUGE * HUGE) + PAGE;

	if (room == MAP_FAILED ||
	    mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != p)
		tap_bail("mmap: %s", strerror(errno));
	return p;
}

/*
 * Between processes
 */

static int sleep_on_futex(char *own)
{
	const struct timespec patience = { .tv_sec = 20 };

	return syscall(SYS_futex, own + WORD, FUTEX_WAIT, 0, &patience) != 0;
}

static void test_futex_by(char *own, const char *how)
{
	int64_t end = now_ns() + 20 * SECOND;
	long woken = 0;
	pid_t pid;

	memset(own + WORD, 0, PAGE);
	pid = other_process(sleep_on_futex);
	while (woken != 1 && now_ns() < end) {
		sleep_ms(1);
		woken = syscall(SYS_futex, own + WORD, FUTEX_WAKE, 1);
	}
	tap_eq(woken, 1, "futex: a process wakes another one, %s", how);
	tap_eq(status_of(pid), 0, "futex: which was asleep on the word");
}

static void test_futex(void)
{
	char *odd = map_odd();

	test_futex_by(map, "in the midst of a huge page");
	test_futex_by(odd, "by a mapping without huge entries");
	munmap(odd, SIZE);
}

struct objects {
	pthread_mutex_t mutex, robust;
	pthread_cond_t cond;
	sem_t semaphore;
	long count;
	bool ready;
};

static struct objects *objects_at(char *own)
{
	return (struct objects *)(own + SIZE / 2);
}

static void objects_init(struct objects *o)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;

	memset(o, 0, sizeof(*o));
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&o->mutex, &mutex);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&o->robust, &mutex);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&o->cond, &cond);
	sem_init(&o->semaphore, 1, 0);
}

static int count_up(char *own)
{
	struct objects *o = objects_at(own);

	for (int i = 0; i < TURNS; i++) {
		pthread_mutex_lock(&o->mutex);
		o->count++;
		pthread_mutex_unlock(&o->mutex);
	}
	return 0;
}

/* Waits for the condition, says so by the semaphore, and exits with a mutex locked. */
static int die_locked(char *own)
{
	struct objects *o = objects_at(own);

	pthread_mutex_lock(&o->mutex);
	while (!o->ready)
		pthread_cond_wait(&o->cond, &o->mutex);
	pthread_mutex_unlock(&o->mutex);
	pthread_mutex_lock(&o->robust);
	sem_post(&o->semaphore);
	return 0;
}

static void test_pthread(void)
{
	struct objects *o = objects_at(map);
	pid_t pid;

	objects_init(o);
	pid = other_process(count_up);
	count_up(map);
	tap_eq(status_of(pid), 0, "pthread: two processes share a mutex");
	tap_eq(o->count, 2 * TURNS, "pthread: it excludes");
	pid = other_process(die_locked);
	sleep_ms(50);
	pthread_mutex_lock(&o->mutex);
	o->ready = true;
	pthread_cond_broadcast(&o->cond);
	pthread_mutex_unlock(&o->mutex);
	sem_wait(&o->semaphore);
	tap_eq(status_of(pid), 0, "pthread: a condition and a semaphore");
	tap_eq(pthread_mutex_lock(&o->robust), EOWNERDEAD, "pthread: the owner of a mutex died");
	tap_eq(pthread_mutex_consistent(&o->robust), 0, "pthread: it can be repaired");
	tap_eq(pthread_mutex_unlock(&o->robust), 0, "pthread: and goes on");
}

static int sleep_for_ever(char *own)
{
	(void)own;
	pause();
	return 0;
}

/* What another process has mapped, read and written by @move. */
static void test_remote(const char *what, ssize_t (*move)(pid_t pid, void *here, bool write))
{
	pid_t pid = other_process(sleep_for_ever);
	static char here[LARGE];

	/* It inherited the mapping at this address. */
	pattern_write(map, LARGE, 1);
	tap_eq(move(pid, here, false), LARGE, "%s: read from another process", what);
	tap_ok(!memcmp(here, map, LARGE), "%s: what is there", what);
	pattern_write(here, LARGE, 2);
	tap_eq(move(pid, here, true), LARGE, "%s: write to it", what);
	tap_ok(!memcmp(here, map, LARGE), "%s: it is there", what);
	kill(pid, SIGKILL);
	status_of(pid);
}

static ssize_t move_by_vm(pid_t pid, void *here, bool write)
{
	struct iovec own = { here, LARGE }, there = { map, LARGE };

	return result(write ? process_vm_writev(pid, &own, 1, &there, 1, 0) :
			      process_vm_readv(pid, &own, 1, &there, 1, 0));
}

static ssize_t move_by_mem(pid_t pid, void *here, bool write)
{
	char path[32];
	ssize_t n;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = dev_open_at(path, O_RDWR);
	n = result(write ? pwrite(mem, here, LARGE, (uintptr_t)map) :
			   pread(mem, here, LARGE, (uintptr_t)map));
	close(mem);
	return n;
}

/*
 * Input and output
 */

static bool disk_mount(void)
{
	mkdir("/tmp/disk", 0755);
	if (!disk_should_be()) {
		tap_skip("O_DIRECT", "this kernel has no disk");
		return false;
	}
	if (system("mkfs.ext4 -q -F /dev/vda"))
		tap_bail("the disk cannot be formatted");
	if (!mount("/dev/vda", "/tmp/disk", "ext4", 0, NULL))
		return true;
	if (errno != ENODEV)
		tap_bail("the disk cannot be mounted: %s", strerror(errno));
	tap_skip("O_DIRECT", "this kernel has no ext4");
	return false;
}

static char *map_at(char *at, size_t length, int prot, int flags, int file, off_t offset)
{
	char *p = mmap(at, length, prot, flags, file, offset);

	if (p == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	return p;
}

/* Two mappings side by side, the second of what comes earlier; neither begins with a huge page. */
static char *map_two(void)
{
	char *p = map_at(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	map_at(p, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, HUGE + 3 * PAGE);
	map_at(p + HUGE, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, PAGE);
	return p;
}

static void test_direct(size_t length)
{
	int file = dev_open_at("/tmp/disk/file", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
	int plain = dev_open_at("/tmp/disk/file", O_RDONLY);

	pattern_write(map, length, 3);
	tap_eq(result(pwrite(file, map, length, 0)), length, "O_DIRECT: write %zu KiB to ext4",
	       length >> 10);
	memset(bytes, 0, length);
	tap_ok(pread(plain, bytes, length, 0) == (ssize_t)length && !memcmp(bytes, map, length),
	       "O_DIRECT: the file has them");
	memset(map, 0, length);
	tap_eq(result(pread(file, map, length, 0)), length, "O_DIRECT: read them from ext4");
	tap_ok(!memcmp(bytes, map, length), "O_DIRECT: the region has them");
	close(file);
	close(plain);
}

/* One transfer from two mappings, at odd sectors. */
static void test_direct_odd(void)
{
	int file = dev_open_at("/tmp/disk/file", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
	int plain = dev_open_at("/tmp/disk/file", O_RDONLY);
	char *p = map_two();
	const struct iovec parts[] = { { p + HUGE - 1536, 4096 }, { map + 512, HUGE } };
	const ssize_t length = 4096 + HUGE;

	pattern_write(map, SIZE, 8);
	tap_eq(result(pwritev(file, parts, 2, 512)), length,
	       "O_DIRECT: write from two mappings, at odd sectors");
	tap_ok(pread(plain, bytes, length, 512) == length &&
	       !memcmp(bytes, parts[0].iov_base, 4096) &&
	       !memcmp(bytes + 4096, parts[1].iov_base, HUGE), "O_DIRECT: the file has them");
	munmap(p, 2 * HUGE);
	close(file);
	close(plain);
}

static void test_vmsplice(void)
{
	struct iovec part = { map + PAGE / 2, 8 * PAGE };
	int ends[2];

	pattern_write(map, LARGE, 4);
	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	tap_eq(result(vmsplice(ends[1], &part, 1, 0)), 8 * PAGE, "vmsplice: to a pipe");
	tap_ok(read(ends[0], bytes, 8 * PAGE) == (ssize_t)(8 * PAGE) &&
	       !memcmp(bytes, part.iov_base, 8 * PAGE), "vmsplice: the pipe has the bytes");
	close(ends[0]);
	close(ends[1]);
}

static void test_uring(void)
{
	const struct iovec all = { map, SIZE };
	int file = dev_open_at("/tmp/file", O_RDWR | O_CREAT | O_TRUNC), ret;
	struct uring ring;

	ret = uring_open(&ring, 0, 0);
	if (!ret)
		ret = uring_register(&ring, &all);
	if (uring_lacks_buffers(ret)) {
		tap_skip("io_uring: fixed buffers", ret == -EOPNOTSUPP ?
			 "this kernel takes anonymous memory only" : "this kernel has no io_uring");
		return;
	}
	pattern_write(map, LARGE, 5);
	tap_eq(ret, 0, "io_uring: register the region");
	tap_eq(uring_do(&ring, uring_request(IORING_OP_WRITE_FIXED, file, map, LARGE, 0)), LARGE,
	       "io_uring: write from a fixed buffer");
	tap_ok(pread(file, bytes, LARGE, 0) == (ssize_t)LARGE && !memcmp(bytes, map, LARGE),
	       "io_uring: the file has it");
	memset(map, 0, LARGE);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_READ_FIXED, file, map, LARGE, 0)), LARGE,
	       "io_uring: read to a fixed buffer");
	tap_ok(!memcmp(bytes, map, LARGE), "io_uring: the region has it");
	uring_close(&ring);
	close(file);
	unlink("/tmp/file");
}

/* A fixed buffer over two mappings, and requests that begin and end inside pages. */
static void test_uring_odd(void)
{
	const size_t length = 2 * HUGE - 456;
	char *p = map_two();
	const struct iovec all = { p, 2 * HUGE };
	int file = dev_open_at("/tmp/file", O_RDWR | O_CREAT | O_TRUNC), ret;
	struct uring ring;

	if (uring_open(&ring, 0, 0))
		goto out;
	ret = uring_register(&ring, &all);
	if (uring_lacks_buffers(ret))
		goto out_ring;
	tap_eq(ret, 0, "io_uring: register two mappings as one buffer");
	pattern_write(p, 2 * HUGE, 6);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_WRITE_FIXED, file, p + 123, length, 0)),
	       length, "io_uring: write from the midst of them");
	tap_ok(pread(file, bytes, length, 0) == (ssize_t)length && !memcmp(bytes, p + 123, length),
	       "io_uring: the file has it");
	memset(p, 0, 2 * HUGE);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_READ_FIXED, file, p + 123, length, 0)),
	       length, "io_uring: read to the midst of them");
	tap_ok(!memcmp(bytes, p + 123, length) && !p[122] && !p[length + 123],
	       "io_uring: the mappings have it, and no more");
out_ring:
	uring_close(&ring);
out:
	close(file);
	unlink("/tmp/file");
	munmap(p, 2 * HUGE);
}

/* Network cards transfer to and from such memory for as long as the socket is open. */
static void test_xdp(void)
{
	const struct xdp_umem_reg memory = {
		.addr = (uintptr_t)map, .len = SIZE, .chunk_size = PAGE,
	};
	int s = socket(AF_XDP, SOCK_RAW, 0);

	if (s < 0 && errno == EAFNOSUPPORT) {
		tap_skip("AF_XDP", "this kernel has none");
		return;
	}
	tap_eq(result(setsockopt(s, SOL_XDP, XDP_UMEM_REG, &memory, sizeof(memory))), 0,
	       "AF_XDP: register the region as memory for packets");
	close(s);
}

/*
 * Pages
 */

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static void touch_all(char *p)
{
	for (size_t at = 0; at < SIZE; at += PAGE)
		touch(p + at, true);
}

static void test_mlock(void)
{
	char *p = dev_map(fd, SIZE);
	long before;

	tap_eq(result(mlock(p, SIZE)), 0, "mlock: lock the region");
	before = faults();
	touch_all(p);
	tap_ok(faults() - before < 4, "mlock: nothing faults then: %ld times", faults() - before);
	tap_eq(file_mentions("/proc/self/status", "VmLck:\t       0 kB"), 1,
	       "mlock: none of it is counted");
	tap_eq(result(munlock(p, SIZE)), 0, "mlock: unlock it");
	munmap(p, SIZE);
}

/* What a mapping of a file in tmpfs could do: see docs/mapping.md. */
static void test_refusals(void)
{
	struct uffdio_register missing = {
		.range = { (uintptr_t)map, SIZE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int faults = syscall(SYS_userfaultfd, 0);

	refused(mremap(map, SIZE, 2 * SIZE, MREMAP_MAYMOVE), EFAULT, "mremap: it cannot grow");
	refused(mremap(map, 0, SIZE, MREMAP_MAYMOVE), EFAULT, "mremap: nor be doubled");
	refused(madvise(map, SIZE, MADV_DODUMP), EINVAL, "madvise: core dumps leave it out");
	if (faults < 0) {
		tap_skip("userfaultfd", "this kernel has none");
		return;
	}
	tap_eq(result(ioctl(faults, UFFDIO_API, &api)), 0, "userfaultfd: agree on an interface");
	refused(ioctl(faults, UFFDIO_REGISTER, &missing), EINVAL,
		"userfaultfd: it cannot be registered");
	close(faults);
}

/* However an entry is split or moved, each page stays what it is. */
static void test_huge_parts(char *p)
{
	char *room = map_odd(), *moved = room + HUGE;

	pattern_write(map, SIZE, 6);
	tap_eq(mprotect(p + PAGE, PAGE, PROT_READ), 0, "huge: protect one page of an entry");
	tap_ok(!memcmp(p, map, SIZE) && touch(p + PAGE, true) == SIGSEGV &&
	       !touch(p + 2 * PAGE, true), "huge: the others stay as they are");
	tap_eq(munmap(p + 2 * HUGE + PAGE, PAGE), 0, "huge: unmap one page of an entry");
	tap_ok(touch(p + 2 * HUGE + PAGE, false) == SIGSEGV &&
	       !memcmp(p + 2 * HUGE, map + 2 * HUGE, PAGE) &&
	       !memcmp(p + 2 * HUGE + 2 * PAGE, map + 2 * HUGE + 2 * PAGE, SIZE / 2),
	       "huge: the others stay as they are");
	tap_ok(mremap(p + 6 * HUGE, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved) == moved,
	       "huge: move an entry to an address that allows none");
	tap_ok(!memcmp(moved, map + 6 * HUGE, HUGE) && touch(p + 6 * HUGE, false) == SIGSEGV,
	       "huge: all of its pages are there, and nowhere else");
	munmap(room, SIZE);
}

static void test_huge(void)
{
	long before, huge, tables;
	char *p;

	if (!dev_huge_entries("huge entries"))
		return;
	/* The kernel counts an entry of each page, and the other mapping has some, too. */
	madvise(map, SIZE, MADV_DONTNEED);
	p = dev_map(fd, SIZE);
	tap_eq((uintptr_t)p % HUGE, 0, "huge: the kernel chooses an aligned address");
	huge = huge_entries_kb();
	tables = page_tables_kb();
	before = faults();
	touch_all(p);
	tap_eq(faults() - before, SIZE / HUGE, "huge: each entry takes one fault");
	tap_eq(huge_entries_kb() - huge, SIZE >> 10, "huge: all of the region is in huge entries");
	tables = page_tables_kb() - tables;
	tap_ok(tables < (long)(SIZE / HUGE * PAGE >> 10),
	       "huge: they need no page tables of their own: %ld kB", tables);
	test_huge_parts(p);
	munmap(p, SIZE);
	madvise(map, SIZE, MADV_DONTNEED);
	tap_eq(huge_entries_kb(), huge, "huge: none is left over");
	p = map_odd();
	before = faults();
	touch_all(p);
	tap_eq(huge_entries_kb(), huge, "huge: an odd address has none");
	if (!rig_over("memory"))
		tap_eq(faults() - before, SIZE / HUGE + 1,
		       "huge: there one fault fills a page table");
	munmap(p, SIZE);
}

/* Has the page been written since /proc/self/clear_refs was told to forget? */
static bool soft_dirty(const char *p)
{
	int pagemap = dev_open_at("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), (uintptr_t)p / PAGE * sizeof(entry)) < 0)
		tap_bail("pagemap: %s", strerror(errno));
	close(pagemap);
	return entry >> 55 & 1;
}

static void test_soft_dirty_by(char *p, const char *how)
{
	char *written = p + 3 * HUGE + PAGE, byte;
	int dirty = 0, forgotten = 0;

	pattern_write(p, SIZE, 8);
	for (size_t at = 0; at < SIZE; at += HUGE / 2)
		dirty += soft_dirty(p + at);
	tap_eq(dirty, 2 * SIZE / HUGE, "soft-dirty: all is, once written, %s", how);
	file_write("/proc/self/clear_refs", "4");
	for (size_t at = 0; at < SIZE; at += PAGE)
		forgotten += !soft_dirty(p + at);
	tap_eq(forgotten, SIZE / PAGE, "soft-dirty: all is forgotten");
	byte = *written;
	tap_ok(put(written, &byte, 1) && soft_dirty(written), "soft-dirty: a page is written");
	dirty = 0;
	for (size_t at = 0; at < SIZE; at += PAGE)
		dirty += at / HUGE != 3 && soft_dirty(p + at);
	tap_eq(dirty, 0, "soft-dirty: so is nothing outside of a huge page");
	tap_ok(pattern_matches(p, SIZE, 8), "soft-dirty: no byte was lost");
}

static void test_soft_dirty(void)
{
	char *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool possible;
	char *odd;

	touch(own, true);
	possible = soft_dirty(own);
	munmap(own, PAGE);
	if (!possible) {
		tap_skip("soft-dirty", "this kernel has no such thing");
		return;
	}
	test_soft_dirty_by(map, "in huge entries, if it has these");
	odd = map_odd();
	test_soft_dirty_by(odd, "by a mapping without");
	munmap(odd, SIZE);
}

/* Do a mapping and the kernel see the same memory? */
static bool same_view(void)
{
	static unsigned int turn;

	map[PAGE] = ++turn;
	return pread(fd, bytes, SIZE, 0) == SIZE && !memcmp(bytes, map, SIZE) &&
	       pwrite(fd, &turn, 4, SIZE - 4) == 4 && !memcmp(map + SIZE - 4, &turn, 4);
}

static void test_views(void)
{
	/* From MADV_DONTNEED to MADV_COLLAPSE, but those that poison memory. */
	static const int advices[] = {
		4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 102, 103,
	};
	unsigned long node = 1;

	pattern_write(map, SIZE, 7);
	for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++) {
		long ret = result(madvise(map, SIZE, advices[i]));

		tap_ok(same_view(), "views: after madvise %d, which gave %ld", advices[i], ret);
	}
	tap_ok(result(madvise(map, SIZE, MADV_REMOVE)) < 0, "views: MADV_REMOVE is refused");
	syscall(SYS_mbind, map, SIZE, MPOL_BIND, &node, 64, MPOL_MF_MOVE_ALL);
	tap_ok(same_view(), "views: after mbind");
	file_write("/proc/sys/vm/drop_caches", "3");
	file_write("/proc/sys/vm/compact_memory", "1");
	tap_ok(same_view(), "views: after the kernel dropped caches and compacted memory");
	tap_ok(result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE)) < 0 &&
	       result(ftruncate(fd, 0)) < 0, "views: the file cannot be cut");
	refused(fcntl(fd, F_GET_SEALS), EINVAL, "views: nor sealed, as it is no memfd");
	pattern_write(bytes, SIZE, 7);
	bytes[PAGE] = map[PAGE];
	memcpy(bytes + SIZE - 4, map + SIZE - 4, 4);
	tap_ok(!memcmp(bytes, map, SIZE), "views: no byte was lost");
}

/*
 * When the character device is unbound, its memory is still there: an entry that a
 * fault makes late, as the kernel does for a software device, would be used on. So
 * tasks of low priority fault all the time, and others keep them from running, in the
 * kernel as well where that lets itself be interrupted.
 */
static volatile bool gone, calm;

static void *fault_until_gone(void *number)
{
	char *own = map + SIZE / 2 * (uintptr_t)number;	/* half of the region */

	setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10);
	while (!gone)
		for (size_t at = 0; at < SIZE / 2; at += HUGE) {
			madvise(own + at, HUGE, MADV_DONTNEED);
			touch(own + at + PAGE, true);
		}
	return NULL;
}

static void *keep_busy(void *unused)
{
	while (!calm)
		;
	return unused;
}

static void test_unbind(void)
{
	const int unbinds = rig_over("memory") ? 50 : 10;
	int failed = 0, left = 0;
	pthread_t threads[4];

	for (int i = 0; i < unbinds; i++) {
		gone = calm = false;
		for (uintptr_t t = 0; t < 4; t++)
			pthread_create(&threads[t], NULL, t < 2 ? fault_until_gone : keep_busy,
				       (void *)t);
		sleep_ms(i % 20);
		failed += file_write(DRIVER "unbind", "ivshmem0") != 0;
		gone = calm = true;
		for (int t = 0; t < 4; t++)
			pthread_join(threads[t], NULL);
		for (size_t at = 0; at < SIZE; at += PAGE)
			left += touch(map + at, false) != SIGBUS;
		failed += file_write(DRIVER "bind", "ivshmem0") != 0 ||
			  !file_comes(RIG_DEVICE, true);
		munmap(map, SIZE);
		close(fd);
		fd = dev_open();
		map = dev_map(fd, SIZE);
	}
	tap_eq(failed, 0, "unbind: %d times while two threads fault", unbinds);
	tap_eq(left, 0, "unbind: no page is mapped afterwards");
}

/*
 * The administrator's choice
 */

static char name[80];	/* of the device, as the parameter knows it */

/*
 * Nothing is resident before its first access: the kernel finds no page cache behind the node. In
 * mappings without struct pages it does not look for entries either.
 */
static void test_mincore(const char *about, bool resident)
{
	char *p = dev_map(fd, HUGE);
	unsigned char before, after;

	must(mincore(p, PAGE, &before));
	touch(p, false);
	must(mincore(p, PAGE, &after));
	tap_eq(before & 1, 0, "%s: mincore finds nothing before the first access", about);
	tap_eq(after & 1, resident, "%s: %s after it", about, resident ? "a page" : "nor");
	munmap(p, HUGE);
}

/* Bind the device again, with another choice of pages=. */
static void choose(const char *format)
{
	char text[128];

	snprintf(text, sizeof(text), format, name);
	munmap(map, SIZE);
	close(fd);
	if (file_write(PARAMETER, text))
		tap_bail("pages=%s is refused", text);
	if (rig_over("pci") ? file_write(PCI_DRIVER "unbind", name) ||
			      file_write(PCI_DRIVER "bind", name) :
			      file_write(WINDOW "enable", "0") || file_write(WINDOW "enable", "1"))
		tap_bail("pages=%s: the device does not come back", text);
	fd = dev_open();
	map = dev_map(fd, SIZE);
}

static void test_without(void)
{
	struct iovec part = { map, PAGE };
	int ends[2];

	touch(map, true);
	tap_eq(file_mentions(SYSFS "pages", "no"), 1, "no: sysfs says so");
	refused(syscall(SYS_futex, map, FUTEX_WAKE, 1), EFAULT, "no: shared futexes are refused");
	refused(process_vm_readv(getpid(), &(struct iovec){ bytes, PAGE }, 1, &part, 1, 0), EFAULT,
		"no: process_vm_readv is refused");
	if (!pipe(ends)) {
		refused(vmsplice(ends[1], &part, 1, 0), EFAULT, "no: vmsplice is refused");
		close(ends[0]);
		close(ends[1]);
	}
	tap_ok(same_view(), "no: the mapping and the file are the same");
	test_mincore("no", false);
}

/* What cannot have struct pages works without, and the log tells why. */
static void test_small(void)
{
	munmap(map, SIZE);
	close(fd);
	if (file_write(WINDOW "enable", "0") || file_write(WINDOW "size", "1M") ||
	    file_write(WINDOW "enable", "1"))
		tap_bail("the window does not come back");
	fd = dev_open();
	tap_ok(!dev_has_pages(fd), "a window of 1 MiB has none");
	tap_ok(rig_try("expect-log no struct pages for this region: .* no multiple of 2 MiB"),
	       "the log tells why");
	map = dev_map(fd, 1 << 20);
	tap_eq(touch(map, true), 0, "it works without");
}

static void test_choice(void)
{
	static const char * const wrong[] = { "maybe", "yes,", "ivshmem0=", "no,a=yes,b=never" };

	snprintf(name, sizeof(name), "%s", rig_over("pci") ? dev_pci(0) : "ivshmem0");
	tap_ok(dev_has_pages(fd), "auto: the device has struct pages, and INFO says so");
	tap_eq(file_mentions(SYSFS "pages", "yes"), 1, "auto: so does sysfs");
	choose("no");
	tap_ok(!dev_has_pages(fd), "no: the device has none");
	test_without();
	choose("no,%s=yes");
	tap_ok(dev_has_pages(fd) && same_view(), "no, but yes for this device: it has");
	choose("%s=no,yes");
	tap_ok(!dev_has_pages(fd) && same_view(), "yes, but no for this device: it has none");
	choose("auto,other=no");
	tap_ok(dev_has_pages(fd) && same_view(), "the choice for another device does not matter");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		tap_eq(file_write(PARAMETER, wrong[i]), -EINVAL, "\"%s\" is refused", wrong[i]);
	tap_eq(file_mentions(PARAMETER, "auto,other=no"), 1, "and changes nothing");
}

int main(void)
{
	guard();
	fd = dev_open();
	map = dev_map(fd, SIZE);
	if (!dev_pages(fd, "what struct pages are for"))
		return tap_done();
	test_futex();
	test_pthread();
	test_remote("process_vm_readv", move_by_vm);
	test_remote("/proc/PID/mem", move_by_mem);
	if (disk_mount()) {
		test_direct(64 << 10);
		test_direct(LARGE);
		test_direct_odd();
		umount("/tmp/disk");
	}
	test_vmsplice();
	test_uring();
	test_uring_odd();
	test_xdp();
	test_mlock();
	test_refusals();
	test_huge();
	test_soft_dirty();
	test_views();
	test_mincore("auto", true);
	test_unbind();
	if (!rig_over("memory"))
		test_choice();
	if (rig_over("window"))
		test_small();
	return tap_done();
}
