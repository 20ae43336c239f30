// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device is removed while its pages are pinned in every way: removal waits for none of
 * them. Mappings end in SIGBUS, another device can take its place, and pinned pages have
 * their bytes until they are given back. The new software device has other pages, while a
 * PCI device or window comes back with the same memory.
 */
/*
 * rig: devices=plain size=4M over=pci,window,memory
 * rig: modules=configfs,virtio_pci?,virtio_blk? mem=1024 timeout=600
 * rig: qemu='-drive if=virtio,snapshot=on,driver=raw,file.driver=null-co,file.size=64M,bps=20000000'
 */
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guarded.h"
#include "module.h"
#include "pattern.h"
#include "uring.h"

#define SIZE (4UL << 20)
#define PART (64UL << 10)	/* what a pipe holds */
#define CONFIG "/sys/kernel/config/ivshmem/"
#define FIRST CONFIG "ivshmem0/"	/* what the rig has made */
#define PCI "0000:00:10.0"
#define DISK "/dev/vda"

static char *map;		/* of the device that is removed */
static char bytes[SIZE];	/* what was in it */

static char address[32];	/* of a window */

static void make_soft(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), CONFIG "%s", name);
	if (mkdir(path, 0755))
		tap_bail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), CONFIG "%s/size", name);
	file_write(path, "4M");
	snprintf(path, sizeof(path), CONFIG "%s/address", name);
	if (*address)
		file_write(path, address);
	snprintf(path, sizeof(path), CONFIG "%s/enable", name);
	file_write(path, "1");
}

/* A PCI device is found on the bus again, or only bound. */
static void make(const char *name)
{
	if (!rig_over("pci"))
		make_soft(name);
	else if (access(PCI_DEVICES PCI, F_OK))
		file_write("/sys/bus/pci/rescan", "1");
	else
		file_write(PCI_DRIVER "bind", PCI);
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
}

/* It is unbound, or, each second time, it leaves the bus. */
static void destroy(const char *name)
{
	static unsigned int times;
	char path[80];
	int ret;

	snprintf(path, sizeof(path), CONFIG "%s", name);
	if (!rig_over("pci"))
		ret = result(rmdir(path));
	else if (times++ % 2)
		ret = file_write(PCI_DEVICES PCI "/remove", "1");
	else
		ret = file_write(PCI_DRIVER "unbind", PCI);
	if (ret)
		tap_bail("the device cannot be removed: %s", strerror(-ret));
}

/* The device of the rig gives its place to those of the test. */
static void take_place(void)
{
	FILE *file = fopen(FIRST "address", "r");

	if (rig_over("pci")) {
		file_write(PCI_DRIVER "unbind", PCI);
		return;
	}
	if (rig_over("window") && (!file || fscanf(file, "%31s", address) != 1))
		tap_bail("the window has no address");
	if (file)
		fclose(file);
	rmdir(CONFIG "ivshmem0");
}

/*
 * Ways to pin pages: pin() gives false where the kernel cannot, kept() looks after removal
 * whether the bytes are still there and gives the pages back.
 */

static int ends[2];

static bool pipe_pin(void)
{
	struct iovec part = { map, PART };

	return !pipe(ends) && vmsplice(ends[1], &part, 1, 0) == (ssize_t)PART;
}

static bool pipe_kept(void)
{
	static char there[PART];
	size_t done = 0;
	ssize_t n;

	while (done < PART && (n = read(ends[0], there + done, PART - done)) > 0)
		done += n;
	close(ends[0]);
	close(ends[1]);
	return done == PART && !memcmp(there, bytes, PART);
}

static struct uring ring;

static bool uring_pin(void)
{
	const struct iovec all = { map, SIZE };

	if (uring_open(&ring, 0, 0))
		return false;
	if (!uring_register(&ring, &all))
		return true;
	uring_close(&ring);
	return false;
}

static bool uring_kept(void)
{
	static char there[SIZE];
	int file = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int ret = uring_do(&ring, uring_request(IORING_OP_WRITE_FIXED, file, map, SIZE, 0));
	bool same = ret == (int)SIZE && pread(file, there, SIZE, 0) == (ssize_t)SIZE &&
		    !memcmp(there, bytes, SIZE);

	uring_close(&ring);
	close(file);
	unlink("/tmp/file");
	return same;
}

static pthread_t writer;
static int disk;
static unsigned int flights;	/* writes that were under way during removal */

/* Requests that a disk has not answered yet. */
static unsigned int in_flight(void)
{
	FILE *file = fopen("/sys/block/vda/inflight", "r");
	unsigned int reads = 0, writes = 0;

	if (!file || fscanf(file, "%u %u", &reads, &writes) != 2)
		writes = 0;
	if (file)
		fclose(file);
	return writes;
}

static void *write_disk(void *unused)
{
	(void)unused;
	return (void *)pwrite(disk, map, SIZE, 0);
}

static bool direct_pin(void)
{
	int64_t end = now_ns() + SECOND;

	disk = open(DISK, O_RDWR | O_DIRECT);
	if (disk < 0 || pthread_create(&writer, NULL, write_disk, NULL))
		return false;
	while (!in_flight() && now_ns() < end)
		;
	return true;
}

/* It has written all, or up to a page that it had not pinned yet. */
static bool direct_kept(void)
{
	static char there[SIZE] __attribute__((aligned(4096)));
	void *done;

	pthread_join(writer, &done);
	if (pread(disk, there, SIZE, 0) != (ssize_t)SIZE)
		return false;
	close(disk);
	if ((ssize_t)done < 0)
		return (ssize_t)done == -1;
	return !memcmp(there, bytes, (size_t)done);
}

static bool mlock_pin(void)
{
	return !mlock(map, SIZE);
}

static bool mlock_kept(void)
{
	return !munlock(map, SIZE);
}

static pid_t child;
static int told[2];

/* A child has the mapping as well; it must see the end, too. */
static bool fork_pin(void)
{
	char byte;

	if (pipe(told))
		return false;
	child = fork();
	if (!child) {
		close(told[1]);
		touch(map, false);
		if (read(told[0], &byte, 1))
			_exit(1);
		_exit(touch(map, false) != SIGBUS || touch(map + SIZE - 1, true) != SIGBUS);
	}
	close(told[0]);
	return child > 0;
}

static bool fork_kept(void)
{
	int status = -1;

	close(told[1]);
	return waitpid(child, &status, 0) == child && !status;
}

/* A debugger reads and writes the mapping of a process that it has stopped. */
static bool ptrace_pin(void)
{
	int status;

	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	       !memcmp(&(long){ ptrace(PTRACE_PEEKDATA, child, map, NULL) }, bytes, sizeof(long));
}

static bool ptrace_kept(void)
{
	bool refused = ptrace(PTRACE_PEEKDATA, child, map, NULL) == -1 &&
		       ptrace(PTRACE_POKEDATA, child, map, 1) == -1;

	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == child && refused;
}

/* Another process reads the mapping all the time. */
static bool remote_pin(void)
{
	static char there[SIZE];
	struct iovec here = { there, SIZE }, remote = { map, SIZE };
	pid_t parent = getpid();
	char byte;

	if (pipe(told))
		return false;
	child = fork();
	if (!child) {
		bool first = true;
		ssize_t n;

		while ((n = process_vm_readv(parent, &here, 1, &remote, 1, 0)) == (ssize_t)SIZE) {
			if (first && write(told[1], "", 1) != 1)
				_exit(1);
			first = false;
			if (memcmp(there, bytes, SIZE))
				_exit(2);
		}
		_exit(first);
	}
	close(told[1]);
	return read(told[0], &byte, 1) == 1;
}

static bool remote_kept(void)
{
	int status = -1;

	close(told[0]);
	return waitpid(child, &status, 0) == child && !status;
}

static const struct pin {
	const char *name;
	bool (*pin)(void);
	bool (*kept)(void);
} pins[] = {
	{ "a pipe", pipe_pin, pipe_kept },
	{ "buffers of io_uring", uring_pin, uring_kept },
	{ "O_DIRECT in flight", direct_pin, direct_kept },
	{ "mlock", mlock_pin, mlock_kept },
	{ "a child", fork_pin, fork_kept },
	{ "a debugger", ptrace_pin, ptrace_kept },
	{ "process_vm_readv", remote_pin, remote_kept },
};

/*
 * Does the device that has come meanwhile have what it should: zeros, or the memory that the
 * old one had? Then nothing else is written there: who has pinned pages would see it.
 */
static bool successor_works(unsigned int number)
{
	static const char zeros[SIZE];
	bool same = !rig_over("memory");
	int fd = dev_open();
	char *p = dev_map(fd, SIZE);
	bool good = !memcmp(p, same ? bytes : zeros, SIZE) &&
		    dev_has_pages(fd);

	number += !same;
	pattern_write(p, SIZE, number);
	good = good && pattern_matches(p, SIZE, number);
	munmap(p, SIZE);
	close(fd);
	return good;
}

/* What was wrong in one cycle. */
struct wrongs {
	int mapped, spoilt, kept;
};

static bool cycle(const struct pin *way, unsigned int number, struct wrongs *wrong)
{
	int fd;

	make("old");
	fd = dev_open();
	map = dev_map(fd, SIZE);
	pattern_write(bytes, SIZE, number);
	memcpy(map, bytes, SIZE);
	if (!way->pin()) {
		munmap(map, SIZE);
		close(fd);
		destroy("old");
		return false;
	}
	if (way->pin == direct_pin)
		flights += in_flight() > 0;
	destroy("old");
	wrong->mapped += touch(map, true) != SIGBUS || touch(map + SIZE - 1, false) != SIGBUS;
	make("new");
	wrong->spoilt += !successor_works(number);
	wrong->kept += !way->kept();
	munmap(map, SIZE);
	close(fd);
	destroy("new");
	return true;
}

static void test_pin(const struct pin *way, int cycles)
{
	struct wrongs wrong = { };

	tap_about(way->name);
	for (int i = 0; i < cycles; i++)
		if (!cycle(way, i, &wrong)) {
			tap_skip("pages pinned during removal", "this kernel has no such thing");
			return;
		}
	tap_eq(wrong.mapped, 0, "after removal a mapping ends in SIGBUS, %d times", cycles);
	tap_eq(wrong.spoilt, 0, "a device that comes meanwhile has its memory, and works");
	tap_eq(wrong.kept, 0, "who has the pages sees what he should");
	if (way->pin == direct_pin)
		tap_ok(flights > 0, "it was under way in %u of them", flights);
}

/* Pin pages of a new device in a pipe, without a mapping or open file left. */
static void pin_alone(void)
{
	int fd;

	make("old");
	fd = dev_open();
	map = dev_map(fd, SIZE);
	pattern_write(bytes, SIZE, 3);
	memcpy(map, bytes, SIZE);
	if (!pipe_pin())
		tap_bail("vmsplice: %s", strerror(errno));
	munmap(map, SIZE);
	close(fd);
}

/*
 * Pages that stay behind keep the module. If it goes first, with the device, they stay until
 * the machine is restarted: so this comes last.
 */
static void test_module(void)
{
	int64_t end;
	char *p;
	int fd;

	tap_about("the module");
	pin_alone();
	destroy("old");
	tap_eq(module_unload(), -EAGAIN, "it cannot be unloaded while pages are left behind");
	tap_ok(pipe_kept(), "who has the pages sees what he should");
	end = now_ns() + 10 * SECOND;
	while (module_references() && now_ns() < end)
		sleep_ms(20);
	tap_eq(module_references(), 0, "it is free when they have come back");

	pin_alone();
	tap_eq(module_unload(), 0, "it can be unloaded with a device whose pages are pinned");
	tap_ok(rig_try("expect-log pages at 0x[0-9a-f]* are still pinned"), "the log tells");
	tap_eq(module_load(), 0, "it can be loaded again");
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
	tap_ok(rig_try("expect-log no struct pages for this region: .* some already"),
	       "the device has to do without pages, as the log tells");
	fd = dev_open();
	tap_ok(!dev_has_pages(fd), "INFO says so, too");
	p = dev_map(fd, SIZE);
	tap_ok(!memcmp(p, bytes, SIZE), "it has its memory");
	tap_ok(pipe_kept(), "who has the pages sees what he should, even now");
	munmap(p, SIZE);
	close(fd);
}

int main(void)
{
	const int cycles = rig_cycles(rig_over("memory") ? 10 : 5);
	long before;
	int fd;

	guard();
	fd = dev_open();
	if (!dev_pages(fd, "pinned pages"))
		return tap_done();
	close(fd);
	take_place();
	/* What the test and the kernel take the first time, they keep. */
	for (size_t i = 0; i < sizeof(pins) / sizeof(*pins); i++)
		cycle(&pins[i], 0, &(struct wrongs){ });
	before = meminfo_kb("MemFree");
	for (size_t i = 0; i < sizeof(pins) / sizeof(*pins); i++)
		test_pin(&pins[i], cycles);
	tap_about("");
	tap_ok(meminfo_kb("MemFree") > before - (32 << 10),
	       "all memory is free again: %ld of %ld kB", meminfo_kb("MemFree"), before);
	if (rig_over("pci"))
		test_module();
	else
		tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded");
	tap_about("");
	module_clean();
	return tap_done();
}
