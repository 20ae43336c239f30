// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unbind and bind the device, unload and load the module. Unloading is refused while files
 * are open; otherwise everything works afterwards, and device numbers are reused.
 */
/* rig: devices=doorbell,plain vectors=4 size=4M timeout=300 */
#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "module.h"
#include "users.h"

#define DOORBELL "0000:00:10.0"
#define PLAIN "0000:00:11.0"
#define AUTOPROBE "/sys/bus/ivshmem/drivers_autoprobe"
#define OVERRIDE "/sys/bus/ivshmem/devices/ivshmem0/driver_override"
#define CHARDEV "/sys/bus/ivshmem/drivers/ivshmem_chardev/"
#define CHARDEV_NODE CHARDEV "ivshmem0"
#define CROWD 10000
#define AUDIENCE 500

/* O_ASYNC on a file whose device is unregistered sends a signal at once. */
static void test_late_sigio(int stale)
{
	const struct timespec patience = { .tv_sec = 20 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fcntl(stale, F_SETOWN, getpid());
	tap_eq(result(fcntl(stale, F_SETFL, O_RDWR | O_ASYNC)), 0, "O_ASYNC can still be set");
	tap_eq(sigtimedwait(&set, NULL, &patience), SIGIO,
	       "setting O_ASYNC on an unregistered device sends SIGIO at once");
}

static void test_rebind(void)
{
	int stale = dev_open(), fd;
	struct users users;

	tap_eq(dev_number_of(DOORBELL), 0, "the doorbell device is ivshmem0");
	users_start(&users, RIG_DEVICE);
	tap_eq(file_write(PCI_DRIVER "unbind", DOORBELL), 0, "unbind it while in use");
	tap_eq(users_end(&users), 0, "all users see its end");
	tap_eq(file_write(PCI_DRIVER "bind", DOORBELL), 0, "bind it again");
	tap_eq(dev_number_of(DOORBELL), 0, "it gets the same number, though a stale file is open");
	refused(ioctl(stale, IVSHMEM_IOC_INFO, &(struct ivshmem_info){}), ENODEV,
		"the stale file gives ENODEV");
	test_late_sigio(stale);
	tap_eq(close(stale), 0, "the stale file can be closed");
	fd = dev_open();
	tap_eq(dev_ring_self(fd, 3), 0, "ring after rebinding");
	if (dev_interrupts(fd, "the doorbell fires"))
		tap_eq(dev_wait_vector(fd, 3, 5 * SECOND), 1, "the doorbell fires");
	close(fd);
}

static void test_numbers(void)
{
	file_write(PCI_DRIVER "unbind", DOORBELL);
	file_write(PCI_DRIVER "unbind", PLAIN);
	tap_ok(access("/dev/ivshmem0", F_OK) && access("/dev/ivshmem1", F_OK),
	       "both nodes disappear");
	file_write(PCI_DRIVER "bind", PLAIN);
	file_write(PCI_DRIVER "bind", DOORBELL);
	tap_eq(dev_number_of(PLAIN), 0, "the device bound first gets the lowest number");
	tap_eq(dev_number_of(DOORBELL), 1, "the device bound second gets the next number");
	file_write(PCI_DRIVER "unbind", PLAIN);
	file_write(PCI_DRIVER "unbind", DOORBELL);
	file_write(PCI_DRIVER "bind", DOORBELL);
	file_write(PCI_DRIVER "bind", PLAIN);
	tap_eq(dev_number_of(DOORBELL), 0, "a free number is reused");
}

/* Drivers are bound by hand on the bus of nodes. The device must come all the same. */
static void test_by_hand(void)
{
	file_write(PCI_DRIVER "unbind", DOORBELL);
	tap_eq(file_write(AUTOPROBE, "0"), 0, "drivers of nodes are bound by hand");
	tap_eq(file_write(PCI_DRIVER "bind", DOORBELL), 0, "the device can be bound");
	tap_eq(dev_number_of(DOORBELL), 0, "and has its node");
	tap_eq(file_write(AUTOPROBE, "1"), 0, "drivers of nodes are bound by the kernel");
}

static volatile bool racing, over;

/* What a rule of udev may do as soon as the node is on the bus: keep all drivers away. */
static void *override_early(void *arg)
{
	(void)arg;
	while (!over) {
		int fd = racing ? open(OVERRIDE, O_WRONLY | O_CLOEXEC) : -1;

		if (fd < 0)
			continue;
		if (write(fd, "nobody", 6) == 6)
			racing = false;
		close(fd);
	}
	return NULL;
}

/* A node without a driver is no reason to do without the device. */
static void test_override(void)
{
	int cycles = rig_cycles(50), failed = 0, kept = 0, lost = 0, audience[AUDIENCE];
	const struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	pthread_t thread;

	/* The kernel tells all of them of the node before it looks for a driver. */
	for (int i = 0; i < AUDIENCE; i++) {
		audience[i] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
		if (bind(audience[i], (const struct sockaddr *)&all, sizeof(all)))
			tap_bail("no uevents: %s", strerror(errno));
	}
	pthread_create(&thread, NULL, override_early, NULL);
	for (int i = 0; i < cycles; i++) {
		file_write(PCI_DRIVER "unbind", DOORBELL);
		racing = true;
		failed += file_write(PCI_DRIVER "bind", DOORBELL) != 0;
		while (racing && !access(OVERRIDE, F_OK))
			;
		racing = false;
		file_write(OVERRIDE, "\n");
		if (!access(CHARDEV_NODE, F_OK))
			continue;
		kept++;
		lost += file_write(CHARDEV "bind", "ivshmem0") != 0;
	}
	over = true;
	pthread_join(thread, NULL);
	for (int i = 0; i < AUDIENCE; i++)
		close(audience[i]);
	tap_eq(failed, 0, "the device comes each of %d times", cycles);
	if (!kept)
		tap_skip("an override before any driver", "it always came later");
	tap_eq(lost, 0, "and can be bound afterwards");
	close(dev_open());
}

static void test_unload(void)
{
	int fd = dev_open(), other;
	uint32_t vectors = dev_info(fd).vectors;
	void *p;

	tap_eq(module_unload(), -EWOULDBLOCK, "the module cannot be unloaded while a file is open");
	p = dev_map(fd, PAGE);
	close(fd);
	tap_eq(module_unload(), -EWOULDBLOCK, "nor while there is a mapping");
	munmap(p, PAGE);
	tap_eq(module_unload(), 0, "the module can be unloaded afterwards");
	tap_ok(access("/sys/class/ivshmem", F_OK), "its class disappears with it");
	for (int i = 0; i < 20; i++)
		if (module_load() || module_unload())
			tap_bail("load or unload failed in round %d", i);
	tap_eq(module_load(), 0, "the module can be loaded again and again");
	fd = dev_open();
	other = dev_open_at("/dev/ivshmem1", O_RDWR);
	tap_ok(dev_info(fd).features & IVSHMEM_FEATURE_DOORBELL, "the doorbell device is there again");
	tap_eq(dev_info(fd).vectors, vectors, "with as many vectors");
	tap_eq(dev_info(other).features &
	       ~(uint64_t)(IVSHMEM_FEATURE_RESET | IVSHMEM_FEATURE_PAGES | IVSHMEM_FEATURE_DMABUF),
	       0, "so is the plain one");
	close(fd);
	close(other);
}

/* A mapping through a second node of the device, as containers have, is zapped too. */
static void test_other_node(void)
{
	struct stat st;
	volatile char *p;
	int fd;

	stat(RIG_DEVICE, &st);
	mknod("/tmp/node", S_IFCHR | 0600, st.st_rdev);
	fd = dev_open_at("/tmp/node", O_RDWR);
	p = dev_map(fd, PAGE);
	p[0] = 1;
	file_write(PCI_DRIVER "unbind", DOORBELL);
	tap_ok(!user_touch(p, PAGE, true), "a mapping through another node is zapped too");
	file_write(PCI_DRIVER "bind", DOORBELL);
	munmap((void *)p, PAGE);
	close(fd);
	unlink("/tmp/node");
}

/* 10,000 open files, each with a mapping: all must see the end of the device. */
static void test_crowd(void)
{
	const struct rlimit many = { CROWD + 100, CROWD + 100 };
	static volatile char *maps[CROWD];
	static int fds[CROWD];
	int mapped = 0, alive = 0;

	if (setrlimit(RLIMIT_NOFILE, &many))
		tap_bail("setrlimit: %s", strerror(errno));
	for (int i = 0; i < CROWD; i++) {
		fds[i] = dev_open();
		maps[i] = dev_map_at(fds[i], i % 1024 * PAGE, PAGE);
		mapped += user_touch(maps[i], PAGE, true);
	}
	tap_eq(mapped, CROWD, "%d files, each with a mapping", CROWD);
	tap_eq(file_write(PCI_DRIVER "unbind", DOORBELL), 0, "unbind their device");
	for (int i = 0; i < CROWD; i++) {
		if (user_touch(maps[i], PAGE, true) || !user_gone(fds[i])) {
			if (!alive)
				tap_note("file %d does not see the end", i);
			alive++;
		}
		munmap((void *)maps[i], PAGE);
		close(fds[i]);
	}
	tap_eq(alive, 0, "every file and mapping sees the end");
	tap_eq(file_write(PCI_DRIVER "bind", DOORBELL), 0, "bind it again");
}

int main(void)
{
	guard();
	test_rebind();
	test_numbers();
	test_by_hand();
	test_override();
	test_unload();
	test_other_node();
	test_crowd();
	module_clean();
	return tap_done();
}
