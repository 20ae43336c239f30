// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Polled doorbells, see docs/label-format.md.
 *
 * A peer counts in its own section: that it has rung a vector of another, and that it has rung
 * that other at all. So a look costs the receiver one word of each section. Where that has
 * changed, it reads a row of counters; of a few sections at most in one look, whatever
 * strangers write there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "park.h"
#include "polled.h"

#define ROWS_PER_LOOK	8
#define MICROSECOND	1000
#define LEAST_US	200
#define USUAL_US	1000
#define MOST_US		10000
#define BUSY_NS		INT64_C(20000000)	/* after something has come, look more often */
#define IDLE_NS		(10 * NSEC_PER_SEC)	/* after nothing has, less often */

static int64_t usual_interval(void)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;
	const char *text = secure_getenv("IVSHMEM_POLL_US");
	long value = USUAL_US;
	char *end;

	if (text && *text) {
		value = strtol(text, &end, 10);
		if (*end || value < LEAST_US || value > MOST_US) {
			if (!atomic_flag_test_and_set(&said))
				ivshmem_write_always("IVSHMEM_POLL_US is not a number from %d to %d",
						     LEAST_US, MOST_US);
			value = USUAL_US;
		}
	}
	return (int64_t)value * MICROSECOND;
}

int ivshmem_polled_init(struct polled *polled, const struct slots *slots)
{
	polled->slots = slots;
	polled->interval = usual_interval();
	polled->seen = calloc(slots->count, (1 + slots->vectors) * sizeof(*polled->seen));
	return polled->seen ? 0 : -ENOMEM;
}

void ivshmem_polled_free(struct polled *polled)
{
	free(polled->seen);
}

/* Where the counters of a section are. */

static _Atomic uint32_t *rung(const struct slots *slots, uint32_t from, uint32_t to)
{
	return &ivshmem_section(slots, from)->counters[to];
}

static _Atomic uint32_t *row(const struct slots *slots, uint32_t from, uint32_t to)
{
	return &ivshmem_section(slots, from)->counters[slots->count + to * slots->vectors];
}

static uint32_t *seen(const struct polled *polled, uint32_t slot)
{
	return polled->seen + slot * (1 + polled->slots->vectors);
}

/* Other threads of this program ring as well. */
void ivshmem_polled_ring(const struct slots *slots, uint32_t slot, uint32_t vector)
{
	atomic_fetch_add(&row(slots, slots->own, slot)[vector], 1);
	atomic_fetch_add(rung(slots, slots->own, slot), 1);
}

/* Take in a row. The peer that rang may have left since, so it counts without an owner, too. */
static bool take_row(const struct polled *polled, uint32_t slot, struct polled_counts *counts)
{
	const struct slots *slots = polled->slots;
	const _Atomic uint32_t *now = row(slots, slot, slots->own);
	uint32_t *before = seen(polled, slot) + 1;
	bool any = false;
	uint32_t vector;

	for (vector = 0; vector < slots->vectors; vector++) {
		uint32_t count = atomic_load(&now[vector]);

		if (count == before[vector])
			continue;
		counts->vectors[vector] += count - before[vector];
		before[vector] = count;
		any = true;
	}
	return any;
}

void ivshmem_polled_arrive(struct polled *polled)
{
	const struct slots *slots = polled->slots;
	struct polled_counts ignored = { 0 };
	uint32_t slot;

	for (slot = 0; slot < slots->count; slot++) {
		*seen(polled, slot) = atomic_load(rung(slots, slot, slots->own));
		take_row(polled, slot, &ignored);
	}
}

bool ivshmem_polled_look(struct polled *polled, struct polled_counts *counts)
{
	const struct slots *slots = polled->slots;
	unsigned int rows = 0;
	bool any = false;
	uint32_t n, slot;

	for (n = 0; n < slots->count; n++) {
		uint32_t count;

		slot = (polled->next + n) % slots->count;
		count = atomic_load(rung(slots, slot, slots->own));
		if (count == *seen(polled, slot) || slot == slots->own)
			continue;
		/* The others have their turn in the next look. */
		if (rows++ == ROWS_PER_LOOK) {
			polled->next = slot;
			break;
		}
		*seen(polled, slot) = count;
		any |= take_row(polled, slot, counts);
	}
	if (any)
		polled->stirred = ivshmem_now();
	return any;
}

static int64_t at_least(int64_t value, int64_t limit)
{
	return value < limit ? limit : value;
}

static int64_t at_most(int64_t value, int64_t limit)
{
	return value > limit ? limit : value;
}

/* Neither idle nor, unless something has just come, busy. */
void ivshmem_polled_begin(struct polled *polled)
{
	polled->stirred = at_least(polled->stirred, ivshmem_now() - BUSY_NS);
}

int64_t ivshmem_polled_interval(const struct polled *polled, int64_t time)
{
	int64_t since = time - polled->stirred;

	if (since < BUSY_NS)
		return at_least(polled->interval / 4, LEAST_US * MICROSECOND);
	if (since > IDLE_NS)
		return at_most(polled->interval * 4, MOST_US * MICROSECOND);
	return polled->interval;
}
