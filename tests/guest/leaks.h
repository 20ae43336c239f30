/* SPDX-License-Identifier: GPL-2.0-only */
/* What kmemleak finds of what a test has left behind. */
#ifndef LEAKS_H
#define LEAKS_H

#include "dev.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

static inline void leaks_begin(void)
{
	file_write(KMEMLEAK, "clear");
}

/*
 * Of all that was allocated since leaks_begin(), is anything lost that the driver
 * or this program asked for? To be called while the modules are there, as their
 * functions are named then.
 */
static inline void leaks_end(const char *program)
{
	char comm[64];
	int ret;

	if (access(KMEMLEAK, F_OK)) {
		tap_skip("nothing is lost", "the kernel has no kmemleak");
		return;
	}
	/* It does not look at what is younger, nor believe what it sees once. */
	sleep_ms(6000);
	ret = file_write(KMEMLEAK, "scan");
	if (ret == -EPERM) {
		tap_skip("nothing is lost", "kmemleak is off");
		return;
	}
	if (ret || file_write(KMEMLEAK, "scan"))
		tap_bail("kmemleak: %s", strerror(ret ? -ret : errno));
	snprintf(comm, sizeof(comm), "comm \"%s\"", program);
	tap_eq(file_mentions(KMEMLEAK, "ivshmem") + file_mentions(KMEMLEAK, comm), 0,
	       "nothing is lost");
}

#endif
