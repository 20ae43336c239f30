// SPDX-License-Identifier: GPL-2.0-only
/* A device that ACPI describes, with the interrupt of a serial port. */
/* rig: arches=amd64 devices=none modules=configfs firmware=soft_acpi.asl
 * rig: append=memmap=16M$0xa000000
 */
/* rig: qemu='-chardev null,id=com4 -device isa-serial,iobase=0x2e8,irq=5,chardev=com4' */
#include "dev.h"

#define PORT 0x2e8

#ifdef __x86_64__
#include <sys/io.h>

/* Where a serial port can send and may interrupt, it does so at once. */
static void interrupt(void)
{
	outb(8, PORT + 4);	/* OUT2 lets its interrupt out */
	outb(2, PORT + 1);	/* interrupt when there is nothing to send */
	sleep_ms(20);
	outb(0, PORT + 1);
}
#else	/* built for every architecture, run on x86 */
#define ioperm(...) (-1)

static void interrupt(void)
{
}
#endif

static void test_interrupt(int fd)
{
	if (ioperm(PORT, 8, 1)) {
		tap_ok(errno == ENOSYS, "the serial port is out of reach");
		tap_skip("its interrupt fires the vector", "the kernel has no ioperm");
		return;
	}
	dev_wait_vector(fd, 0, 0);
	interrupt();
	tap_eq(dev_wait_vector(fd, 0, 5 * SECOND), 1, "its interrupt fires the vector");
	tap_eq(dev_wait_vector(fd, 0, SECOND / 20), -ETIMEDOUT, "it is told once");
}

int main(void)
{
	char name[64] = "", text[8] = "";
	FILE *file;
	int fd;

	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	file = fopen("/sys/class/ivshmem/ivshmem0/name", "r");
	tap_ok(file && fscanf(file, "%63s", name) == 1, "it has a name");
	tap_ok(!strcmp(name, "PRP0001:00"), "that of the platform device");
	fd = dev_open();
	tap_eq(dev_size(fd), 0x10000, "size");
	tap_eq(dev_info(fd).vectors, 1, "a vector for its interrupt");
	tap_eq(pwrite(fd, "hello", 5, 100), 5, "it can be written");
	tap_eq(pread(fd, text, 5, 100), 5, "and read");
	tap_ok(!memcmp(text, "hello", 5), "what was written");

	test_interrupt(fd);
	close(fd);
	tap_eq(file_write("/sys/bus/platform/drivers/ivshmem_soft/unbind", "PRP0001:00"), 0,
	       "unbind it");
	tap_ok(file_comes(RIG_DEVICE, false), "the node goes");
	tap_eq(system("rmmod ivshmem_soft"), 0, "rmmod");
	return tap_done();
}
