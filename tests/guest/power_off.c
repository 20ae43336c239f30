// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest powers itself off while another one rings it without a pause and programs use the
 * device in every way. The rig sees whether it gets there and whether its kernel complains.
 */
/* rig: guests=2 devices=doorbell vectors=4 size=1M alone=yes timeout=120 */
#include <sys/reboot.h>

#include "users.h"

static struct shared {
	volatile uint32_t id;
	volatile uint32_t going;
} *shared;

/* Ring until the other guest is surely off. */
static void attack(int fd)
{
	volatile uint32_t *regs = dev_map_registers(fd);
	int64_t end = INT64_MAX;

	rig_ask("barrier storm");
	for (uint32_t i = 0; now_ns() < end; i++) {
		regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(shared->id, i % 4);
		if (end == INT64_MAX && shared->going)
			end = now_ns() + 5 * SECOND;
	}
	tap_ok(true, "the machine that was rung while it powered off did this one no harm");
}

int main(void)
{
	int fd = dev_open();
	struct users users;

	if (!dev_interrupts(fd, "a storm of doorbells"))
		return tap_done();
	/* Users write to the start of each page. */
	shared = dev_map(fd, 1 << 20) + 1024;
	if (!rig_guest())
		shared->id = dev_info(fd).id;
	rig_ask("barrier id");
	if (rig_guest()) {
		attack(fd);
		return tap_done();
	}
	users_start(&users, RIG_DEVICE);
	rig_ask("barrier storm");
	tap_ok(dev_wait_vector(fd, 0, 20 * SECOND) > 0, "doorbells come in");
	tap_done();
	rig_ask("power-off");
	shared->going = 1;
	reboot(RB_POWER_OFF);
	return 1;
}
