// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that start to answer all reads with ones, stop answering or are torn out, at
 * any moment: in use, at each access of probe and unbind, and in a reset. The driver must
 * release them all the same, and bind those that come back.
 */
/* rig: newqemu=yes alone=yes devices=none smp=2 timeout=600 */
/* rig: append="watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120" */
#include <pthread.h>

#include "fake.h"
#include "module.h"
#include "users.h"

/*
 * The whole guest stops while QEMU waits for an answer, so the timeout is short, but not
 * so short that an answer comes late: that crashes QEMU. One processor may wait thirty
 * times in a row while the other one waits for it, hence the watchdogs' long timeouts.
 */
#define SILENT "patience=1000"
#define TORN_OUT 4	/* moments of probe, and as many of unbind */
#define RESETS 20
#define WITHIN 3	/* moments of a reset: after some the kernel waits a minute */
#define VANISHING 3

static int bind_pci(const char *pci)
{
	return file_write(PCI_DRIVER "bind", pci);
}

static int unbind_pci(const char *pci)
{
	return file_write(PCI_DRIVER "unbind", pci);
}

/* What went wrong at one of many accesses is noted. */
static int failed_at(const char *what, int access, int result)
{
	if (result)
		tap_note("%s at access %d: %d", what, access, result);
	return result != 0;
}

static int left_at(const char *what, int access)
{
	return failed_at(what, access, nothing_left() ? 0 : -EBUSY);
}

static void works(const char *what)
{
	int fd = dev_open();

	tap_eq(dev_ring_self(fd, 1), 0, "%s: it can be rung", what);
	tap_eq(dev_wait_vector(fd, 1, 20 * SECOND) > 0, true, "%s: the doorbell fires", what);
	close(fd);
}

/* A device breaks under its users, and is unbound or removed. */
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
		/* What the hotplug controller does when it notices. */
		snprintf(path, sizeof(path), PCI_DEVICES "%s/remove", pci);
		tap_eq(file_write(path, "1"), 0, "%s, %s: remove it", mode, facts);
	} else {
		tap_eq(unbind_pci(pci), 0, "%s, %s: unbind it", mode, facts);
	}
	tap_eq(users_end(&users), 0, "%s, %s: all users see its end", mode, facts);
	tap_ok(nothing_left(), "%s, %s: nothing is left behind", mode, facts);
	if (gone)
		return;
	tap_eq(bind_pci(pci), -ENODEV, "%s, %s: it cannot be bound", mode, facts);
	tap_ok(rig_try("expect-log %s: device does not respond", pci),
	       "%s, %s: the log says why", mode, facts);
	rig_ask("fake-mode %s good", name);
	tap_eq(bind_pci(pci), 0, "%s, %s: bind it when it answers again", mode, facts);
	works(mode);
	tap_eq(unbind_pci(pci), 0, "%s, %s: it can be unbound", mode, facts);
}

/* It breaks at each access of probe, then at each access of remove. */
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
			failed += failed_at("unbind after probe", n, unbind_pci(pci));
		}
		left += left_at("probe", n);
		rig_ask("fake-mode %s good", name);
	}
	tap_note("%d times it was bound all the same", bound);
	tap_eq(failed, 0, "%s while it is probed: then it can be unbound", mode);
	for (int n = 1; n <= unbinding; n += step) {
		failed += failed_at("bind", n, bind_pci(pci));
		rig_ask("fake-mode %s %s %d", name, mode, n);
		failed += failed_at("unbind", n, unbind_pci(pci));
		left += left_at("unbind", n);
		rig_ask("fake-mode %s good", name);
	}
	tap_eq(failed, 0, "%s while it is unbound: it can be bound again", mode);
	tap_eq(left, 0, "%s: nothing is ever left behind", mode);
	tap_eq(bind_pci(pci), 0, "%s: then it can be bound", mode);
	works(mode);
	unbind_pci(pci);
}

/* Torn out during probe and during unbind. Such a device never comes back. */
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
		left += left_at(name, moment);
	}
	tap_eq(failed, 0, "torn out: probe is refused, unbind succeeds");
	tap_eq(left, 0, "nothing is left behind");
}

static int reset_pci(const char *pci)
{
	char path[80];

	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", pci);
	return file_write(path, "1");
}

/* A sound device gets a function-level reset (FLR), and its users go on. */
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
	tap_eq(users_end(&users), 0, "good: all users see its end");
}

/*
 * The reset of a broken device. It answers again after @to accesses, as otherwise the
 * kernel waits a minute for it.
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
	tap_eq(users_end(&users), 0, "%s: all users see its end", name);
	tap_ok(nothing_left(), "%s: nothing is left behind", name);
	rig_ask("fake-mode %s good", name);
	tap_eq(bind_pci(pci), 0, "%s: bind it again", name);
	works(name);
	tap_eq(unbind_pci(pci), 0, "%s: it can be unbound", name);
}

/* A device that breaks at an access of its reset, under its users. */
static void test_within(void)
{
	const char *pci = fake_plug("within", "");
	const int moments = rig_cycles(WITHIN);
	int accesses, resets = 0, failed = 0, left = 0;
	struct users users;

	file_comes(RIG_DEVICE, true);
	rig_ask("fake-mode within good");
	tap_eq(reset_pci(pci), 0, "within: it can be reset");
	accesses = atoi(rig_ask("fake-accesses within"));
	for (int i = 0; i < moments; i++) {
		const int n = 1 + i * accesses / moments;

		users_start(&users, RIG_DEVICE);
		rig_ask("fake-mode within ones %d", n);
		resets += !reset_pci(pci);
		failed += failed_at("unbind", n, unbind_pci(pci));
		failed += failed_at("users", n, users_end(&users));
		left += left_at("reset", n);
		rig_ask("fake-mode within good");
		failed += failed_at("bind", n, bind_pci(pci));
	}
	tap_note("%d accesses, %d of %d resets done all the same", accesses, resets, moments);
	tap_eq(failed, 0, "within: all users see its end each time, it could be bound again");
	tap_eq(left, 0, "within: nothing was ever left behind");
	works("within");
	unbind_pci(pci);
}

/* A device that is torn out in its reset. */
struct vanishing {
	const char *name;
	int moment;	/* the access of the reset at which it is gone */
	char node[20], pci[16];
	struct users users;
	pthread_t reset;
};

static void *reset_vanishing(void *vanishing)
{
	reset_pci(((struct vanishing *)vanishing)->pci);
	return NULL;
}

static void remove_vanishing(struct vanishing *v)
{
	char path[80];

	tap_eq(atoi(rig_ask("fake-accesses %s", v->name)), v->moment,
	       "vanishes at access %d: the reset had begun", v->moment);
	snprintf(path, sizeof(path), PCI_DEVICES "%s/remove", v->pci);
	tap_eq(file_write(path, "1"), 0, "vanishes at access %d: remove it", v->moment);
	tap_eq(users_end(&v->users), 0, "vanishes at access %d: all users see its end",
	       v->moment);
}

/*
 * Users access the devices too, so the moments vary, and sometimes the kernel waits a
 * minute for one: for all of them at once.
 */
static void test_vanishing(void)
{
	struct vanishing all[VANISHING] = {
		{ .name = "vanish1", .moment = 4 },
		{ .name = "vanish2", .moment = 20 },
		{ .name = "vanish3", .moment = 36 },
	};

	for (int i = 0; i < VANISHING; i++) {
		snprintf(all[i].node, sizeof(all[i].node), "/dev/ivshmem%d", i);
		snprintf(all[i].pci, sizeof(all[i].pci), "%s", fake_plug(all[i].name, ""));
		file_comes(all[i].node, true);
	}
	for (int i = 0; i < VANISHING; i++) {
		users_start(&all[i].users, all[i].node);
		rig_ask("fake-mode %s gone %d", all[i].name, all[i].moment);
		if (pthread_create(&all[i].reset, NULL, reset_vanishing, &all[i]))
			tap_bail("pthread_create: %s", strerror(errno));
	}
	for (int i = 0; i < VANISHING; i++)
		pthread_join(all[i].reset, NULL);
	for (int i = 0; i < VANISHING; i++)
		remove_vanishing(&all[i]);
	tap_ok(nothing_left(), "nothing is left behind");
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
	test_vanishing();
	tap_eq(module_unload(), 0, "the module can be unloaded");
	return tap_done();
}
