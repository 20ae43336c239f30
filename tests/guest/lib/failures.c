// SPDX-License-Identifier: GPL-2.0-only
/* Allocations that fail: see failures.h. */
#include "../failures.h"

#define DEBUG "/sys/kernel/debug/"

static int fail_nth;

/* These settings only let fail-nth reach all allocations; by themselves none fails. */
void failures_begin(void)
{
	static const char * const settings[][2] = {
		{ DEBUG "failslab/ignore-gfp-wait", "N" },
		{ DEBUG "failslab/cache-filter", "N" },
		{ DEBUG "failslab/verbose", "0" },
		{ DEBUG "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUG "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUG "fail_page_alloc/min-order", "0" },
		{ DEBUG "fail_page_alloc/verbose", "0" },
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (file_write(settings[i][0], settings[i][1]))
			tap_bail("%s: %s", settings[i][0], strerror(errno));
	fail_nth = dev_open_at(FAIL_NTH, O_RDWR);
}

/* Let the Nth allocation from now on fail; 0 ends that. */
static void arm(unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fail_nth, text, length, 0) != length)
		tap_bail("fail-nth: %s", strerror(errno));
}

/* Disarm; gives how many allocations were left before the failure, 0 if it happened. */
static unsigned int disarm(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		tap_bail("fail-nth: %s", strerror(errno));
	arm(0);
	return atoi(text);
}

static bool completes(const struct operation *op)
{
	bool good = !op->check || op->check();

	if (op->undo)
		op->undo();
	return good;
}

/* The number of the first allocation to fail. */
static unsigned int first_failure(const struct operation *op)
{
	unsigned int many = 1000000, points;

	if (!op->last)
		return 1;
	arm(many);
	if (op->run())
		tap_bail("%s: fails although no allocation failed", op->name);
	points = many - disarm();
	completes(op);
	return points > op->last ? points - op->last : 1;
}

static void fail_each(const struct operation *op)
{
	unsigned int nth, failed = 0, survived = 0, wrong = 0;
	unsigned int first = first_failure(op);

	for (nth = first;; nth++) {
		bool fired;
		int ret;

		arm(nth);
		ret = op->run();
		fired = !disarm();
		if (!fired && ret)
			tap_bail("%s: %s although no allocation failed", op->name,
				 strerror(-ret));
		if (ret && ret != -ENOMEM && ret != -op->also) {
			tap_note("%s: failure of allocation %u gives %s", op->name, nth,
				 strerror(-ret));
			wrong++;
		}
		if (!ret && !completes(op)) {
			tap_note("%s: succeeds but is incomplete after failure of allocation %u",
				 op->name, nth);
			wrong++;
		}
		if (!fired)
			break;
		failed += ret != 0;
		survived += ret == 0;
		if (op->slow && nth % 16)
			continue;
		ret = op->run();
		if (ret || !completes(op)) {
			tap_note("%s: the next try after failure of allocation %u: %s", op->name,
				 nth, ret ? strerror(-ret) : "incomplete");
			wrong++;
		}
	}
	tap_eq(wrong, 0, "%s: each of %u allocations failed: %u times cleanly, %u times unnoticed",
	       op->name, nth - first, failed, survived);
}

void fail_all(const struct operation *ops, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fail_each(&ops[i]);
}
