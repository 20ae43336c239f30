// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plain device is unplugged 100 times under all kinds of users. Without ACPI the kernel
 * waits five seconds each time, in case the operator cancels, so it is less often there.
 */
/* rig: alone=yes turns=yes devices=none timeout=400 */
#include "module.h"
#include "users.h"

#ifdef __x86_64__
#define USUAL 100
#else
#define USUAL 10
#endif

int main(void)
{
	const int cycles = rig_cycles(USUAL);
	int failed = 0, missing = 0, left = 0, gone;
	struct users users;

	for (int i = 0; i < cycles; i++) {
		rig_ask("plug plain hot 4M");
		missing += !file_comes(RIG_DEVICE, true);
		users_start(&users, RIG_DEVICE);
		rig_ask("unplug hot");
		gone = users_end(&users);
		if (gone)
			tap_note("round %d: %d users fail", i, gone);
		failed += gone;
		left += !file_comes(RIG_DEVICE, false);
	}
	tap_eq(failed, 0, "all users see the end of the device");
	tap_eq(missing, 0, "the node appears each of %d times", cycles);
	tap_eq(left, 0, "the node disappears each time");
	module_clean();
	return tap_done();
}
