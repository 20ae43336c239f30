// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs of the region: hardware (tests/importer) and programs see the same bytes through
 * them. When the device goes, mappings end in SIGBUS, importers that can let go are asked
 * to, and those that cannot keep their pages.
 */
/*
 * rig: devices=plain,plain bridges=yes size=16M,4G over=pci,window,memory mem=768 timeout=240
 * rig: modargs=pages=yes
 */
#include <dirent.h>
#include <linux/dma-buf.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guarded.h"
#include "hardware.h"
#include "module.h"
#include "pattern.h"

#define SIZE (16UL << 20)
#define FIRST (5UL << 20)	/* the exported range: in the midst of huge pages */
#define PART (6UL << 20)
#define LARGE "/dev/ivshmem1"
#define GIB (1ULL << 30)
#define FILES 1024		/* that a user may have of a device */
#define CONFIG "/sys/kernel/config/ivshmem/ivshmem"
#define DRIVER "/sys/bus/ivshmem/drivers/ivshmem_chardev/"

static char pci[16];	/* the address of a device on PCI, or nothing */
static const char *address;	/* of a window, or nothing */

static void device_remove(void)
{
	int ret = *pci ? file_write(PCI_DRIVER "unbind", pci) : result(rmdir(CONFIG "0"));

	if (ret)
		tap_bail("the device cannot be removed: %s", strerror(-ret));
}

static void device_add(void)
{
	if (*pci)
		file_write(PCI_DRIVER "bind", pci);
	else if (mkdir(CONFIG "0", 0755) || file_write(CONFIG "0/size", "16M") ||
		 (*address && file_write(CONFIG "0/address", address)) ||
		 file_write(CONFIG "0/enable", "1"))
		tap_bail("the device cannot be made");
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int synced(int buffer, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return result(ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync));
}

/*
 * Arguments
 */

static const struct {
	const char *what;
	struct ivshmem_dmabuf dmabuf;
	int error;
} bad[] = {
	{ "no bytes", { .size = 0 }, EINVAL },
	{ "an offset in a page", { .offset = 512, .size = 1 << 20 }, EINVAL },
	{ "a size in a page", { .size = (1 << 20) + 1 }, EINVAL },
	{ "more than the region", { .size = SIZE + (1 << 16) }, EINVAL },
	{ "an offset at the end", { .offset = SIZE, .size = 1 << 16 }, EINVAL },
	{ "a range beyond the end", { .offset = SIZE - (1 << 16), .size = 1 << 17 }, EINVAL },
	{ "a sum that wraps", { .offset = -(1ULL << 16), .size = 1 << 17 }, EINVAL },
	{ "2^63 bytes", { .size = 1ULL << 63 }, EINVAL },
	{ "an unknown flag", { .size = 1 << 16, .flags = 2 }, EINVAL },
	{ "reserved not 0", { .size = 1 << 16, .reserved = 1 }, EINVAL },
};

static void test_arguments(int fd)
{
	int ro = dev_open_at(RIG_DEVICE, O_RDONLY), wo = dev_open_at(RIG_DEVICE, O_WRONLY);
	struct ivshmem_dmabuf d = { .size = PAGE, .flags = IVSHMEM_DMABUF_CLOEXEC };
	int buffer;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		d = bad[i].dmabuf;
		refused(ioctl(fd, IVSHMEM_IOC_DMABUF, &d), bad[i].error, "%s", bad[i].what);
	}
	tap_eq(buffer_export(ro, 0, PAGE), -EACCES, "a read-only file");
	tap_eq(buffer_export(wo, 0, PAGE), -EACCES, "a write-only file");
	refused(ioctl(fd, IVSHMEM_IOC_DMABUF, 8), EFAULT, "a bad address");
	close(ro);
	close(wo);

	buffer = buffer_export(fd, SIZE - PAGE, PAGE);
	tap_eq(fcntl(buffer, F_GETFD), 0, "the last page; exec() keeps it");
	close(buffer);
	d = (struct ivshmem_dmabuf){ .size = SIZE, .flags = IVSHMEM_DMABUF_CLOEXEC };
	buffer = ioctl(fd, IVSHMEM_IOC_DMABUF, &d);
	tap_eq(fcntl(buffer, F_GETFD), FD_CLOEXEC, "all of the region; exec() closes it");
	tap_eq(lseek(buffer, 0, SEEK_END), SIZE, "it has the size of the region");
	close(buffer);
}

/* A user's dma-bufs count as files. */
static void test_limit(int fd)
{
	const struct rlimit many = { 2 * FILES, 2 * FILES };
	int status = -1, n = 0;
	pid_t pid = fork();

	if (!pid) {
		if (setrlimit(RLIMIT_NOFILE, &many) || setuid(1000))
			_exit(1);
		while (buffer_export(fd, 0, PAGE) >= 0)
			n++;
		_exit(n != FILES || buffer_export(fd, 0, PAGE) != -EUSERS);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "one user has %d of them, then comes EUSERS", FILES);
}

/*
 * What programs and hardware see
 */

static void test_mapping(void)
{
	int fd = dev_open(), buffer = buffer_export(fd, FIRST, PART), error;
	char *map = dev_map(fd, SIZE), *p;

	tap_about("mapping");
	pattern_write(map, SIZE, 1);
	refused(mmap(NULL, PART + PAGE, PROT_READ, MAP_SHARED, buffer, 0), EINVAL,
		"beyond the end");
	refused(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buffer, PART), EINVAL, "at the end");
	refused(mmap(NULL, PART, PROT_READ, MAP_PRIVATE, buffer, 0), EINVAL, "MAP_PRIVATE");
	/* On 7.3 the kernel comes first: it mounts the file system of dma-bufs noexec. */
	error = result(mmap(NULL, PART, PROT_READ | PROT_EXEC, MAP_SHARED, buffer, 0));
	tap_ok(error == -EACCES || error == -EPERM, "PROT_EXEC");
	p = dev_map(buffer, PART);
	tap_eq(synced(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0, "SYNC before access");
	tap_ok(!memcmp(p, map + FIRST, PART), "it has the range's bytes");
	memset(p + PART - PAGE, 7, PAGE);
	tap_eq(synced(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0, "SYNC after it");
	tap_eq(map[FIRST + PART - 1], 7, "what is written there is in the region");
	tap_eq(result(msync(p, PART, MS_SYNC)), 0, "msync succeeds, as on a mapping of the region");
	munmap(p, PART);
	p = dev_map_at(buffer, 3 * PAGE, PAGE);
	tap_ok(!memcmp(p, map + FIRST + 3 * PAGE, PAGE), "a page in its midst");
	close(buffer);
	munmap(map, SIZE);
	close(fd);
	*p = 5;
	tap_eq(touch(p, false), 0, "it stays when all files are closed");
	munmap(p, PAGE);
}

static void test_import(const char *kind, unsigned long command)
{
	int fd = dev_open(), buffer = buffer_export(fd, FIRST, PART), importer;
	char *map = dev_map(fd, SIZE);

	tap_about(kind);
	pattern_write(map, SIZE, command);
	importer = hardware_map(buffer, command);
	if (importer < 0)
		tap_bail("%s importer: %s", kind, strerror(-importer));
	tap_ok(hardware_reads(importer, map + FIRST, PART), "hardware reads what programs wrote");
	tap_eq(pwrite(importer, "hello", 5, PART - 5), 5, "it writes");
	tap_ok(!memcmp(map + FIRST + PART - 5, "hello", 5), "programs read that");
	refused(pread(importer, map, 1, PART), ENXIO, "it has no more than the range");
	tap_eq(synced(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0, "SYNC meanwhile");
	tap_eq(synced(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0, "and its end");
	tap_eq(ioctl(importer, IMPORTER_UNMAP), 0, "it lets go");
	tap_eq(ioctl(importer, IMPORTER_MAP), 0, "and maps again");
	tap_eq(ioctl(importer, IMPORTER_ASKED), 0, "nobody asked it to let go");
	close(buffer);
	munmap(map, SIZE);
	close(fd);
	tap_ok(pwrite(importer, "x", 1, 0) == 1, "it goes on when all files are closed");
	close(importer);
}

/* Offsets and sizes that do not fit into an int. */
static void test_large(void)
{
	const uint64_t first = GIB / 2 + PAGE, size = 3 * GIB;
	int fd = open(LARGE, O_RDWR), buffer, importer;
	char *map, *p, c = 0;

	tap_about("3 GiB");
	if (fd < 0) {
		tap_skip("a dma-buf", "a device of 4 GiB is more than half of the memory");
		return;
	}
	buffer = buffer_export(fd, first, size);
	tap_eq(lseek(buffer, 0, SEEK_END), size, "it has this size");
	map = dev_map(fd, 4 * GIB);
	p = dev_map(buffer, size);
	map[first + size - 1] = 1;
	tap_eq(p[size - 1], 1, "its last byte is mapped");
	for (size_t i = 0; i < 2; i++) {
		map[first + 2 * GIB] = 0;
		importer = hardware_map(buffer, i ? IMPORTER_DYNAMIC : IMPORTER_STATIC);
		tap_ok(importer >= 0, "hardware imports it");
		tap_ok(pread(importer, &c, 1, size - 1) == 1 && c == 1, "and reads its last byte");
		tap_eq(pwrite(importer, "x", 1, 2 * GIB), 1, "and writes beyond 2 GiB");
		tap_ok(p[2 * GIB] == 'x' && map[first + 2 * GIB] == 'x', "programs read that");
		close(importer);
	}
	munmap(p, size);
	munmap(map, 4 * GIB);
	close(buffer);
	close(fd);
}

/*
 * The end of the device
 */

static void device_reset(void)
{
	char path[80];

	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", pci);
	if (file_write(path, "1"))
		tap_bail("the device cannot be reset");
}

static void nothing(void)
{
}

/* What was wrong in the cycles. */
static struct {
	int mapped, asked, kept, again;
} wrong;

/* Read a mapping as a debugger does. */
static int peek(const char *p)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), ret;
	char byte;

	ret = result(pread(fd, &byte, 1, (uintptr_t)p));
	close(fd);
	return ret;
}

/* Mappings and hardware of all kinds are there while the device ends. */
static void cycle(unsigned int number, void (*end)(void), void (*begin)(void))
{
	static char bytes[PART];
	int fd = dev_open(), buffer = buffer_export(fd, FIRST, PART);
	int fixed = hardware_map(buffer, IMPORTER_STATIC);
	int dynamic = hardware_map(buffer, IMPORTER_DYNAMIC);
	int obliging = hardware_map(buffer, IMPORTER_OBLIGING);
	char *p = dev_map(buffer, PART), *untouched = dev_map(buffer, PART);

	pattern_write(bytes, PART, number);
	memcpy(p, bytes, PART);
	end();
	wrong.mapped += touch(p, true) != SIGBUS || touch(p + PART - 1, false) != SIGBUS ||
			touch(untouched, false) != SIGBUS;
	wrong.asked += ioctl(obliging, IMPORTER_ASKED) != 1 ||
		       result(pread(obliging, &(char){ 0 }, 1, 0)) != -ENXIO;
	begin();
	wrong.mapped += touch(p, true) != SIGBUS || touch(untouched, false) != SIGBUS ||
			peek(p) != -EIO;
	wrong.asked += ioctl(dynamic, IMPORTER_ASKED) != 1;
	wrong.kept += !hardware_reads(fixed, bytes, PART) ||
		      !hardware_reads(dynamic, bytes, PART);
	/* After a reset the memory can be exported again. */
	wrong.again += end != device_reset && buffer_export(fd, 0, PAGE) != -ENODEV;
	wrong.again += ioctl(dynamic, IMPORTER_UNMAP) ||
		       result(ioctl(dynamic, IMPORTER_MAP)) != -ENODEV ||
		       hardware_map(buffer, IMPORTER_STATIC) != -ENODEV ||
		       hardware_map(buffer, IMPORTER_DYNAMIC) != -ENODEV ||
		       result(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buffer, 0)) != -ENODEV ||
		       synced(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	munmap(p, PART);
	munmap(untouched, PART);
	close(obliging);
	close(dynamic);
	close(fixed);
	close(buffer);
	close(fd);
}

static void driver_unbind(void)
{
	file_write(DRIVER "unbind", "ivshmem0");
}

static void driver_bind(void)
{
	if (file_write(DRIVER "bind", "ivshmem0") || !file_comes(RIG_DEVICE, true))
		tap_bail("the driver cannot be bound");
}

static void test_end(const char *what, void (*end)(void), void (*begin)(void))
{
	const int cycles = rig_cycles(10);
	int files;
	long before;

	tap_about(what);
	cycle(0, end, begin);
	memset(&wrong, 0, sizeof(wrong));
	files = open_files();
	before = meminfo_kb("MemFree");
	for (int i = 1; i <= cycles; i++)
		cycle(i, end, begin);
	tap_eq(wrong.mapped, 0, "mappings end in SIGBUS, for good, %d times", cycles);
	tap_eq(wrong.asked, 0, "a dynamic importer is asked once to let go, and can do so at once");
	tap_eq(wrong.kept, 0, "what hardware has mapped keeps its bytes");
	tap_eq(wrong.again, 0, "nothing maps it again: ENODEV");
	tap_eq(open_files(), files, "no file is left open");
	tap_ok(meminfo_kb("MemFree") > before - (32 << 10),
	       "all memory is free again: %ld of %ld kB", meminfo_kb("MemFree"), before);
}

/* A mapping and an import stay through a reset and the removal after it. */
static void test_reset_then_removal(void)
{
	static char bytes[PART];
	int fd = dev_open(), buffer = buffer_export(fd, FIRST, PART);
	int fixed = hardware_map(buffer, IMPORTER_STATIC);
	char *p = dev_map(buffer, PART);

	tap_about("reset, then removal");
	pattern_write(bytes, PART, 9);
	memcpy(p, bytes, PART);
	device_reset();
	tap_eq(touch(p, true), SIGBUS, "after the reset the mapping ends in SIGBUS");
	tap_ok(hardware_reads(fixed, bytes, PART), "hardware keeps its bytes");
	device_remove();
	tap_eq(touch(p, true), SIGBUS, "after the removal, too");
	tap_ok(hardware_reads(fixed, bytes, PART), "hardware keeps its bytes even then");
	device_add();
	close(fixed);
	munmap(p, PART);
	close(buffer);
	close(fd);
}

/*
 * Everything at once, while the device goes
 */

struct racer {
	const char *what;
	int (*turn)(int fd, int buffer);	/* until it gives -ENODEV */
	pthread_t thread;
	int fd, buffer, result, turns;
};

static int export_turn(int fd, int buffer)
{
	(void)buffer;
	int own = buffer_export(fd, 0, SIZE);

	if (own < 0)
		return own;
	close(own);
	return 0;
}

static int map_turn(int fd, int buffer)
{
	char *p = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);

	(void)fd;
	if (p == MAP_FAILED)
		return -errno;
	for (size_t at = 0; at < PART; at += 16 * PAGE)
		touch(p + at, true);
	munmap(p, PART);
	return 0;
}

static int import_turn(unsigned long kind, int buffer)
{
	int importer = hardware_map(buffer, kind);

	if (importer < 0)
		return importer;
	pwrite(importer, "x", 1, 0);
	close(importer);
	return 0;
}

static int static_turn(int fd, int buffer)
{
	(void)fd;
	return import_turn(IMPORTER_STATIC, buffer);
}

static int dynamic_turn(int fd, int buffer)
{
	(void)fd;
	return import_turn(IMPORTER_DYNAMIC, buffer);
}

static int sync_turn(int fd, int buffer)
{
	int ret = synced(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);

	if (!ret)
		ret = synced(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	return ret ? ret : result(ioctl(fd, IVSHMEM_IOC_DMABUF, NULL)) == -ENODEV ? -ENODEV : 0;
}

static struct racer racers[] = {
	{ .what = "exports", .turn = export_turn },
	{ .what = "mappings", .turn = map_turn },
	{ .what = "static imports", .turn = static_turn },
	{ .what = "dynamic imports", .turn = dynamic_turn },
	{ .what = "SYNC", .turn = sync_turn },
};

#define RACERS (sizeof(racers) / sizeof(*racers))

static void *race(void *arg)
{
	struct racer *r = arg;
	int ret;

	while (!(ret = r->turn(r->fd, r->buffer)))
		__atomic_fetch_add(&r->turns, 1, __ATOMIC_RELAXED);
	r->result = ret;
	return NULL;
}

static void race_cycle(int *failed)
{
	int fd = dev_open(), buffer = buffer_export(fd, FIRST, PART);

	for (size_t i = 0; i < RACERS; i++) {
		racers[i].fd = fd;
		racers[i].buffer = buffer;
		racers[i].turns = 0;
		pthread_create(&racers[i].thread, NULL, race, &racers[i]);
	}
	for (size_t i = 0; i < RACERS; i++)
		while (__atomic_load_n(&racers[i].turns, __ATOMIC_RELAXED) < 2)
			sleep_ms(1);
	device_remove();
	for (size_t i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		if (racers[i].result != -ENODEV) {
			tap_note("%s: %s", racers[i].what, strerror(-racers[i].result));
			++*failed;
		}
	}
	close(buffer);
	close(fd);
	device_add();
}

static void test_race(void)
{
	const int cycles = rig_cycles(10);
	int failed = 0, files = open_files();

	tap_about("race");
	for (int i = 0; i < cycles; i++)
		race_cycle(&failed);
	tap_eq(failed, 0, "all see ENODEV when the device goes, %d times", cycles);
	tap_eq(open_files(), files, "no file is left open");
}

/*
 * The device goes while the kernel reads the argument, for which it waits until a page of that
 * has come.
 */
static struct {
	int fd, result;
	struct ivshmem_dmabuf *argument;
} late;

static void *export_late(void *unused)
{
	late.result = result(ioctl(late.fd, IVSHMEM_IOC_DMABUF, late.argument));
	return unused;
}

static void test_late(void)
{
	static const struct ivshmem_dmabuf whole = { .size = SIZE };
	struct uffdio_api api = { .api = UFFD_API };
	int faults = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_register missing = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg message;
	struct uffdio_copy copy;
	pthread_t thread;
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *bytes = calloc(1, PAGE);

	tap_about("late");
	missing.range = (struct uffdio_range){ (uintptr_t)page, PAGE };
	if (faults < 0 || ioctl(faults, UFFDIO_API, &api) ||
	    ioctl(faults, UFFDIO_REGISTER, &missing)) {
		tap_skip("the device goes on the way", "this kernel has no userfaultfd");
		return;
	}
	late.fd = dev_open();
	late.argument = (struct ivshmem_dmabuf *)page;
	pthread_create(&thread, NULL, export_late, NULL);
	if (read(faults, &message, sizeof(message)) != sizeof(message))
		tap_bail("userfaultfd: %s", strerror(errno));
	device_remove();
	memcpy(bytes, &whole, sizeof(whole));
	copy = (struct uffdio_copy){ .dst = (uintptr_t)page, .src = (uintptr_t)bytes, .len = PAGE };
	if (ioctl(faults, UFFDIO_COPY, &copy))
		tap_bail("UFFDIO_COPY: %s", strerror(errno));
	pthread_join(thread, NULL);
	tap_eq(late.result, -ENODEV, "ENODEV if the device goes while the argument is read");
	close(late.fd);
	close(faults);
	munmap(page, PAGE);
	free(bytes);
	device_add();
}

int main(void)
{
	bool possible = hardware_exists();
	int fd = dev_open();

	guard();
	if (rig_over("pci"))
		snprintf(pci, sizeof(pci), "%s", dev_pci(0));
	address = dev_window_address();
	tap_eq(!!(dev_info(fd).features & IVSHMEM_FEATURE_DMABUF), possible,
	       "INFO has the feature if the kernel has dma-bufs");
	if (!possible) {
		tap_eq(buffer_export(fd, 0, PAGE), -EOPNOTSUPP, "EOPNOTSUPP otherwise");
		tap_skip("dma-bufs", "this kernel has none");
		return tap_done();
	}
	tap_eq(hardware_load(), 0, "the importer loads");
	test_arguments(fd);
	test_limit(fd);
	refused(ioctl(fd, _IO('u', 0x44)), ENOTTY, "no ioctls of kvmfr by default");
	close(fd);
	test_mapping();
	test_import("static", IMPORTER_STATIC);
	test_import("dynamic", IMPORTER_DYNAMIC);
	test_large();
	test_end("removal", device_remove, device_add);
	test_end("unbind", driver_unbind, driver_bind);
	if (*pci) {
		test_end("reset", device_reset, nothing);
		test_reset_then_removal();
	}
	test_late();
	test_race();
	tap_about("");
	tap_eq(hardware_unload(), 0, "the importer can be unloaded");
	device_remove();
	if (!*pci) {
		rmdir(CONFIG "1");
		tap_eq(system("rmmod ivshmem_soft"), 0, "so can the module of the device");
	}
	module_clean();
	return tap_done();
}
