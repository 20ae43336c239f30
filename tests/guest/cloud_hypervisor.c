// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device of cloud-hypervisor, which has no interrupts, no capabilities and no subsystem ids,
 * and whose registers read 0: it is a plain device, and a label gives it peers, polled doorbells
 * and partitions. Two of them have the same memory.
 */
/* rig: newqemu=yes alone=yes devices=none programs=udevadm,chown,chmod timeout=240 */
#include "bells.h"
#include "fake.h"
#include "module.h"

/* What its devices/src/ivshmem.rs makes. */
#define FACTS "revision=1 bar0=256 bar2=0x100000 vectors=0 id=0 subsystem=0 capabilities=0"
#define LINKS "/dev/ivshmem/by-subsystem/0000:0000"
#define PARTITION "/dev/ivshmem0p1"
/* As the kernel's log has it: the driver and PCI complain about nothing. */
#define COMPLAINS "dmesg -r | grep -E '^<[0-4]>.*(ivshmem|0000:00:0[45])' | sed 's/^/# /' | grep ."

static struct bells b = { .fds = { -1, -1 } };
static char pcis[2][16];

static void plug(unsigned int device, const char *facts)
{
	char name[16];

	snprintf(name, sizeof(name), "cloud%u", device);
	snprintf(pcis[device], sizeof(pcis[device]), "%s", fake_plug(name, facts));
	snprintf(name, sizeof(name), "/dev/ivshmem%u", device);
	if (!tap_ok(file_comes(name, true), "%s comes", name))
		tap_bail("no device");
}

/* A link leads to a node whose name ends so. */
static void leads(const char *link, const char *node)
{
	char target[64] = "";
	ssize_t length;

	system("udevadm settle");
	length = readlink(link, target, sizeof(target) - 1) - (ssize_t)strlen(node);
	tap_ok(length > 0 && !strcmp(target + length, node), "%s leads to %s: %s", link, node,
	       target);
}

static void test_plain(void)
{
	uint64_t word = 0x0123456789abcdef, back = 0;
	struct ivshmem_info info;
	int fd;

	tap_about("plain");
	plug(0, FACTS);
	fd = dev_open();
	info = dev_info(fd);
	tap_eq(info.vectors, 0, "no vectors");
	tap_eq(info.id, IVSHMEM_ID_UNKNOWN, "no id, although its register reads 0");
	tap_eq(info.features & (IVSHMEM_FEATURE_DOORBELL | IVSHMEM_FEATURE_INTERRUPTS), 0,
	       "no doorbells");
	refused(dev_ring(fd, 0, 0), EOPNOTSUPP, "no RING");
	tap_eq(dev_size(fd), BELLS_SIZE, "the memory's size");
	pwrite(fd, &word, sizeof(word), BELLS_SIZE - sizeof(word));
	pread(fd, &back, sizeof(back), BELLS_SIZE - sizeof(word));
	tap_ok(back == word, "its last word can be used");
	leads(LINKS, "ivshmem0");
	close(fd);
}

static void test_peers(void)
{
	struct peers seen;

	tap_about("peers");
	plug(1, "with=cloud0 " FACTS);
	bells_open(&b);
	bells_relabel(&b, BELLS_VECTORS);
	tap_ok(b.ids[0] >= 0xff00 && b.ids[1] >= 0xff00 && b.ids[0] != b.ids[1],
	       "each has a slot");
	tap_ok(!peers_get(b.fds[0], &seen, false, 0) && peers_self(&seen) &&
	       peers_self(&seen)->id == b.ids[0], "and is among the peers");
}

static void test_doorbells(void)
{
	tap_about("doorbells");
	for (unsigned int i = 0; i < 2; i++) {
		int own = b.fds[i], other = b.fds[!i];

		tap_eq(dev_info(own).vectors, BELLS_VECTORS, "ivshmem%u: vectors", i);
		tap_eq(dev_ring_self(own, 0), 0, "it rings itself");
		tap_eq(dev_wait_vector(own, 0, BELLS_PATIENCE), 1, "and hears it");
		tap_eq(dev_ring(own, b.ids[!i], 3), 0, "it rings the other");
		tap_eq(dev_wait_vector(other, 3, BELLS_PATIENCE), 1, "which hears it");
	}
}

static void test_partition(void)
{
	int fd = dev_open_at(PARTITION, O_RDWR);
	char text[8] = "";

	tap_about("partition");
	tap_eq(dev_size(fd), BELLS_PART_SIZE, "its size");
	tap_eq(pwrite(fd, "written", 8, 0), 8, "write");
	memcpy(text, b.region + BELLS_OFFSET, sizeof(text));
	tap_ok(!strcmp(text, "written"), "the region has it");
	/* Its first vector is the device's vector 1. */
	tap_eq(dev_ring(b.fds[1], b.ids[0], 1), 0, "the other device rings");
	tap_eq(dev_wait_vector(fd, 0, BELLS_PATIENCE), 1, "it hears it");
	/* Either device's: they have the same ids. */
	leads(LINKS "-part1", "p1");
	close(fd);
}

static void test_rebind(void)
{
	struct peers seen = { 0 };

	tap_about("rebind");
	munmap(b.region, BELLS_SIZE);
	close(b.fds[0]);
	b.fds[0] = -1;
	tap_eq(file_write(PCI_DRIVER "unbind", pcis[0]), 0, "unbind");
	tap_ok(peers_become(b.fds[1], &seen, 1), "the other one sees that it is gone");
	leads(LINKS, "ivshmem1");
	tap_eq(file_write(PCI_DRIVER "bind", pcis[0]), 0, "bind");
	bells_reopen(&b);
	b.region = dev_map(b.fds[0], BELLS_SIZE);
	test_doorbells();
	test_partition();
	tap_about("rebind");
	munmap(b.region, BELLS_SIZE);
	for (unsigned int i = 0; i < 2; i++) {
		close(b.fds[i]);
		tap_eq(file_write(PCI_DRIVER "unbind", pcis[i]), 0, "unbind ivshmem%u", i);
	}
	tap_ok(nothing_left(), "nothing is left behind");
}

int main(void)
{
	if (system(". /tests/lib.sh; udev_start") || system("dmesg -c >/dev/null"))
		tap_bail("no udev");
	test_plain();
	test_peers();
	test_doorbells();
	test_partition();
	test_rebind();
	tap_about("log");
	tap_eq(system("dmesg -r | grep -q '^<6>.*ivshmem'"), 0, "the driver has said what it found");
	tap_ok(system(COMPLAINS), "no complaint");
	return tap_done();
}
