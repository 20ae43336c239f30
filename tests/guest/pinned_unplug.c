// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine takes a device away while its pages are pinned, and gives it another one: as it
 * does so the memory is gone, so nobody can say what is read of pinned pages. All the rest is
 * as with any removal. There is no disk, for that of QEMU stops for good if the memory that it
 * shall read from is missing.
 */
/* rig: alone=yes turns=yes devices=none mem=1024 modargs=pages=yes timeout=400 */
#include "module.h"
#include "pins.h"

/* Without ACPI the kernel waits five seconds each time, in case the operator cancels. */
#ifdef __x86_64__
#define USUAL 2
#else
#define USUAL 1
#endif

/* What was wrong in the cycles. */
static struct {
	int mapped, works, kept, left;
} wrong;

static void plug(void)
{
	rig_ask("plug plain hot 4M");
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
}

static void unplug(void)
{
	rig_ask("unplug hot");
	wrong.left += !file_comes(RIG_DEVICE, false);
}

/* The memory of the new device is nobody else's; has it struct pages? */
static bool successor_works(unsigned int number)
{
	int fd = dev_open();
	char *p = dev_map(fd, SIZE);
	bool good = dev_has_pages(fd);

	pattern_write(p, SIZE, number);
	good = good && pattern_matches(p, SIZE, number);
	munmap(p, SIZE);
	close(fd);
	return good;
}

/* false if this kernel cannot pin like this */
static bool cycle(const struct pin *way, unsigned int number)
{
	bool pinned;
	int fd;

	plug();
	fd = dev_open();
	pins_map(fd, number);
	pinned = try_pin(way);
	unplug();
	wrong.mapped += touch(map, true) != SIGBUS || touch(map + SIZE - 1, false) != SIGBUS;
	plug();
	wrong.works += !successor_works(number + 1);
	if (pinned)
		wrong.kept += !way->kept() && !way->bytes;
	munmap(map, SIZE);
	close(fd);
	unplug();
	return pinned;
}

static void test_pin(const struct pin *way, int cycles)
{
	memset(&wrong, 0, sizeof(wrong));
	tap_about(way->name);
	for (int i = 0; i < cycles; i++)
		if (!cycle(way, i)) {
			tap_skip("pages pinned", "this kernel has no such thing");
			return;
		}
	tap_eq(wrong.mapped, 0, "mappings end in SIGBUS, %d times", cycles);
	tap_eq(wrong.works, 0, "a device that comes meanwhile works, with struct pages");
	tap_eq(wrong.kept, 0, "other programs see the end as well");
	tap_eq(wrong.left, 0, "the node disappears");
}

static bool possible(void)
{
	bool ret;
	int fd;

	plug();
	fd = dev_open();
	ret = dev_pages(fd, "pinned pages");
	close(fd);
	unplug();
	return ret;
}

int main(int argc, char **argv)
{
	const int cycles = rig_cycles(USUAL);

	pins_begin(argc, argv);
	ended = true;
	if (!possible())
		return pins_done();
	for (size_t i = 0; i < PINS; i++)
		if (pins[i].pin != direct_pin)
			test_pin(&pins[i], cycles);
	tap_about("");
	module_clean();
	return pins_done();
}
