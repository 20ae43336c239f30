// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file "region" in sysfs: its size is that of the region, it reads, writes and maps
 * what the node does, and it ends as the node does.
 */
/* rig: devices=plain,doorbell size=4M,1M bridges=yes over=pci,memory timeout=240 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "module.h"

#define CLASS "/sys/class/ivshmem/"
#define REGION CLASS "ivshmem0/region"
#define SIZE (4UL << 20)
#define RESETS 10
#define USER 1000

static char bytes[SIZE], back[SIZE];
static int node, region;
static sigjmp_buf escape;

static void on_signal(int signal)
{
	siglongjmp(escape, signal);
}

/* Touch an address; gives the signal that ended it, or 0. */
static int touch(volatile char *p, bool write)
{
	int caught = sigsetjmp(escape, 1);

	if (caught)
		return caught;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

/* As a program does that knows nothing of the device: the size of the file is mapped. */
static char *map_path(const char *path, int flags, size_t *size)
{
	int fd = open(path, flags);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st))
		tap_bail("%s: %s", path, strerror(errno));
	*size = st.st_size;
	p = mmap(NULL, st.st_size, flags == O_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE,
		 MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		tap_bail("mmap of %s: %s", path, strerror(errno));
	close(fd);
	return p;
}

static void test_stat(void)
{
	char path[64];
	struct stat st;

	tap_eq(stat(REGION, &st), 0, "the file is there");
	tap_ok(S_ISREG(st.st_mode), "a regular file");
	tap_eq(st.st_mode & 0777, 0600, "of root alone");
	tap_ok(!st.st_uid && !st.st_gid, "user and group");
	for (int n = 0; n < 2; n++) {
		int fd;

		snprintf(path, sizeof(path), "/dev/ivshmem%d", n);
		fd = dev_open_at(path, O_RDWR);
		snprintf(path, sizeof(path), CLASS "ivshmem%d/region", n);
		tap_ok(!stat(path, &st) && st.st_size == (off_t)dev_size(fd),
		       "the size is that of region %d", n);
		close(fd);
	}
}

static void test_rights(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int denied;

		if (setgid(USER) || setuid(USER))
			_exit(100);
		denied = open(REGION, O_RDONLY) < 0 && errno == EACCES;
		_exit(!denied);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "others may not open it");
	tap_ok(!chown(REGION, 0, USER) && !chmod(REGION, 0640), "give it to a group to read");
	pid = fork();
	if (!pid) {
		int fd;

		if (setgid(USER) || setuid(USER) || open(REGION, O_RDWR) >= 0)
			_exit(100);
		fd = open(REGION, O_RDONLY);
		if (fd < 0 || mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) !=
			      MAP_FAILED)
			_exit(101);
		_exit(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "then its members may map it for reading, and no more");
	if (chown(REGION, 0, 0) || chmod(REGION, 0600))
		tap_bail("%s", strerror(errno));
}

/* All of it by system calls, which move a page at most. */
static size_t move(int fd, char *buffer, bool out)
{
	size_t done = 0;
	ssize_t n;

	while (done < SIZE &&
	       (n = out ? pwrite(fd, buffer + done, SIZE - done, done) :
			  pread(fd, buffer + done, SIZE - done, done)) > 0)
		done += n;
	return done;
}

static void test_content(void)
{
	char *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = i * 31 + (i >> 10);
	tap_eq(move(region, bytes, true), SIZE, "write all of it");
	tap_ok(pread(node, back, SIZE, 0) == (ssize_t)SIZE && !memcmp(bytes, back, SIZE),
	       "the node reads the same");
	memset(bytes, 0x5a, SIZE / 2);
	tap_eq(pwrite(node, bytes, SIZE, 0), SIZE, "write through the node");
	tap_eq(move(region, back, false), SIZE, "read all of it");
	tap_ok(!memcmp(bytes, back, SIZE), "it is the same");
	tap_eq(pwrite(region, "odd", 3, 12345), 3, "at an odd place");
	tap_ok(pread(region, back, 3, 12345) == 3 && !memcmp(back, "odd", 3), "both ways");
	tap_eq(pread(region, back, 100, SIZE - 10), 10, "no further than the end");
	tap_eq(pread(region, back, 1, SIZE), 0, "at the end there is nothing");
	tap_eq(pread(region, back, 1, 1LL << 60), 0, "nor far beyond");
	tap_eq(pwrite(region, bytes, 100, SIZE - 10), 10, "nor to write over the end");
	refused(pwrite(region, bytes, 1, SIZE), EFBIG, "write at the end");
	refused(pwrite(region, bytes, 1, 1LL << 60), EFBIG, "and far beyond");
	refused(pread(region, nowhere, 10, 0), EFAULT, "read to a bad address");
	refused(pwrite(region, nowhere, 10, 0), EFAULT, "write from one");
	tap_eq(lseek(region, 0, SEEK_END), SIZE, "SEEK_END gives the size");
}

/* Copy through the kernel; gives how much it was. A call moves a page at most. */
static size_t send_all(int to, int from, off_t place, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length && (n = sendfile(to, from, &place, length - done)) > 0)
		done += n;
	return done;
}

static bool reads(int fd, const char *wanted, size_t length, off_t place)
{
	return pread(fd, back, length, place) == (ssize_t)length && !memcmp(back, wanted, length);
}

static void test_splice(void)
{
	const off_t from = 4321, to = SIZE / 2 + 1;
	const size_t length = 65541;
	int file = must(memfd_create("copy", MFD_CLOEXEC)), ends[2];
	loff_t in = from, out = 0;

	must(pipe(ends));
	tap_eq(pread(node, bytes, SIZE, 0), SIZE, "read the node");
	tap_eq(send_all(file, region, from, length), length, "sendfile to a file");
	tap_ok(reads(file, bytes + from, length, 0), "copies it");
	must(lseek(region, to, SEEK_SET));
	tap_eq(send_all(region, file, 0, length), length, "sendfile from a file");
	tap_ok(reads(node, bytes + from, length, to), "copies that");
	tap_eq(splice(region, &in, ends[1], NULL, 1000, 0), 1000, "splice to a pipe");
	tap_eq(splice(ends[0], NULL, region, &out, 1000, 0), 1000, "and back");
	tap_ok(reads(node, bytes + from, 1000, 0), "copies as well");
	in = SIZE - 10;
	tap_eq(splice(region, &in, ends[1], NULL, 1000, 0), 10, "no further than the end");
	close(ends[0]);
	close(ends[1]);
	close(file);
}

/* It has no holes. */
static void test_seek(void)
{
	tap_eq(lseek(region, 100, SEEK_DATA), 100, "SEEK_DATA: there is data everywhere");
	tap_eq(lseek(region, 100, SEEK_HOLE), SIZE, "SEEK_HOLE: a hole is at the end only");
	refused(lseek(region, SIZE, SEEK_DATA), ENXIO, "SEEK_DATA at the end");
	refused(lseek(region, SIZE, SEEK_HOLE), ENXIO, "SEEK_HOLE at the end");
}

static void test_map(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	size_t size;
	char *p = map_path(REGION, O_RDWR, &size), *q = dev_map(node, SIZE);

	tap_eq(size, SIZE, "map it by the size that stat() gives");
	p[0] = 1;
	p[SIZE - 1] = 2;
	tap_ok(q[0] == 1 && q[SIZE - 1] == 2, "the node's mapping shows what it writes");
	q[100] = 3;
	tap_eq(p[100], 3, "and the other way round");
	tap_ok(pread(node, back, 1, SIZE - 1) == 1 && back[0] == 2, "so does reading");
	tap_eq(msync(p, SIZE, MS_SYNC), 0, "msync succeeds");
	tap_eq(pread(region, p, PAGE, PAGE), PAGE, "read into the mapping");
	tap_eq(pwrite(region, p, PAGE, 2 * PAGE), PAGE, "write from it");
	tap_ok(!memcmp(q, q + 2 * PAGE, PAGE), "it is a copy");
	tap_eq(munmap(p + PAGE, PAGE), 0, "unmap a page of it");
	tap_ok(!touch(p, true) && touch(p + PAGE, true) == SIGSEGV && !touch(p + 2 * PAGE, true),
	       "the others stay");
	munmap(p, SIZE);
	munmap(q, SIZE);
	refused(mmap(NULL, SIZE + PAGE, rw, MAP_SHARED, region, 0), EINVAL, "map more");
	refused(mmap(NULL, PAGE, rw, MAP_SHARED, region, SIZE), EINVAL, "map beyond the end");
	refused(mmap(NULL, PAGE, rw, MAP_SHARED, region, 1LL << 43), EINVAL,
		"nor has it the register page");
	refused(mmap(NULL, PAGE, rw, MAP_PRIVATE, region, 0), EINVAL, "map it private");
	refused(mmap(NULL, PAGE, rw | PROT_EXEC, MAP_SHARED, region, 0), EPERM,
		"map it executable, which all of sysfs refuses");
	p = map_path(REGION, O_RDONLY, &size);
	refused(mprotect(p, size, rw), EACCES, "read-only, it cannot become writable");
	refused(mprotect(p, size, PROT_READ | PROT_EXEC), EACCES, "nor executable");
	tap_eq(touch(p, true), SIGSEGV, "nor be written");
	tap_eq(mprotect(p, size, PROT_READ), 0, "but changed");
	tap_eq(file_mentions("/proc/self/maps", "anon_inode:ivshmem0"), 1,
	       "/proc/PID/maps names the device");
	munmap(p, size);
}

static void test_fork(void)
{
	size_t size;
	volatile char *p = map_path(REGION, O_RDWR, &size);
	int status;
	pid_t pid = fork();

	if (!pid) {
		p[1] = 5;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	tap_ok(!status && p[1] == 5, "a child has the mapping, too");
	munmap((void *)p, size);
}

static volatile bool stop;

static void *touch_along(void *map)
{
	volatile uint32_t *p = map;
	long bad = 0;

	for (size_t i = 0; !stop; i = (i + 1024) % (1 << 18)) {
		p[i] = i;
		bad += p[i] != i;
	}
	return (void *)bad;
}

static void *read_along(void *arg)
{
	uint32_t word;
	long bad = 0;

	while (!stop)
		bad += pread(region, &word, sizeof(word), 2 << 20) != sizeof(word) ||
		       word != 0x600dd00d;
	(void)arg;
	return (void *)bad;
}

static void test_reset(void)
{
	const uint32_t mark = 0x600dd00d;
	pthread_t threads[2];
	void *bad[2];
	size_t size;
	int failed = 0;
	char *p;

	if (access(CLASS "ivshmem0/device/reset", F_OK)) {
		tap_skip("resets", "this machine cannot reset the device");
		return;
	}
	tap_eq(pwrite(region, &mark, sizeof(mark), 2 << 20), sizeof(mark), "write a mark");
	p = map_path(REGION, O_RDWR, &size);
	pthread_create(&threads[0], NULL, touch_along, p);
	pthread_create(&threads[1], NULL, read_along, NULL);
	for (int i = 0; i < RESETS; i++) {
		failed += file_write(CLASS "ivshmem0/device/reset", "1") != 0;
		sleep_ms(20);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], &bad[i]);
	munmap(p, size);
	tap_eq(failed, 0, "%d resets", RESETS);
	tap_ok(!bad[0], "a mapping shows what was written");
	tap_ok(!bad[1], "each read gives the mark");
}

static void test_removal(void)
{
	const char *pci = dev_pci(0);
	size_t size;
	volatile char *p = map_path(REGION, O_RDWR, &size);

	close(node);
	tap_eq(touch(p + 100, true), 0, "touch a mapping");
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "unbind the device meanwhile");
	tap_eq(touch(p + 100, true), SIGBUS, "then it ends in SIGBUS");
	tap_eq(touch(p + SIZE - 1, false), SIGBUS, "everywhere");
	refused(open(REGION, O_RDWR), ENOENT, "the file is gone");
	refused(pread(region, back, 1, 0), ENODEV, "reading an open one");
	refused(pwrite(region, back, 1, 0), ENODEV, "writing");
	refused(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, region, 0), ENODEV, "mapping");
	tap_eq(module_unload(), -EWOULDBLOCK, "no unloading while the mapping lives");
	munmap((void *)p, size);
	tap_eq(module_unload(), 0, "then it can be unloaded, while the file is open");
	refused(pread(region, back, 1, 0), ENODEV, "which still gives ENODEV");
	close(region);
	tap_eq(module_load(), 0, "and loaded again");
	module_clean();
}

int main(void)
{
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	node = dev_open();
	region = dev_open_at(REGION, O_RDWR);
	test_stat();
	test_rights();
	test_content();
	test_splice();
	test_seek();
	test_map();
	test_fork();
	if (rig_over("pci")) {
		test_reset();
		test_removal();
	}
	return tap_done();
}
