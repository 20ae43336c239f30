// SPDX-License-Identifier: GPL-2.0-only
/* ivshmem_soft binds a device that ACPI describes, whose interrupt is a serial port's. */
/* rig: arches=amd64 devices=none modules=configfs firmware=soft_acpi.asl
 * rig: append=memmap=16M$0xa000000
 */
/* rig: qemu='-chardev null,id=com4 -device isa-serial,iobase=0x2e8,irq=5,chardev=com4' */
#include "dev.h"

#define PORT 0x2e8

#ifdef __x86_64__
#include <sys/io.h>

/* Raise the interrupt: an idle port does so as soon as it may interrupt. */
static void interrupt(void)
{
	outb(8, PORT + 4);	/* OUT2 connects the interrupt line */
	outb(2, PORT + 1);	/* interrupt when the transmitter is empty */
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
		tap_ok(errno == ENOSYS, "ioperm fails only on kernels without it");
		tap_skip("the interrupt fires the vector", "the kernel has no ioperm");
		return;
	}
	dev_wait_vector(fd, 0, 0);
	interrupt();
	tap_eq(dev_wait_vector(fd, 0, 5 * SECOND), 1, "the interrupt fires the vector");
	tap_eq(dev_wait_vector(fd, 0, SECOND / 20), -ETIMEDOUT, "it is reported once");
}

int main(void)
{
	char name[64] = "", text[8] = "";
	FILE *file;
	int fd;

	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	file = fopen("/sys/class/ivshmem/ivshmem0/name", "r");
	tap_ok(file && fscanf(file, "%63s", name) == 1, "the device has a name");
	if (!tap_ok(!strcmp(name, "PRP0001:00"), "the name is that of the platform device"))
		tap_note("the name is %s", name);
	fd = dev_open();
	tap_eq(dev_size(fd), 0x10000, "REGION gives the size from ACPI");
	tap_eq(dev_info(fd).vectors, 1, "INFO gives one vector, for the interrupt");
	tap_eq(pwrite(fd, "hello", 5, 100), 5, "write to the region");
	tap_eq(pread(fd, text, 5, 100), 5, "read from the region");
	tap_ok(!memcmp(text, "hello", 5), "read gives what was written");

	test_interrupt(fd);
	close(fd);
	tap_eq(file_write("/sys/bus/platform/drivers/ivshmem_soft/unbind", "PRP0001:00"), 0,
	       "unbind the device");
	tap_ok(file_comes(RIG_DEVICE, false), "its node disappears");
	tap_eq(system("rmmod ivshmem_soft"), 0, "unload the module");
	return tap_done();
}
