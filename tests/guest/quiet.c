// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer rings without a pause. While nobody has the device open, no interrupt comes in:
 * after the last file is closed, over unbinding and binding, with a stale file. As soon as
 * it is open, they do, each of many times. What was rung meanwhile is not lost.
 */
/* rig: guests=2 devices=doorbell vectors=4 size=1M timeout=300 */
#include <arpa/inet.h>

#include "dev.h"

#define PCI "0000:00:10.0"
#define NODE_DRIVER "/sys/bus/ivshmem/drivers/ivshmem_chardev/"
#define TABLE "/sys/bus/ivshmem/devices/ivshmem0/partitions"
#define PARTITION "/dev/ivshmem0p1"
#define VECTORS 4
#define ROUNDS 200

static struct shared {
	volatile uint32_t id;		/* of the quiet guest */
	volatile uint32_t rings;
	volatile uint32_t over;
} *shared;

/* The attacker; leaves the device open. */
static void attack(int fd)
{
	volatile uint32_t *regs = dev_map_registers(fd);

	rig_ask("barrier storm");
	while (!shared->over) {
		regs[IVSHMEM_REG_DOORBELL / 4] =
			IVSHMEM_DOORBELL(shared->id, shared->rings % VECTORS);
		shared->rings++;
	}
	rig_ask("barrier calm");
	rig_ask("barrier closed");
	for (int i = 0; i < 3; i++)
		dev_ring(fd, shared->id, 2);
	rig_ask("barrier rang");
	tap_ok(shared->rings, "rang %u times", shared->rings);
}

/* Wait for @times more rings, as the host sees them. */
static void see_rings(uint32_t times)
{
	uint32_t first = 0, now;

	for (int i = 0;; i++, sleep_ms(10)) {
		now = ntohl(strtoul(rig_ask("memory-read %zu 4",
					    offsetof(struct shared, rings)), NULL, 16));
		if (!i)
			first = now;
		if (now - first >= times)
			return;
	}
}

/* What /proc/interrupts says about a vector; of all without one. */
static unsigned long interrupts(int vector)
{
	FILE *file = fopen("/proc/interrupts", "r");
	unsigned long sum = 0, count;
	char line[512], name[32];
	int step;

	snprintf(name, sizeof(name), vector < 0 ? "ivshmem-v" : "ivshmem-v%d@", vector);
	while (fgets(line, sizeof(line), file)) {
		char *p = strchr(line, ':');

		if (!strstr(line, name))
			continue;
		for (p++; sscanf(p, "%lu%n", &count, &step) == 1; p += step)
			sum += count;
	}
	fclose(file);
	return sum;
}

static void is_quiet(const char *when)
{
	unsigned long before;

	see_rings(100);
	before = interrupts(-1);
	see_rings(1000);
	tap_eq(interrupts(-1) - before, 0, "%s: a thousand rings, and no interrupt", when);
}

static void reopen(void)
{
	int deaf = 0, fd;

	for (int i = 0; i < ROUNDS; i++) {
		fd = dev_open();
		deaf += dev_wait_vector(fd, i % VECTORS, 20 * SECOND) <= 0;
		close(fd);
	}
	tap_eq(deaf, 0, "each of %d times that it is open, interrupts come", ROUNDS);
}

/* The device, or only its node. */
static void rebind(const char *driver, const char *name)
{
	int stale = dev_open(), other = dev_open(), fd;
	char path[64];

	tap_note("%s", name);
	snprintf(path, sizeof(path), "%sunbind", driver);
	tap_eq(file_write(path, name), 0, "unbind it while open");
	is_quiet("with stale files only");
	close(other);
	is_quiet("after one of them was closed");
	snprintf(path, sizeof(path), "%sbind", driver);
	tap_eq(file_write(path, name), 0, "bind it");
	is_quiet("with a stale file");
	fd = dev_open();
	close(stale);
	dev_wait_vector(fd, 1, 0);
	tap_ok(dev_wait_vector(fd, 1, 20 * SECOND) > 0, "to close the stale one changes nothing");
	close(fd);
	is_quiet("after it was bound");
}

/* A partition that ends while it is open. */
static void end_partition(void)
{
	int fd;

	tap_eq(file_write(TABLE, "part:512K:256K:0:2"), 0, "a partition");
	tap_ok(file_comes(PARTITION, true), "has a node");
	fd = dev_open_at(PARTITION, O_RDWR);
	tap_eq(file_write(TABLE, "\n"), 0, "end it while it is open");
	is_quiet("with its file");
	close(fd);
	is_quiet("after that was closed");
}

static void be_quiet(int fd)
{
	unsigned long before, after = 0;

	close(fd);
	rig_ask("barrier storm");
	is_quiet("at first");
	reopen();
	is_quiet("after all that");
	rebind(PCI_DRIVER, PCI);
	rebind(NODE_DRIVER, "ivshmem0");
	end_partition();

	fd = dev_open();
	shared = dev_map(fd, 1 << 20);
	shared->over = 1;
	rig_ask("barrier calm");
	munmap(shared, 1 << 20);
	sleep_ms(200);	/* the last ones come in */
	close(fd);
	before = interrupts(2);
	rig_ask("barrier closed");
	rig_ask("barrier rang");
	sleep_ms(200);
	tap_eq(interrupts(2) - before, 0, "three rings, and no interrupt");
	fd = dev_open();
	for (int i = 0; i < 1000 && !after; i++, sleep_ms(10))
		after = interrupts(2) - before;
	tap_ok(after >= 1 && after <= 3, "it comes when the device is opened (%lu)", after);
	dev_wait_vector(fd, 2, 0);
	tap_eq(dev_ring_self(fd, 2), 0, "ring again");
	tap_ok(dev_wait_vector(fd, 2, 20 * SECOND) > 0, "and be woken");
}

int main(void)
{
	int fd = dev_open();

	if (!dev_interrupts(fd, "interrupts"))
		return tap_done();
	shared = dev_map(fd, 1 << 20);
	if (rig_guest()) {
		rig_ask("barrier id");
		attack(fd);
	} else {
		shared->id = dev_info(fd).id;
		munmap(shared, 1 << 20);
		rig_ask("barrier id");
		be_quiet(fd);
	}
	return tap_done();
}
