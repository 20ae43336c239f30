// SPDX-License-Identifier: GPL-2.0-only
/*
 * The label of a region makes partitions, when the device is registered and when root asks
 * for it. What did not change stays with its users; a label that is refused changes nothing.
 */
/* rig: devices=doorbell,plain vectors=6 size=16M over=pci,memory timeout=120 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>

#include "guarded.h"
#include "labels.h"
#include "module.h"

#define BUS "/sys/bus/ivshmem/"
#define SIZE (16UL << 20)
#define SAMPLE "sample"		/* the type that the module in tests/sample drives */

static struct ivshmem_label label;
static char *region;
static const char *pci;		/* the address of the device, "" if it has none */

static int rescan(void)
{
	return file_write(LABEL_RESCAN, "1");
}

/* Store the label, and have it read. */
static int relabel(void)
{
	label_store(region, &label);
	return rescan();
}

static bool node_exists(unsigned int number)
{
	char path[64];

	snprintf(path, sizeof(path), BUS "devices/ivshmem0p%u", number);
	return !access(path, F_OK);
}

static void test_none(void)
{
	memset(region, 0x5a, 1 << 20);
	tap_eq(rescan(), 0, "rescan without a label");
	dev_attribute_is("ivshmem0", "label_uuid", "");
	dev_attribute_is("ivshmem0", "label_generation", "");
	tap_ok(region[0] == 0x5a && region[16384] == 0x5a, "the region is as it was");
	tap_eq(file_write(BUS "devices/ivshmem0/partitions", "local:1M:1M"), 0,
	       "local partitions");
	tap_eq(rescan(), 0, "rescan without a label");
	tap_ok(node_exists(1), "leaves them alone");
}

static void test_first(void)
{
	label = label_new(SIZE);
	label_add(&label, 1, "raw", "video", 1 << 20, 5 << 20, 0, 2);
	label_add(&label, 3, SAMPLE, "thing", 8 << 20, 1 << 20, 2, 1);
	label_add(&label, 64, "raw", "last", 10 << 20, 64 << 10, 0, 0);
	tap_eq(relabel(), 0, "a label comes");
	dev_attribute_is("ivshmem0", "label_uuid", "10111213-1415-1617-1819-1a1b1c1d1e1f");
	dev_attribute_is("ivshmem0", "label_generation", "1");
	dev_attribute_is("ivshmem0p1", "label_uuid", "10111213-1415-1617-1819-1a1b1c1d1e1f");
	dev_attribute_is("ivshmem0p1", "name", "video");
	dev_attribute_is("ivshmem0p1", "size", "5242880");
	dev_attribute_is("ivshmem0p64", "name", "last");
	tap_ok(!node_exists(2) && node_exists(3), "a partition of another type is there");
	tap_eq(access("/dev/ivshmem0p3", F_OK), -1, "but nothing to open");
	tap_eq(file_mentions(BUS "devices/ivshmem0p3/modalias", "ivshmem:" SAMPLE), 1,
	       "its alias names the type");
	tap_eq(file_write(BUS "devices/ivshmem0/partitions", "a:0:1M"), -EBUSY,
	       "the label says which partitions there are");
}

/* The module that drives a type comes and goes. */
static void test_type(void)
{
	char link[PATH_MAX] = "";

	tap_eq(system("insmod /lib/ivshmem_sample.ko"), 0, "load the module for the type");
	tap_ok(readlink(BUS "devices/ivshmem0p3/driver", link, sizeof(link) - 1) > 0 &&
	       !strcmp(basename(link), "ivshmem_sample"), "it gets the partition");
	tap_eq(system("rmmod ivshmem_sample"), 0, "unload it");
	tap_ok(node_exists(3), "the partition waits for another one");
}

static void *waiter(void *arg)
{
	struct ivshmem_wait w = { .flags = IVSHMEM_WAIT_WORD, .timeout_ns = -1 };
	int fd = *(int *)arg;

	while (!dev_wait(fd, &w) && w.result != IVSHMEM_RESULT_CHANGED)
		;
	return (void *)(long)w.result;
}

/* One partition goes, one comes, one changes, and one stays with a sleeper and a mapping. */
static void test_change(bool interrupts)
{
	int stays = dev_open_at("/dev/ivshmem0p1", O_RDWR), ends;
	char *p = dev_map(stays, PAGE), *q, byte;
	pthread_t thread;
	void *result;

	memset(p, 0, PAGE);
	ends = dev_open_at("/dev/ivshmem0p64", O_RDWR);
	q = dev_map(ends, PAGE);
	touch(q, true);
	if (interrupts)
		pthread_create(&thread, NULL, waiter, &stays);
	memset(&label.entries[2], 0, sizeof(label.entries[2]));
	label_add(&label, 2, "raw", "new", 12 << 20, 1 << 20, 0, 0);
	label.entries[63].generation++;
	tap_eq(relabel(), 0, "a change of the label");
	tap_ok(node_exists(2) && !node_exists(3), "a partition comes and one goes");
	tap_eq(touch(q, false), SIGBUS, "one with another generation ends for its mappings");
	refused(pread(ends, &byte, 1, 0), ENODEV, "and for its files");
	tap_ok(node_exists(64), "though it is there again");
	tap_ok(!touch(p, true) && pread(stays, &byte, 1, 0) == 1, "the one that is the same stays");
	dev_attribute_is("ivshmem0", "label_generation", "2");
	if (interrupts) {
		p[0] = 1;
		dev_ring_files(stays, 0);
		pthread_join(thread, &result);
		tap_eq((long)result, IVSHMEM_RESULT_CHANGED, "so does one who slept there");
	} else {
		tap_skip("sleepers", "the device has no vectors");
	}
	munmap(p, PAGE);
	munmap(q, PAGE);
	close(stays);
	close(ends);
}

static void test_refused(void)
{
	int fd = dev_open_at("/dev/ivshmem0p1", O_RDWR);
	char byte;

	region[100]++;	/* reserved, but the checksum is wrong now */
	tap_eq(rescan(), -EBADMSG, "a label that is refused");
	tap_ok(pread(fd, &byte, 1, 0) == 1 && node_exists(64), "ends no partition");
	dev_attribute_is("ivshmem0", "label_generation", "2");
	label_add(&label, 5, "raw", "huge", SIZE - PAGE, 2 * PAGE, 0, 0);
	tap_eq(relabel(), -EBADMSG, "one with a partition beyond the end");
	tap_ok(!node_exists(5), "makes none");
	label.entries[4].offset = 13 << 20;
	label.entries[4].flags = 1;
	label_add(&label, 6, "raw", "after", 14 << 20, 1 << 20, 0, 0);
	tap_eq(relabel(), 0, "a partition that needs a newer driver");
	tap_ok(!node_exists(5) && node_exists(6), "is left out, and others come");
	close(fd);
}

/* The kernel cannot map a part of its own page. */
static void test_alignment(void)
{
	label_add(&label, 7, "raw", "odd", (15 << 20) + 4096, 4096, 0, 0);
	tap_eq(relabel(), 0, "a partition that is not aligned to 64 KiB");
	tap_eq(node_exists(7), PAGE == 4096, "is there if the kernel has pages of 4 KiB");
}

/* Bind the device again, and map it. */
static void device_again(void)
{
	int fd;

	munmap(region, SIZE);
	file_write(PCI_DRIVER "unbind", pci);
	file_write(PCI_DRIVER "bind", pci);
	fd = dev_open();
	region = dev_map(fd, SIZE);
	close(fd);
}

/* Only the BAR of a PCI device keeps its bytes while there is no driver. */
static void test_registration(void)
{
	int fd = dev_open_at("/dev/ivshmem0p1", O_RDWR);
	char byte;

	device_again();
	refused(pread(fd, &byte, 1, 0), ENODEV, "the device goes with its partitions");
	tap_ok(node_exists(1) && node_exists(2) && node_exists(6) && node_exists(64),
	       "and comes with them");
	dev_attribute_is("ivshmem0p1", "name", "video");
	close(fd);
	region[100]++;
	device_again();
	tap_ok(!access("/dev/ivshmem0", F_OK) && !node_exists(1),
	       "the device comes without partitions then");
	dev_attribute_is("ivshmem0", "label_uuid", "refused");
	tap_eq(relabel(), 0, "a good label again");
	tap_ok(node_exists(1) && node_exists(64), "makes the partitions");
}

static void test_other(void)
{
	int fd = dev_open_at("/dev/ivshmem0p1", O_RDWR);
	char byte;

	label.uuid[0] = 0xff;
	tap_eq(relabel(), 0, "another label, with the same partitions");
	refused(pread(fd, &byte, 1, 0), ENODEV, "they are others");
	close(fd);
	fd = dev_open_at("/dev/ivshmem0p1", O_RDWR);
	memset(region, 0, 4096);
	tap_eq(rescan(), 0, "the label is wiped");
	refused(pread(fd, &byte, 1, 0), ENODEV, "its partitions end");
	tap_ok(!node_exists(1) && !node_exists(64), "all of them");
	dev_attribute_is("ivshmem0", "label_uuid", "");
	tap_eq(file_write(BUS "devices/ivshmem0/partitions", "local:0:1M"), 0,
	       "now there can be local ones");
	tap_eq(file_write(BUS "devices/ivshmem0/partitions", "\n"), 0, "or none");
	close(fd);
}

int main(void)
{
	bool interrupts;
	int fd = dev_open();

	guard();
	pci = rig_over("pci") ? strdup(dev_pci(0)) : "";
	interrupts = dev_info(fd).vectors;
	region = dev_map(fd, SIZE);
	test_none();
	test_first();
	test_type();
	test_change(interrupts);
	test_refused();
	test_alignment();
	close(fd);
	if (*pci)
		test_registration();
	else
		tap_skip("a label when the device is registered", "its memory would be new");
	test_other();
	return tap_done();
}
