// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that violate the specification are refused: the log says why, and nothing is
 * left behind. Unusual ones work: with the smallest and largest BARs and numbers of
 * vectors, and with an id that comes late and changes.
 */
/* rig: newqemu=yes alone=yes devices=none timeout=240 */
#include "fake.h"
#include "module.h"

struct broken {
	const char *facts;	/* see vfio_user.py */
	const char *log;
};

static const struct broken broken[] = {
	{ "revision=0", "unsupported revision 0 .expected 1." },
	{ "revision=255", "unsupported revision 255 .expected 1." },
	{ "bar0=0", "BAR 0 is not a register block" },
	{ "bar2=0", "BAR 2 has no memory" },
	{ "bar2=16 mapped=0", "BAR 2 .* is smaller than a page" },
	{ "bar2=2048 mapped=0", "BAR 2 .* is smaller than a page" },
	/* More than the machine can address. */
	{ "bar2=0x400000000000 mapped=0", "BAR 2 has no memory" },
};

static const char * const odd[] = {
	"bar0=16", "bar0=0x100000", "bar2=4096", "bar2=0x10000000",
	"vectors=0", "vectors=1", "vectors=64", "vectors=0 bar2=4096 mapped=0",
};

#define LENGTH(array) ((int)(sizeof(array) / sizeof((array)[0])))

static void test_broken(const struct broken *b, const char *name)
{
	const char *pci = fake_plug(name, b->facts);

	tap_eq(file_write(PCI_DRIVER "bind", pci), -ENODEV, "%s: it cannot be bound",
	       b->facts);
	tap_ok(rig_try("expect-log %s: %s", pci, b->log), "%s: the log says \"%s\"",
	       b->facts, b->log);
	tap_ok(nothing_left(), "%s: nothing is left behind", b->facts);
}

/* Every vector fires when it is rung, and the memory is there. */
static void test_odd(const char *facts, const char *name)
{
	const char *pci = fake_plug(name, facts);
	struct ivshmem_info info;
	uint64_t word = 0x0123456789abcdef, back = 0;
	int fd, silent = 0;
	uint64_t size;

	if (!tap_ok(file_comes(RIG_DEVICE, true), "%s: there is a node", facts))
		return;
	fd = dev_open();
	info = dev_info(fd);
	size = dev_size(fd);
	if (strstr(facts, "vectors="))
		tap_eq(info.vectors, atoi(strstr(facts, "vectors=") + 8),
		       "%s: INFO gives the vectors", facts);
	if (strstr(facts, "bar2="))
		tap_eq(size, strtoll(strstr(facts, "bar2=") + 5, NULL, 0),
		       "%s: REGION gives the size", facts);
	for (uint32_t v = 0; v < info.vectors; v++)
		if (dev_ring_self(fd, v) || dev_wait_vector(fd, v, 20 * SECOND) != 1) {
			tap_note("%s: vector %u does not fire", facts, v);
			silent++;
		}
	tap_eq(silent, 0, "%s: each vector fires when it is rung", facts);
	pwrite(fd, &word, sizeof(word), size - sizeof(word));
	pread(fd, &back, sizeof(back), size - sizeof(word));
	tap_ok(back == word, "%s: the last word of the region can be used", facts);
	close(fd);
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "%s: it can be unbound", facts);
	tap_ok(nothing_left(), "%s: nothing is left behind", facts);
}

static void test_late_id(void)
{
	int fd;

	fake_plug("late", "id=-1");
	file_comes(RIG_DEVICE, true);
	fd = dev_open();
	tap_eq(dev_info(fd).id, IVSHMEM_ID_UNKNOWN, "an id of -1 is none");
	tap_eq(dev_ring_self(fd, 0), -EINVAL, "without an id it cannot ring itself");
	tap_eq(dev_ring(fd, 9, 0), 0, "but it can ring others");
	tap_ok(!strcmp(rig_ask("fake-rings late 9 0"), "1"), "and the ring arrives");
	tap_eq(dev_ring(fd, 65535, 65534), 0, "the register has 16 bits for each number");
	tap_ok(!strcmp(rig_ask("fake-rings late 65535 65534"), "1"), "and gets all of them");
	rig_ask("fake-fire late 2");
	tap_eq(dev_wait_vector(fd, 2, 20 * SECOND), 1, "and it can be rung");
	for (int id = 7; id < 9; id++) {
		rig_ask("fake-id late %d", id);
		tap_eq(dev_info(fd).id, id, "the id becomes %d", id);
		tap_eq(dev_ring_self(fd, 3), 0, "id %d: it can ring itself", id);
		tap_eq(dev_wait_vector(fd, 3, 20 * SECOND), 1, "id %d: the doorbell fires", id);
	}
	rig_ask("fake-id late 65536");
	tap_eq(dev_info(fd).id, IVSHMEM_ID_UNKNOWN, "an id that is too large is none");
	close(fd);
}

int main(void)
{
	char name[16];

	for (int i = 0; i < LENGTH(broken); i++) {
		snprintf(name, sizeof(name), "broken%d", i);
		test_broken(&broken[i], name);
	}
	for (int i = 0; i < LENGTH(odd); i++) {
		snprintf(name, sizeof(name), "odd%d", i);
		test_odd(odd[i], name);
	}
	test_late_id();
	tap_eq(module_unload(), 0, "the module can be unloaded");
	tap_ok(nothing_left(), "and leaves nothing behind");
	return tap_done();
}
