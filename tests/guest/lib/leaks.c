// SPDX-License-Identifier: GPL-2.0-only
/* kmemleak: see leaks.h. */
#include "../leaks.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

void leaks_begin(void)
{
	file_write(KMEMLEAK, "clear");
}

void leaks_end(const char *program)
{
	char comm[64];
	int ret;

	if (access(KMEMLEAK, F_OK)) {
		tap_skip("nothing is leaked", "the kernel has no kmemleak");
		return;
	}
	/* kmemleak skips objects younger than five seconds; one scan may report too many. */
	sleep_ms(6000);
	ret = file_write(KMEMLEAK, "scan");
	if (ret == -EPERM) {
		tap_skip("nothing is leaked", "kmemleak is off");
		return;
	}
	if (ret || file_write(KMEMLEAK, "scan"))
		tap_bail("kmemleak: %s", strerror(ret ? -ret : errno));
	snprintf(comm, sizeof(comm), "comm \"%s\"", program);
	tap_eq(file_mentions(KMEMLEAK, "ivshmem") + file_mentions(KMEMLEAK, comm), 0,
	       "nothing is leaked");
}
