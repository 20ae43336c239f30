// SPDX-License-Identifier: GPL-2.0-only
/*
 * Partitions under all kinds of users: one ends with its users, the other goes on with its
 * own; then the device is reset, and goes. At last somebody rewrites the label all the time
 * while it is read again and again.
 */
/* rig: alone=yes turns=yes devices=doorbell vectors=8 size=16M over=pci,memory bridges=yes */
/* rig: mem=512 timeout=600 */
#include <pthread.h>

#include "labels.h"
#include "module.h"
#include "users.h"

#define SIZE (16UL << 20)
#define FIRST "/dev/ivshmem0p1"
#define SECOND_NODE "/dev/ivshmem0p2"
#define CHARDEV "/sys/bus/ivshmem/drivers/ivshmem_chardev/"
#define PEERS 1024		/* more than there are open files */

static struct ivshmem_label label;
static char *region;
static int whole;
static char pci[32];		/* the address of the device, empty if it has none */

static void device_open(void)
{
	whole = dev_open();
	region = dev_map(whole, SIZE);
}

static int relabel(void)
{
	label_store(region, &label);
	return file_write(LABEL_RESCAN, "1");
}

static void add(unsigned int number)
{
	static const char * const names[] = { "", "first", "second" };

	label_add(&label, number, "raw", names[number], number * (4UL << 20), 1 << 20,
		  4 * (number - 1), 4);
}

/* Ring the vectors that users of the second partition count. */
static void ring_second(void)
{
	for (unsigned int v = 0; v < USER_VECTORS; v++)
		for (unsigned int peer = 0; peer < (*pci ? DEV_PEERS : PEERS); peer++)
			dev_ring(whole, peer, 4 + v);
}

/* Do users of the second partition go on, and have not been woken for nothing? */
static int second_goes_on(struct users *users)
{
	users_mark(users);
	ring_second();
	return users_go_on(users);
}

static int reset(void)
{
	char path[128];

	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", pci);
	return file_write(path, "1");
}

/* End the second partition, each time in another way. */
static void end_second(unsigned int round)
{
	if (round % 3 == 0 && *pci) {
		munmap(region, SIZE);
		close(whole);
		file_write(PCI_DRIVER "unbind", pci);
		file_write(PCI_DRIVER "bind", pci);
		device_open();
		return;
	}
	if (round % 3 == 1) {
		file_write(CHARDEV "unbind", "ivshmem0p2");
	} else {
		memset(region, 0, 4096);
		file_write(LABEL_RESCAN, "1");
	}
}

static void test_users(void)
{
	const int cycles = rig_cycles(8);
	int ended = 0, stuck = 0, failed = 0, wrong = 0;
	struct users first, second;

	for (int i = 0; i < cycles; i++) {
		label = label_new(SIZE);
		label.generation = i * 10;
		add(1);
		add(2);
		wrong += relabel() != 0;
		if (!file_comes(FIRST, true) || !file_comes(SECOND_NODE, true))
			tap_bail("round %d: no partitions", i);
		users_start(&first, FIRST);
		users_start(&second, SECOND_NODE);
		if (*pci) {
			wrong += reset() != 0;
			stuck += second_goes_on(&second);
		}
		memset(&label.entries[0], 0, sizeof(label.entries[0]));
		wrong += relabel() != 0;
		ended += users_end(&first);
		stuck += second_goes_on(&second);
		end_second(i);
		/* The users that open find no node only when there is none. */
		label.entries[1] = label.entries[0];
		wrong += relabel() != 0;
		failed += users_end(&second);
	}
	tap_eq(wrong, 0, "%d times: labels are read, and the device is reset", cycles);
	tap_eq(ended, 0, "users of a partition that goes see its end");
	tap_eq(stuck, 0, "those of one that stays go on");
	tap_eq(failed, 0, "and see its end when it comes");
}

static volatile bool stop;
static volatile unsigned int lies, visits;

/* Good labels, broken ones, none, and parts of them. */
static void *liar(void *arg)
{
	struct ivshmem_label other = label_new(SIZE);
	uint64_t seed = 1;

	label_add(&other, 1, "raw", "second", 2 << 20, 2 << 20, 3, 3);
	label_add(&other, 2, "raw", "first", 8 << 20, 1 << 20, 0, 2);
	label_add(&other, 64, "sample", "third", 10 << 20, 1 << 20, 6, 2);
	for (; !stop; lies++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		switch (seed >> 61) {
		case 0:
			label_store(region, &other);
			break;
		case 1:
			memset(region, 0, 8);
			break;
		case 2:
			region[(seed >> 32) % 8448] ^= 1 << (seed >> 29) % 8;
			break;
		default:
			other.entries[1].offset = (8 + (seed >> 40) % 8) << 20;
			label_store(region, &other);
		}
		sleep_ms((seed >> 50) % 4);
	}
	return arg;
}

/* Uses whatever there is. */
static void *visitor(void *arg)
{
	for (; !stop; visits++) {
		int fd = open(FIRST, O_RDWR | O_CLOEXEC);
		char *p;

		if (fd < 0) {
			sleep_ms(1);
			continue;
		}
		p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED) {
			user_touch(p, 1 << 20, false);
			munmap(p, 1 << 20);
		}
		close(fd);
	}
	return arg;
}

static void test_lies(void)
{
	const int scans = rig_times(400);
	pthread_t threads[2];
	int read = 0, refused = 0, ret;
	char byte;

	pthread_create(&threads[0], NULL, liar, NULL);
	pthread_create(&threads[1], NULL, visitor, NULL);
	for (int i = 0; i < scans; i++) {
		ret = file_write(LABEL_RESCAN, "1");
		read += !ret;
		refused += ret == -EBADMSG;
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	tap_note("%u lies, %u visits; %d times read, %d times refused", lies, visits, read, refused);
	tap_eq(read + refused, scans, "a label that changes all the time is read or refused");
	label = label_new(SIZE);
	label.generation = 1 << 20;
	add(1);
	tap_eq(relabel(), 0, "an honest label");
	ret = open(FIRST, O_RDWR);
	tap_ok(ret >= 0 && dev_size(ret) == 1 << 20 && pread(ret, &byte, 1, 0) == 1,
	       "has the partition that it names");
	close(ret);
}

int main(void)
{
	guard();
	device_open();
	if (rig_over("pci"))
		snprintf(pci, sizeof(pci), "%s", dev_pci(0));
	test_users();
	test_lies();
	munmap(region, SIZE);
	close(whole);
	if (*pci) {
		file_write(PCI_DRIVER "unbind", pci);
		module_clean();
	}
	return tap_done();
}
