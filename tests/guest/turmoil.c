// SPDX-License-Identifier: GPL-2.0-only
/*
 * All events in the life of a device, in random order, under every kind of user. Users
 * survive what the device survives; otherwise device and users start again. SEED= repeats
 * an order.
 */
/* rig: alone=yes turns=yes bridges=yes devices=doorbell size=4M timeout=1200 over=pci,polled */
#include <sys/wait.h>

#include "module.h"
#include "users.h"

#define DEVICE "0000:01:01.0"
#define RESET PCI_DEVICES DEVICE "/reset"

static char node[32];
static struct users users;

/* Can the device be rung? It has no id before it has a slot. */
static bool has_id(void)
{
	int64_t end = now_ns() + USER_SECONDS * SECOND;
	int fd = dev_open_at(node, O_RDWR);
	bool known;

	while (!(known = dev_info(fd).id != IVSHMEM_ID_UNKNOWN) && now_ns() < end)
		sleep_ms(10);
	close(fd);
	return known;
}

/* The device is back, perhaps with another number. */
static int come(void)
{
	int number = dev_number_of(DEVICE);

	snprintf(node, sizeof(node), "/dev/ivshmem%d%s", number, rig_over("polled") ? "p1" : "");
	if (!file_comes(node, true) || !has_id())
		tap_bail("no %s", node);
	users_start(&users, node);
	return 0;
}

/* Doorbells reach all waiters, and all other users go on. */
static int all_well(void)
{
	int fd = dev_open_at(node, O_RDWR);

	users_mark(&users);
	for (uint32_t v = 0; v < USER_VECTORS; v++)
		dev_ring_self(fd, v);
	close(fd);
	return users_go_on(&users);
}

static int unbind(void)
{
	int failed = file_write(PCI_DRIVER "unbind", DEVICE) != 0;

	failed += users_end(&users);
	failed += file_write(PCI_DRIVER "bind", DEVICE) != 0;
	return failed + come();
}

static int remove_and_rescan(void)
{
	int failed = file_write(PCI_DEVICES DEVICE "/remove", "1") != 0;

	failed += users_end(&users);
	failed += file_write("/sys/bus/pci/rescan", "1") != 0;
	return failed + come();
}

static int unload_refused(void)
{
	int failed = module_unload() != -EWOULDBLOCK;

	return failed + all_well();
}

/* Unload the module as soon as the last killed user has released the device. */
static int unload(void)
{
	int64_t end = now_ns() + USER_SECONDS * SECOND;
	int failed;

	users_kill(&users);
	while (module_unload() && now_ns() < end)
		;
	failed = users_end(&users) + (module_load() != 0);
	return failed + come();
}

/* Reset the device, which must wake all waiters without a doorbell. */
static int reset(void)
{
	int failed;

	users_mark(&users);
	failed = file_write(RESET, "1") != 0;
	failed += users_go_on(&users);
	return failed + all_well();
}

static int sleep_and_wake(void)
{
	int failed;

	users_mark(&users);
	failed = rig_sleep() != 0;
	failed += users_go_on(&users);
	return failed + all_well();
}

/* Another device comes and goes, with users of its own. */
static int plug(void)
{
	struct users others;
	char other[32];
	int failed;

	snprintf(other, sizeof(other), "/dev/ivshmem%d", dev_number_of(DEVICE) == 0);
	rig_ask("plug plain hot 4M");
	if (!file_comes(other, true))
		tap_bail("no %s", other);
	users_start(&others, other);
	rig_ask("unplug hot");
	failed = users_end(&others) + !file_comes(other, false);
	return failed + all_well();
}

/* Both need the device exclusively. */
static int unbind_in_resets(void)
{
	pid_t pid = fork();
	int failed, status;

	if (!pid) {
		for (int i = 0; i < 10; i++)
			if (file_write(RESET, "1"))
				_exit(1);
		_exit(0);
	}
	failed = unbind();
	waitpid(pid, &status, 0);
	return failed + (status != 0) + all_well();
}

static bool can_always(void)
{
	return true;
}

static bool can_reset(void)
{
	return !access(RESET, F_OK);
}

static const struct {
	const char *name;
	int (*run)(void);
	bool (*possible)(void);
} events[] = {
	{ "unbind and bind", unbind, can_always },
	{ "remove and rescan", remove_and_rescan, can_always },
	{ "refuse to unload", unload_refused, can_always },
	{ "unload and load", unload, can_always },
	{ "plug and unplug another", plug, can_always },
	{ "reset", reset, can_reset },
	{ "reset and unbind at once", unbind_in_resets, can_reset },
	{ "sleep and wake", sleep_and_wake, rig_can_sleep },
};

#define EVENTS (int)(sizeof(events) / sizeof(events[0]))

int main(void)
{
	const unsigned int seed = rig_said("RIG_SEED", now_ns() / 1000 % 1000000);
	const int rounds = rig_cycles(rig_over("polled") ? 40 : 100);
	int times[EVENTS] = { 0 }, failed, fd = dev_open();

	/* Without doorbells all_well() cannot reach the waiters. */
	if (!dev_interrupts(fd, "all that can happen"))
		return tap_done();
	close(fd);
	srand(seed);
	come();
	for (int i = 0; i < rounds; i++) {
		/* Each once, then at random. */
		int e = i < EVENTS ? i : rand() % EVENTS;

		if (!events[e].possible())
			continue;
		times[e]++;
		failed = events[e].run();
		if (failed)
			tap_eq(failed, 0, "%s (SEED=%u, round %d)", events[e].name,
			       seed, i);
	}
	users_kill(&users);
	users_end(&users);
	for (int e = 0; e < EVENTS; e++) {
		if (events[e].possible())
			tap_ok(times[e], "%s, %d times (SEED=%u)", events[e].name,
			       times[e], seed);
		else
			tap_skip(events[e].name, "this machine or kernel cannot");
	}
	module_clean();
	return tap_done();
}
