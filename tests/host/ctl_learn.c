// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which port an address is at, as ivshmemctl net learns it.
 */
#include "../../tools/ctl/net_learn.c"
#include "../guest/tap.h"

#define SECOND		INT64_C(1000000000)
#define MANY		4000

static struct learn learn;

static const uint8_t *address(unsigned int number)
{
	static uint8_t bytes[6] = { 0x02 };

	bytes[4] = (uint8_t)(number >> 8);
	bytes[5] = (uint8_t)number;
	return bytes;
}

static void one(void)
{
	learn_init(&learn, 1);
	tap_ok(learn_find(&learn, address(1), SECOND) == -1, "nobody has been seen");
	learn_source(&learn, address(1), 0, SECOND);
	learn_source(&learn, address(2), 127, SECOND);
	tap_ok(learn_find(&learn, address(1), SECOND) == 0, "the first port");
	tap_ok(learn_find(&learn, address(2), SECOND) == 127, "the last port");
	learn_source(&learn, address(1), 5, 2 * SECOND);
	tap_ok(learn_find(&learn, address(1), 2 * SECOND) == 5, "an address moves");
	tap_ok(learn_find(&learn, address(1), 300 * SECOND) == 5 &&
	      learn_find(&learn, address(1), 303 * SECOND) == -1, "it is forgotten in 300 seconds");
	learn_forget(&learn, 127);
	tap_ok(learn_find(&learn, address(2), SECOND) == -1 &&
	      learn_find(&learn, address(1), 2 * SECOND) == 5, "a port goes, and no other");
	learn_source(&learn, (const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }, 3, SECOND);
	tap_ok(learn_find(&learn, (const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }, SECOND) == -1,
	      "nobody is a group");
}

/* Who claims many addresses gets no more room than there is. */
static void flood(void)
{
	unsigned int found = 0;

	learn_init(&learn, 2);
	for (unsigned int n = 0; n < MANY; n++)
		learn_source(&learn, address(n), n % 128, SECOND + n);
	for (unsigned int n = 0; n < MANY; n++) {
		int port = learn_find(&learn, address(n), 2 * SECOND);

		if (port >= 0 && port != (int)(n % 128))
			found = MANY;
		found += port >= 0;
	}
	tap_ok(found <= LEARN_BUCKETS * LEARN_WAYS && found > LEARN_BUCKETS, "%u of %d are known",
	      found, MANY);
	tap_ok(learn_find(&learn, address(MANY - 1), 2 * SECOND) >= 0, "the latest is");
}

int main(void)
{
	one();
	flood();
	return tap_done();
}
