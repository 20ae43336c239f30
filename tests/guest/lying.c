// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that begin to answer all reads with ones, fall silent or are torn out, at
 * any moment: while they are used, at each access of probe and of unbind, in a reset.
 * The driver lets go of them all the same, and takes those that come back.
 */
/* rig: newqemu=yes alone=yes devices=none smp=2 timeout=600 */
/* rig: append="watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120" */
#include "fake.h"
#include "module.h"
#include "users.h"

/* All of the guest stands still while QEMU waits for an answer, so it is not long; nor
 * so short that answers come late: QEMU does not survive those. One processor may ask
 * thirty times in a row, with the other one waiting all the while: that is not for the
 * kernel's watchdogs to report.
 */
#define SILENT "patience=1000"
#define TORN_OUT 4	/* moments of probe, and as many of unbind */
#define RESETS 20
#define WITHIN 3	/* each so manieth access of a reset */

static int bind_pci(const char *pci)
{
	return file_write(PCI_DRIVER "bind", pci);
}

static int unbind_pci(const char *pci)
{
	return file_write(PCI_DRIVER "unbind", pci);
}

static void works(const char *what)
{
	int fd = dev_open();

	tap_eq(dev_ring_self(fd, 1), 0, "%s: it can be rung", what);
	tap_eq(dev_wait_vector(fd, 1, 20 * SECOND) > 0, true, "%s: that comes in", what);
	close(fd);
}

/* A device goes wrong under its users, and is let go of. */
static void test_used(const char *name, const char *mode, const char *facts)
{
	const char *pci = fake_plug(name, facts);
	const bool gone = !strcmp(mode, "gone");
	struct users users;
	char path[80];

	file_comes(RIG_DEVICE, true);
	users_start(&users, RIG_DEVICE);
	rig_ask("fake-mode %s %s", name, mode);
	sleep_ms(100);
	if (gone) {
		/* What the machine does once it has noticed. */
		snprintf(path, sizeof(path), PCI_DEVICES "%s/remove", pci);
		tap_eq(file_write(path, "1"), 0, "%s, %s: remove it", mode, facts);
	} else {
		tap_eq(unbind_pci(pci), 0, "%s, %s: unbind it", mode, facts);
	}
	tap_eq(users_end(&users), 0, "%s, %s: all users saw it go", mode, facts);
	tap_ok(nothing_left(), "%s, %s: nothing is left behind", mode, facts);
	if (gone)
		return;
	tap_eq(bind_pci(pci), -ENODEV, "%s, %s: it cannot be bound", mode, facts);
	tap_ok(rig_try("expect-log %s: device does not respond", pci),
	       "%s, %s: the log says why", mode, facts);
	rig_ask("fake-mode %s good", name);
	tap_eq(bind_pci(pci), 0, "%s, %s: it can once it is good again", mode, facts);
	works(mode);
	tap_eq(unbind_pci(pci), 0, "%s, %s: it can be unbound", mode, facts);
}

/* It goes wrong at each of the accesses of probe, then at those of remove. */
static void test_moments(const char *name, const char *mode, const char *facts,
			 int step)
{
	const char *pci = fake_plug(name, facts);
	int binding, unbinding, bound = 0, failed = 0, left = 0;

	file_comes(RIG_DEVICE, true);
	rig_ask("fake-mode %s good", name);
	unbind_pci(pci);
	unbinding = atoi(rig_ask("fake-accesses %s", name));
	rig_ask("fake-mode %s good", name);
	bind_pci(pci);
	binding = atoi(rig_ask("fake-accesses %s", name));
	unbind_pci(pci);

	tap_note("%d accesses at probe, %d at unbind", binding, unbinding);
	for (int n = 1; n <= binding; n += step) {
		rig_ask("fake-mode %s %s %d", name, mode, n);
		if (!bind_pci(pci)) {
			bound++;
			failed += unbind_pci(pci) != 0;
		}
		left += !nothing_left();
		rig_ask("fake-mode %s good", name);
	}
	tap_note("%d times it was bound all the same", bound);
	tap_eq(failed, 0, "%s while it is probed: then it can be unbound", mode);
	for (int n = 1; n <= unbinding; n += step) {
		failed += bind_pci(pci) != 0;
		rig_ask("fake-mode %s %s %d", name, mode, n);
		failed += unbind_pci(pci) != 0;
		left += !nothing_left();
		rig_ask("fake-mode %s good", name);
	}
	tap_eq(failed, 0, "%s while it is unbound: it can be bound again", mode);
	tap_eq(left, 0, "%s: nothing is ever left behind", mode);
	tap_eq(bind_pci(pci), 0, "%s: at last it is bound", mode);
	works(mode);
	unbind_pci(pci);
}

/* Torn out while it is probed and while it is unbound. None comes back from that. */
static void test_torn_out(void)
{
	const char *pci = fake_plug("torn", "");
	int accesses, moment, ret, failed = 0, left = 0;
	char name[16];

	file_comes(RIG_DEVICE, true);
	unbind_pci(pci);
	rig_ask("fake-mode torn good");
	bind_pci(pci);
	accesses = atoi(rig_ask("fake-accesses torn"));
	unbind_pci(pci);
	for (int i = 0; i < 2 * TORN_OUT; i++) {
		const bool probe = i < TORN_OUT;

		snprintf(name, sizeof(name), "torn%d", i);
		pci = fake_plug(name, "");
		file_comes(RIG_DEVICE, true);
		if (probe)
			unbind_pci(pci);
		moment = 1 + i % TORN_OUT * accesses / TORN_OUT;
		rig_ask("fake-mode %s gone %d", name, moment);
		ret = probe ? bind_pci(pci) : unbind_pci(pci);
		tap_note("%s at access %d of %d: %d", probe ? "probe" : "unbind", moment,
			 accesses, ret);
		failed += ret != (probe ? -ENODEV : 0);
		left += !nothing_left();
	}
	tap_eq(failed, 0, "torn out at probe it is refused, at unbind it goes");
	tap_eq(left, 0, "nothing is left behind");
}

static int reset_pci(const char *pci)
{
	char path[80];

	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", pci);
	return file_write(path, "1");
}

/* A good one is reset by its function (FLR), and its users go on. */
static void test_good(void)
{
	const char *pci = fake_plug("well", "");
	struct users users;
	int failed = 0;

	file_comes(RIG_DEVICE, true);
	users_start(&users, RIG_DEVICE);
	for (int i = 0; i < RESETS; i++) {
		users_mark(&users);
		failed += reset_pci(pci) != 0;
		failed += users_go_on(&users);
	}
	tap_eq(failed, 0, "good: all users go on after each of %d resets", RESETS);
	tap_eq(unbind_pci(pci), 0, "good: it can be unbound");
	tap_eq(users_end(&users), 0, "good: all users saw it go");
}

/* A reset of a device that has gone wrong. It is back after so many accesses, else
 * the kernel waits a minute for it.
 */
static void test_reset(const char *name, const char *mode, const char *facts, int to)
{
	const char *pci = fake_plug(name, facts);
	struct users users;

	file_comes(RIG_DEVICE, true);
	users_start(&users, RIG_DEVICE);
	rig_ask("fake-mode %s %s", name, mode);
	rig_ask("fake-mode %s good %d", name, to);
	tap_note("the reset of %s gives %d", name, reset_pci(pci));
	tap_eq(unbind_pci(pci), 0, "%s: unbind it after the reset", name);
	tap_eq(users_end(&users), 0, "%s: all users saw it go", name);
	tap_ok(nothing_left(), "%s: nothing is left behind", name);
	rig_ask("fake-mode %s good", name);
	tap_eq(bind_pci(pci), 0, "%s: bind it again", name);
	works(name);
	tap_eq(unbind_pci(pci), 0, "%s: it can be unbound", name);
}

/* One that goes wrong at an access of its reset, under its users. */
static void test_within(void)
{
	const char *pci = fake_plug("within", "");
	int accesses, resets = 0, failed = 0, left = 0;
	struct users users;

	file_comes(RIG_DEVICE, true);
	rig_ask("fake-mode within good");
	tap_eq(reset_pci(pci), 0, "within: it can be reset");
	accesses = atoi(rig_ask("fake-accesses within"));
	for (int n = 1; n <= accesses; n += WITHIN) {
		users_start(&users, RIG_DEVICE);
		rig_ask("fake-mode within ones %d", n);
		resets += !reset_pci(pci);
		failed += unbind_pci(pci) != 0;
		failed += users_end(&users) != 0;
		left += !nothing_left();
		rig_ask("fake-mode within good");
		failed += bind_pci(pci) != 0;
	}
	tap_note("%d accesses, %d resets done all the same", accesses, resets);
	tap_eq(failed, 0, "within: all users saw it go each time, it could be bound again");
	tap_eq(left, 0, "within: nothing was ever left behind");
	works("within");
	unbind_pci(pci);
}

/* And one that is torn out then. Its users access it as well, so the moment differs from
 * run to run, and in some the kernel waits a minute for it.
 */
static void test_vanishes(const char *name, int moment)
{
	const char *pci = fake_plug(name, "");
	struct users users;
	char path[80];

	file_comes(RIG_DEVICE, true);
	users_start(&users, RIG_DEVICE);
	rig_ask("fake-mode %s gone %d", name, moment);
	reset_pci(pci);
	tap_eq(atoi(rig_ask("fake-accesses %s", name)), moment,
	       "vanishes: that was in the reset");
	snprintf(path, sizeof(path), PCI_DEVICES "%s/remove", pci);
	tap_eq(file_write(path, "1"), 0, "vanishes at access %d: remove it", moment);
	tap_eq(users_end(&users), 0, "vanishes at access %d: all users saw it go", moment);
	tap_ok(nothing_left(), "vanishes at access %d: nothing is left behind", moment);
}

int main(void)
{
	test_used("ones", "ones", "");
	test_used("onesall", "ones", "bar2=0x10000 mapped=0");
	test_used("silent", "silent", SILENT);
	test_used("gone", "gone", "");
	test_used("goneall", "gone", "bar2=0x10000 mapped=0");
	test_moments("moment", "ones", "", 1);
	test_moments("still", "silent", SILENT, 10);
	test_torn_out();
	test_good();
	test_reset("before", "ones", "", 150);
	test_reset("quiet", "silent", SILENT, 10);
	test_within();
	test_vanishes("vanish1", 4);
	test_vanishes("vanish2", 20);
	test_vanishes("vanish3", 36);
	tap_eq(module_unload(), 0, "the module can go");
	return tap_done();
}
