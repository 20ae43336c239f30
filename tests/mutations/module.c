// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's reader of labels under a fuzzer, in the kernel: loading the module tries
 * "count" labels, and fails with EINVAL if the reader accepts what it should not.
 */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include "label.c"
#include "../../lib/label_build.c"
#include "mutation.h"

#define LONGEST	96	/* bytes of an input */

static unsigned int count = 1000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "labels to try");

static unsigned long long seed = 1;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "where the random numbers begin; not 0");

/* xorshift64 */
static u64 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int __init mutations_init(void)
{
	u64 input[LONGEST / sizeof(u64)];
	unsigned int i, n;

	for (n = 0; n < count; n++) {
		u64 start = seed;

		for (i = 0; i < ARRAY_SIZE(input); i++)
			input[i] = next_random();
		if (!mutation_holds((const __u8 *)input, next_random() % LONGEST)) {
			pr_err("ivshmem_mutations: label %u, seed %llu: the reader breaks a promise\n",
			       n, start);
			return -EINVAL;
		}
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	pr_info("ivshmem_mutations: %u labels\n", count);
	return 0;
}

static void __exit mutations_exit(void)
{
}

module_init(mutations_init);
module_exit(mutations_exit);
MODULE_DESCRIPTION("Fuzzer of the label's reader");
MODULE_LICENSE("GPL");
