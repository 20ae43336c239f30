// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every operation (loading the modules, probe, open, mmap...) is repeated, and the first,
 * second, third... allocation that the kernel makes for it fails, until the operation ends
 * before that many. An operation that fails must free what it has, so that it works right
 * afterwards, and at the end nothing may be left. Once a configfs directory with a long
 * name had no name after such a failure and could never be enabled.
 */
/* rig: arches=amd64 devices=doorbell vectors=4 size=4M mem=384 insmod=no */
/* rig: modules=configfs append=memmap=16M$0xa000000 alone=yes timeout=900 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../importer/importer.h"
#include "failures.h"
#include "leaks.h"
#include "peers.h"

#define DEVICE "0000:00:10.0"
#define CONFIG "/sys/kernel/config/ivshmem/"
#define CLASS "/sys/class/ivshmem/"
#define RESERVED "0xa000000"
#define VECTORS 4
#define SIZE (4 << 20)
#define LAST 100

static int fd = -1, made = -1, bind_fd, enable_fd, event_fd, region_fd, buffer_fd;
static void *map;

static int insert(const char *path, const char *parameters)
{
	int file = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (file < 0)
		return -errno;
	ret = result(syscall(SYS_finit_module, file, parameters, 0));
	close(file);
	return ret;
}

static void unload(const char *name)
{
	if (syscall(SYS_delete_module, name, O_NONBLOCK))
		tap_bail("cannot unload %s: %s", name, strerror(errno));
}

/* Where the kernel has no memory for struct pages of devices, it crashes by itself. */
static int core_load(void)
{
	return insert("/lib/ivshmem.ko", "pages=no");
}

/* If the kernel has no memory for the file "bind", it goes on without it and logs that. */
static bool core_check(void)
{
	return !access(CLASS, F_OK) && !access(PCI_DRIVER, F_OK);
}

static void core_unload(void)
{
	unload("ivshmem");
}

static void soft_unload(void)
{
	unload("ivshmem_soft");
}

static bool soft_check(void)
{
	return !access("/dev/ivshmem1", F_OK) && !access("/dev/ivshmem2", F_OK);
}

/* Is this in one of the log messages that were not read yet? */
static bool was_said(int kmsg, const char *what)
{
	char message[2048];
	bool said = false;
	ssize_t length;

	while ((length = read(kmsg, message, sizeof(message) - 1)) > 0) {
		message[length] = '\0';
		said = said || strstr(message, what);
	}
	return said;
}

/* Do something that succeeds though it is incomplete, and says so in the log: -ENOMEM. */
static int with_log(int (*run)(void), const char *incomplete)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC), ret;

	lseek(kmsg, 0, SEEK_END);
	ret = run();
	if (!ret && was_said(kmsg, incomplete))
		ret = -ENOMEM;
	close(kmsg);
	return ret;
}

static int insert_soft(void)
{
	return insert("/lib/ivshmem_soft.ko",
		      "devices=a:64K@" RESERVED ":doorbell=0xa020000,b:64K:vectors=2");
}

/*
 * Once nothing can make the module's init fail, a device without a node is left out and
 * the log says so. That is a clean failure as well.
 */
static int soft_load(void)
{
	int ret = with_log(insert_soft, "cannot register device: -12");

	if (ret == -ENOMEM && !access("/sys/module/ivshmem_soft", F_OK))
		soft_unload();
	return ret;
}

static int write_fd(int to, const char *text)
{
	return result(write(to, text, strlen(text))) < 0 ? -errno : 0;
}

static int probe(void)
{
	return write_fd(bind_fd, DEVICE);
}

/*
 * Does the device do everything? It may have fewer vectors, if the kernel had no memory for
 * an interrupt and the log says so.
 */
static bool works(const char *path, unsigned int vectors)
{
	int file = dev_open_at(path, O_RDWR);
	struct ivshmem_info info = dev_info(file);
	bool good = info.vectors <= vectors;
	size_t size = dev_size(file);
	volatile char *p = dev_map(file, size);

	p[0] = p[size - 1] = 1;
	munmap((void *)p, size);
	for (unsigned int v = 0; v < info.vectors; v++)
		good = good && !dev_ring(file, info.id, v) &&
		       dev_wait_vector(file, v, 60 * SECOND) > 0;
	close(file);
	return good;
}

static bool probe_check(void)
{
	return works(RIG_DEVICE, VECTORS);
}

static void unbind(void)
{
	if (file_write(PCI_DRIVER "unbind", DEVICE))
		tap_bail("the device cannot be unbound");
}

static int file_open(void)
{
	made = open(RIG_DEVICE, O_RDWR | O_CLOEXEC);
	return result(made) < 0 ? -errno : 0;
}

static int soft_open(void)
{
	made = open("/dev/ivshmem1", O_RDWR | O_CLOEXEC);
	return result(made) < 0 ? -errno : 0;
}

static bool open_check(void)
{
	return dev_info(made).vectors == VECTORS;
}

static void close_made(void)
{
	close(made);
}

/* Map and touch both ends; the kernel faults again if it finds no page table. */
static int map_file(int file, off_t offset, size_t length)
{
	volatile char *p;

	map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset);
	if (map == MAP_FAILED)
		return -errno;
	p = map;
	(void)p[0];
	(void)p[length - 1];
	return 0;
}

static int map_at(off_t offset, size_t length)
{
	return map_file(fd, offset, length);
}

static int map_page(void)
{
	return map_at(PAGE, PAGE);
}

static void unmap_page(void)
{
	munmap(map, PAGE);
}

static int map_all(void)
{
	return map_at(0, SIZE);
}

static void unmap_all(void)
{
	munmap(map, SIZE);
}

static int map_region(void)
{
	return map_file(region_fd, 0, SIZE);
}

static int map_registers(void)
{
	return map_at(dev_region(fd, IVSHMEM_REGION_REGISTERS).offset, PAGE);
}

static int fork_mapped(void)
{
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	return 0;
}

/* Move a mapping between two unused addresses. */
static void *places[2];

static int move_mapping(void)
{
	void *target = places[map == places[0]];
	void *moved = mremap(map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target);

	if (moved == MAP_FAILED)
		return -errno;
	map = moved;
	return 0;
}

static int export(void)
{
	struct ivshmem_dmabuf d = { .size = SIZE };

	made = result(ioctl(fd, IVSHMEM_IOC_DMABUF, &d));
	return made < 0 ? made : 0;
}

static int map_buffer(void)
{
	return map_file(buffer_fd, 0, SIZE);
}

static int import(void)
{
	int ret;

	made = open(IMPORTER, O_RDWR | O_CLOEXEC);
	ret = result(made);
	if (ret >= 0)
		ret = result(ioctl(made, IMPORTER_STATIC, buffer_fd));
	if (ret < 0 && made >= 0)
		close(made);
	return ret;
}

static int ioctl_info(void)
{
	struct ivshmem_info info;

	return result(ioctl(fd, IVSHMEM_IOC_INFO, &info));
}

static int ioctl_ring(void)
{
	return dev_ring(fd, 0, 0);
}

static int ioctl_wait(void)
{
	int ret = dev_ring(fd, 0, 1);

	return ret ? ret : dev_wait_vector(fd, 1, 60 * SECOND) > 0 ? 0 : -EIO;
}

static int ioctl_wait_out(void)
{
	const uint64_t set = 0xf;
	struct ivshmem_wait w = dev_set_wait(&set, 1000000);
	int ret;

	while ((ret = dev_wait(fd, &w)) == 0)
		;
	return ret == -ETIMEDOUT ? 0 : ret;
}

static int ioctl_ring_wait(void)
{
	struct ivshmem_wait w = { .vector = 2, .timeout_ns = 60 * SECOND, .spin_ns = 1000 };

	return dev_ring_wait(fd, 0, 2, &w);
}

static int ioctl_eventfd(void)
{
	return dev_eventfd(fd, 3, event_fd);
}

static bool eventfd_check(void)
{
	struct pollfd p = { .fd = event_fd, .events = POLLIN };
	eventfd_t value;

	return !dev_ring_self(fd, 3) && poll(&p, 1, 60000) == 1 &&
	       !eventfd_read(event_fd, &value);
}

static void eventfd_undo(void)
{
	dev_eventfd(fd, 3, -1);
}

/* The label in the memory, and who is present by it. */
static struct ivshmem_label label;
static struct peers seen;

static int tell_label(void)
{
	return file_write(LABEL_RESCAN, "1");
}

/* Without memory for its slots the device goes on without peers. */
static int rescan(void)
{
	return with_log(tell_label, "peers are not announced: there is no memory");
}

static bool rescan_check(void)
{
	return peers_become(fd, &seen, 1) && !access("/dev/ivshmem0p1", F_OK);
}

static void forget_label(void)
{
	memset(map, 0, label.data_offset);
	if (tell_label())
		tap_bail("the label does not go");
	label_store(map, &label);
}

static int ioctl_peers(void)
{
	return peers_get(fd, &seen, false, 0);
}

/* Of the first generation there is always news. */
static int ioctl_peers_wait(void)
{
	seen.generation = 0;
	return peers_get(fd, &seen, true, SECOND);
}

static int ioctl_wait_news(void)
{
	struct ivshmem_wait w = {
		.flags = IVSHMEM_WAIT_NEWS, .vector = 1, .timeout_ns = 60 * SECOND,
	};

	return dev_ring_wait(fd, 0, 1, &w);
}

/* Polled doorbells are counted where there is no doorbell id; the own one only arrives. */
static int ioctl_ring_slot(void)
{
	int ret = dev_ring(fd, 0xff00 + seen.at[0].slot, 1);

	return ret ? ret : dev_wait_vector(fd, 1, 60 * SECOND) > 0 ? 0 : -EIO;
}

static char buffer[SIZE];

static int all_or_error(ssize_t done, size_t wanted)
{
	return done < 0 ? -errno : (size_t)done == wanted ? 0 : -EIO;
}

static int read_page(void)
{
	return all_or_error(pread(fd, buffer, 4096, 8192), 4096);
}

static int read_all(void)
{
	return all_or_error(pread(fd, buffer, SIZE, 0), SIZE);
}

static int write_page(void)
{
	return all_or_error(pwrite(fd, buffer, 4096, 8192), 4096);
}

static int write_all(void)
{
	return all_or_error(pwrite(fd, buffer, SIZE, 0), SIZE);
}

static int poll_it(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT ? 0 : -errno;
}

static int epoll_it(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	int epoll = epoll_create1(EPOLL_CLOEXEC), ret;

	if (epoll < 0)
		return -errno;
	ret = result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	if (!ret)
		ret = epoll_wait(epoll, &event, 1, 0) == 1 ? 0 : -EIO;
	close(epoll);
	return ret;
}

static int fasync_on(void)
{
	return result(fcntl(fd, F_SETFL, O_RDWR | O_ASYNC));
}

static void fasync_off(void)
{
	fcntl(fd, F_SETFL, O_RDWR);
}

static int read_attribute(void)
{
	int file = open(CLASS "ivshmem0/interrupts/0", O_RDONLY | O_CLOEXEC), ret;

	if (file < 0)
		return -errno;
	ret = read(file, buffer, 4096) > 1 ? 0 : -errno;
	close(file);
	return ret;
}

/* A name too long for struct config_item itself, so that configfs allocates memory for it. */
#define LONG CONFIG "name-of-more-than-twenty-letters"

static int make_directory(void)
{
	return result(mkdir(LONG, 0755));
}

static bool directory_check(void)
{
	return !file_write(LONG "/size", "4096") && !file_write(LONG "/enable", "1") &&
	       !access("/dev/ivshmem1", F_OK);
}

static void remove_directory(void)
{
	rmdir(LONG);
}

static int enable(void)
{
	int ret;

	/* configfs stores text at the file's position, so go back to the start. */
	lseek(enable_fd, 0, SEEK_SET);
	ret = write_fd(enable_fd, "1");
	return ret;
}

static bool memory_check(void)
{
	return works("/dev/ivshmem1", VECTORS);
}

static bool window_check(void)
{
	return works("/dev/ivshmem1", 0);
}

static void disable(void)
{
	lseek(enable_fd, 0, SEEK_SET);
	if (write_fd(enable_fd, "0"))
		tap_bail("cannot disable the device: %s", strerror(errno));
}

/* With no memory for the link from a driver to its module the kernel gives EINVAL. */
static const struct operation loading[] = {
	{ "load ivshmem", core_load, core_check, core_unload, true, LAST, EINVAL },
};

/* With no memory for a struct resource request_mem_region() fails: EBUSY. */
static const struct operation probing[] = {
	{ "probe", probe, probe_check, unbind, true, 0, EBUSY },
};

static const struct operation using[] = {
	{ "open", file_open, open_check, close_made, false, 0, 0 },
	{ "map a page", map_page, NULL, unmap_page, false, 0, 0 },
	{ "map all", map_all, NULL, unmap_all, false, 0, 0 },
	{ "map all through sysfs", map_region, NULL, unmap_all, false, 0, 0 },
	{ "map the registers", map_registers, NULL, unmap_page, false, 0, 0 },
	{ "INFO", ioctl_info, NULL, NULL, false, 0, 0 },
	{ "RING", ioctl_ring, NULL, NULL, false, 0, 0 },
	{ "WAIT", ioctl_wait, NULL, NULL, false, 0, 0 },
	{ "WAIT that times out", ioctl_wait_out, NULL, NULL, false, 0, 0 },
	{ "WAIT that rings", ioctl_ring_wait, NULL, NULL, false, 0, 0 },
	{ "EVENTFD", ioctl_eventfd, eventfd_check, eventfd_undo, false, 0, 0 },
	{ "read a page", read_page, NULL, NULL, false, 0, 0 },
	{ "read all", read_all, NULL, NULL, false, 0, 0 },
	{ "write a page", write_page, NULL, NULL, false, 0, 0 },
	{ "write all", write_all, NULL, NULL, false, 0, 0 },
	{ "poll", poll_it, NULL, NULL, false, 0, 0 },
	{ "epoll", epoll_it, NULL, NULL, false, 0, 0 },
	{ "O_ASYNC", fasync_on, NULL, fasync_off, false, 0, 0 },
	{ "read an attribute", read_attribute, NULL, NULL, false, 0, 0 },
};

static const struct operation mapped[] = {
	{ "move a mapping", move_mapping, NULL, NULL, false, 0, 0 },
	{ "fork with a mapping", fork_mapped, NULL, NULL, false, 0, 0 },
};

static const struct operation labelling[] = {
	{ "rescan of a label", rescan, rescan_check, forget_label, false, 0, 0 },
};

static const struct operation labelled[] = {
	{ "PEERS", ioctl_peers, NULL, NULL, false, 0, 0 },
	{ "PEERS that waits", ioctl_peers_wait, NULL, NULL, false, 0, 0 },
	{ "WAIT for peers", ioctl_wait_news, NULL, NULL, false, 0, 0 },
	{ "RING by slot", ioctl_ring_slot, NULL, NULL, false, 0, 0 },
};

static const struct operation soft_loading[] = {
	{ "load ivshmem_soft with two devices", soft_load, soft_check, soft_unload, true, LAST,
	  EINVAL },
};

static const struct operation configuring[] = {
	{ "make a directory in configfs", make_directory, directory_check, remove_directory,
	  false, 0, 0 },
};

static const struct operation memory[] = {
	{ "enable a software device", enable, memory_check, disable, false, 0, 0 },
};

static const struct operation window[] = {
	{ "enable a window", enable, window_check, disable, false, 0, EBUSY },
};

static const struct operation soft_using[] = {
	{ "open a software device", soft_open, open_check, close_made, false, 0, 0 },
	{ "map a software device", map_all, NULL, unmap_all, false, 0, 0 },
	{ "WAIT that rings, on a software device", ioctl_ring_wait, NULL, NULL, false, 0, 0 },
};

static const struct operation exporting[] = {
	{ "DMABUF", export, NULL, close_made, false, 0, 0 },
	{ "map a dma-buf", map_buffer, NULL, unmap_all, false, 0, 0 },
	{ "import a dma-buf", import, NULL, close_made, false, 0, 0 },
};

static void test_label(void)
{
	label = label_new(SIZE);
	label_add(&label, 1, "raw", "part", SIZE / 2, SIZE / 2, 0, VECTORS);
	label_add_peers(&label, 2, VECTORS);
	label_store(map, &label);
	FAIL_ALL(labelling);
	if (rescan() || !rescan_check())
		tap_bail("the label is refused");
	FAIL_ALL(labelled);
	forget_label();
}

static void test_device(void)
{
	bind_fd = dev_open_at(PCI_DRIVER "bind", O_WRONLY);
	unbind();
	FAIL_ALL(probing);
	if (probe())
		tap_bail("probe: %s", strerror(errno));
	close(bind_fd);
	fd = dev_open();
	region_fd = dev_open_at(CLASS "ivshmem0/region", O_RDWR);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	FAIL_ALL(using);
	if (map_all())
		tap_bail("mmap: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		places[i] = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FAIL_ALL(mapped);
	test_label();
	unmap_all();
	close(event_fd);
	close(region_fd);
	close(fd);
}

/* Describe a device in configfs, ready to be enabled. */
static void describe(const char *name, const char *attribute, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), CONFIG "%s", name);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), CONFIG "%s/size", name);
	file_write(path, "4M");
	snprintf(path, sizeof(path), CONFIG "%s/%s", name, attribute);
	if (file_write(path, value))
		tap_bail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), CONFIG "%s/enable", name);
	enable_fd = dev_open_at(path, O_WRONLY);
}

static void forget(const char *name)
{
	char path[128];

	close(enable_fd);
	snprintf(path, sizeof(path), CONFIG "%s", name);
	tap_eq(result(rmdir(path)), 0, "the directory %s can be removed", name);
}

static void test_export(void)
{
	if (export())
		tap_bail("DMABUF: %s", strerror(errno));
	buffer_fd = made;
	if (insert("/lib/ivshmem_importer.ko", ""))
		tap_bail("ivshmem_importer: %s", strerror(errno));
	FAIL_ALL(exporting);
	close(buffer_fd);
	unload("ivshmem_importer");
}

static void test_soft(void)
{
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	if (insert("/lib/ivshmem_soft.ko", ""))
		tap_bail("ivshmem_soft: %s", strerror(errno));
	FAIL_ALL(configuring);
	describe("memory", "vectors", "4");
	FAIL_ALL(memory);
	enable();
	fd = dev_open_at("/dev/ivshmem1", O_RDWR);
	FAIL_ALL(soft_using);
	if (dev_info(fd).features & IVSHMEM_FEATURE_DMABUF)
		test_export();
	close(fd);
	forget("memory");
	describe("window", "address", RESERVED);
	FAIL_ALL(window);
	forget("window");
}

static int descriptors(void)
{
	int open_ones = 0;

	for (int i = 0; i < 256; i++)
		open_ones += fcntl(i, F_GETFD) >= 0;
	return open_ones;
}

/* Loading a driver succeeds even if probe fails; the device is missing then. */
static void test_loading(void)
{
	soft_unload();
	FAIL_ALL(soft_loading);
	leaks_end("faults");
	core_unload();
	file_write(PCI_DEVICES DEVICE "/driver_override", "none");
	FAIL_ALL(loading);
	file_write(PCI_DEVICES DEVICE "/driver_override", "\n");
}

/*
 * The kernel itself complains of three things: it has no memory for vmalloc(), it removes
 * a file of an interrupt in /proc that it could not create, and a page fault that had no
 * memory for a page table returns to be repeated.
 */
static void expect_complaints(void)
{
	rig_try("expect-log vmalloc error:.* failed");
	rig_try("expect-log WARNING:.* remove_proc_entry");
	rig_try("expect-log VM_FAULT_OOM leaked out to the #PF handler");
}

int main(void)
{
	int before;

	if (access(FAIL_NTH, F_OK)) {
		tap_skip("allocations that fail", "the kernel cannot inject failures");
		return tap_done();
	}
	failures_begin();
	before = descriptors();
	leaks_begin();
	if (core_load())
		tap_bail("ivshmem: %s", strerror(errno));
	test_device();
	test_soft();
	tap_eq(descriptors(), before, "no file descriptor is leaked");
	test_loading();
	tap_eq(file_mentions("/proc/iomem", "ivshmem"), 0, "/proc/iomem has no claim left");
	expect_complaints();
	return tap_done();
}
