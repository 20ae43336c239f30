// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a partition for vsock: it is removed from the label; in guest 0 its device is reset,
 * unbound and removed, and its driver is unbound and unloaded, under load; in the end the guest
 * dies with a thousand connections, and guest 2 is switched off. Each time the connections
 * with guest 1 end at both ends with ECONNRESET, and those of the others stay. What
 * is left of them does nothing to the next ones by the same ports. So do
 * all while a guest stands still for less than the others have patience for.
 */
/* rig: guests=3 devices=doorbell vectors=4 size=16M bridges=yes over=pci,polled timeout=240
 * rig: modules=vmw_vsock_virtio_transport_common
 */
#include <poll.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#include "labels.h"
#include "vsock.h"

#define CROWD	1000
#define AGAIN	2100	/* a port of guest 1 */
#define OWN	2200	/* a port of guest 0 */

/* A connection that stays as it is, one with something to read, and one that somebody reads. */
struct ends {
	int idle;
	int greeted;
	int read;
	pid_t reader;
};

/* Connect to a socket that holds the connection, and get its greeting. */
static int greeted(unsigned int cid)
{
	int fd = vsock_connect(SOCK_STREAM, cid, VSOCK_HOLD);
	char word[sizeof(VSOCK_GREETING)];

	return fd < 0 ? fd : vsock_receive(fd, word, strlen(VSOCK_GREETING)) ?: fd;
}

static struct ends connect_to(int guest)
{
	unsigned int cid = vsock_cid(guest);
	struct ends ends = {
		.idle = greeted(cid),
		.greeted = vsock_connect(SOCK_STREAM, cid, VSOCK_HOLD),
		.read = greeted(cid),
	};
	struct pollfd come = { .fd = ends.greeted, .events = POLLIN };
	char byte;

	tap_ok(ends.idle >= 0 && ends.greeted >= 0 && ends.read >= 0, "connect to guest %d (%d)",
	       guest, ends.idle);
	tap_eq(poll(&come, 1, 30000), 1, "a greeting comes");
	fflush(stdout);
	ends.reader = fork();
	if (!ends.reader)
		_exit(recv(ends.read, &byte, 1, 0) < 0 ? errno : 0);
	return ends;
}

/* All of them end. */
static void expect_reset(struct ends *ends, const char *what)
{
	struct pollfd idle = { .fd = ends->idle };
	char word[sizeof(VSOCK_GREETING)] = "";
	int status = 0, error;

	tap_eq(poll(&idle, 1, 60000), 1, "%s: the connection ends", what);
	tap_ok(idle.revents & POLLERR, "%s: with an error", what);
	tap_eq(result(recv(ends->idle, word, 1, 0)), -ECONNRESET, "%s: who reads is told", what);
	error = result(send(ends->idle, word, 1, MSG_NOSIGNAL));
	tap_ok(error == -ECONNRESET || error == -EPIPE, "%s: who sends too (%d)", what, error);
	tap_eq(vsock_receive(ends->greeted, word, strlen(VSOCK_GREETING)), 0,
	       "%s: what came before can be read", what);
	tap_ok(!strcmp(word, VSOCK_GREETING), "%s: and is what was sent", what);
	tap_eq(result(recv(ends->greeted, word, 1, 0)), -ECONNRESET, "%s: then the error", what);
	tap_eq(waitpid(ends->reader, &status, 0), ends->reader, "%s: who waits is woken", what);
	tap_eq(WEXITSTATUS(status), ECONNRESET, "%s: and told", what);
	close(ends->idle);
	close(ends->greeted);
	close(ends->read);
}

/* Connect, send and close without end, to both others. */
static pid_t load(void)
{
	static char data[10000];
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child)
		return child;
	for (unsigned int i = 0;; i++) {
		unsigned int cid = vsock_up((rig_guest() + 1 + i % 2) % 3);
		int fd = cid ? vsock_connect(SOCK_STREAM, cid, VSOCK_ECHO) : -1;

		if (fd >= 0 && !vsock_send(fd, data, sizeof(data)))
			vsock_receive(fd, data, sizeof(data));
		if (fd >= 0)
			close(fd);
		else
			sleep_ms(10);
	}
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void reset(void)
{
	tap_eq(sh("pci=$(basename $(readlink -f /sys/class/ivshmem/ivshmem0/device));"
		  "echo 1 >/sys/bus/pci/devices/$pci/reset"), 0, "reset");
}

static void unbind_node(void)
{
	tap_eq(sh("cd /sys/bus/ivshmem/drivers/ivshmem_vsock && "
		  "echo ivshmem0p1 >unbind && echo ivshmem0p1 >bind"), 0, "unbind the partition");
}

static void unbind_device(void)
{
	tap_eq(sh("pci=$(basename $(readlink -f /sys/class/ivshmem/ivshmem0/device));"
		  "cd /sys/bus/pci/drivers/ivshmem && echo $pci >unbind && echo $pci >bind"), 0,
	       "unbind the device");
}

static void remove_device(void)
{
	tap_eq(sh("pci=$(basename $(readlink -f /sys/class/ivshmem/ivshmem0/device));"
		  "echo 1 >/sys/bus/pci/devices/$pci/remove && echo 1 >/sys/bus/pci/rescan"), 0,
	       "remove the device");
}

/* Sockets keep the module: so they are reset first, and then closed by who has them. */
static void unload(void)
{
	tap_ok(sh("rmmod ivshmem_vsock 2>/dev/null"), "with sockets it cannot be unloaded");
	tap_eq(sh("echo ivshmem0p1 >/sys/bus/ivshmem/drivers/ivshmem_vsock/unbind"), 0, "unbind");
}

static const struct {
	const char *name;
	void (*run)(void);
} changes[] = {
	{ "reset", reset },
	{ "partition unbound", unbind_node },
	{ "device unbound", unbind_device },
	{ "device removed", remove_device },
	{ "driver unloaded", unload },
};

#define CHANGES (sizeof(changes) / sizeof(changes[0]))

/* What one guest does, and what the others see of it. */
static void change(unsigned int i)
{
	int me = rig_guest();
	struct ends ends;

	if (me < 2)
		ends = connect_to(1 - me);
	rig_ask("barrier connected");
	if (!me)
		changes[i].run();
	if (me < 2)
		expect_reset(&ends, changes[i].name);
}

/* The driver can be unloaded when its sockets are closed. */
static void reload(void)
{
	vsock_end();
	vsock_unload();
	vsock_load();
	vsock_serve();
}

/* A connection of the others, which nothing disturbs. */
static bool stays(int fd)
{
	char sent[300] = "all the time", came[300];

	return !vsock_send(fd, sent, sizeof(sent)) && !vsock_receive(fd, came, sizeof(came)) &&
	       !memcmp(sent, came, sizeof(came));
}

static void live(int witness)
{
	pid_t child = load();

	for (unsigned int i = 0; i < CHANGES; i++) {
		change(i);
		if (rig_guest())
			tap_ok(stays(witness), "%s: others keep their connections",
			       changes[i].name);
		if (!rig_guest() && changes[i].run == unload) {
			end(child);
			reload();
			child = load();
		}
		rig_ask("barrier changed");
		for (int guest = 0; guest < 3; guest++)
			if (guest != rig_guest())
				tap_ok(vsock_reaches(guest), "%s: it reaches guest %d",
				       changes[i].name, guest);
		rig_ask("barrier on");
	}
	end(child);
}

/* A label without the partition: guest 0 writes it, and all look at it. */
static void lose_partition(void)
{
	int me = rig_guest();
	unsigned int cid = vsock_cid(!me);
	struct ends ends;

	if (me < 2)
		ends = connect_to(1 - me);
	rig_ask("barrier inuse");
	if (!me)
		tap_eq(sh("ivshmemctl partition remove vsock --force"), 0, "remove the partition");
	rig_ask("barrier removed");
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "look at the label");
	if (me < 2)
		expect_reset(&ends, "partition removed");
	tap_eq(vsock_connect(SOCK_STREAM, cid, VSOCK_HOLD), -ENODEV,
	       "there is no vsock any more");
	rig_ask("barrier without");
	vsock_make();
	tap_ok(file_comes(VSOCK_NODE "cid_base", true), "it is back");
}

static void set_patience(const char *ms)
{
	char command[100];

	snprintf(command, sizeof(command),
		 "echo %s >/sys/module/ivshmem_vsock/parameters/patience_ms", ms);
	tap_eq(sh(command), 0, "a patience of %s ms", ms);
}

/* Guest 0 stands still for longer than its presence lasts. */
static void stand_still(const char *freeze)
{
	rig_ask("barrier still");
	if (!rig_guest())
		rig_ask("%s", freeze);
}

static void be_patient(void)
{
	int me = rig_guest(), fd = -1;
	struct ends ends;

	if (me < 2)
		fd = vsock_connect(SOCK_STREAM, vsock_cid(1 - me), VSOCK_ECHO);
	set_patience("60000");
	stand_still("freeze 3");
	rig_ask("barrier patient");
	if (me < 2) {
		tap_ok(stays(fd), "a connection outlives a pause");
		close(fd);
		ends = connect_to(1 - me);
	}
	stand_still("freeze 8");
	if (me)
		sleep_ms(2000);
	set_patience("0");	/* for those who see it already as well */
	if (me < 2)
		expect_reset(&ends, "no patience");
	rig_ask("barrier impatient");
}

/* Accept, and get the first of what is sent. */
static int accept_from(int listener, char *data, size_t size)
{
	int fd = accept(listener, NULL, NULL);

	tap_ok(fd >= 0 && !vsock_receive(fd, data, size), "something comes from the port");
	return fd;
}

/* Guest 0 loses its link, and connects again from the same port. */
static void connect_again(void)
{
	unsigned int cid = vsock_cid(1);
	char data[1000] = "";
	struct pollfd ends;
	int fd;

	rig_ask("barrier listens");
	fd = vsock_connect_from(OWN, SOCK_STREAM, cid, AGAIN);
	tap_eq(vsock_send(fd, data, sizeof(data)), 0, "connect from a port (%d)", fd);
	rig_ask("barrier once");
	unbind_node();
	ends = (struct pollfd){ .fd = fd };
	tap_eq(poll(&ends, 1, 60000), 1, "the connection ends");
	close(fd);
	tap_eq(vsock_cid(1), cid, "the link is back");
	fd = vsock_connect_from(OWN, SOCK_STREAM, cid, AGAIN);
	tap_eq(vsock_send(fd, data, 1), 0, "connect from the same port (%d)", fd);
	rig_ask("barrier twice");
	rig_ask("barrier drained");
	tap_eq(vsock_send(fd, data, sizeof(data)), 0, "the new connection can be sent to");
	tap_eq(vsock_receive(fd, data, sizeof(data)), 0, "and be read");
	close(fd);
}

/* Guest 1 reads what came by the old connection when the new one is there. */
static void drain_late(void)
{
	int listener = vsock_listen(SOCK_STREAM, AGAIN), old, new;
	char data[1000];

	rig_ask("barrier listens");
	old = accept_from(listener, data, 1);
	rig_ask("barrier once");
	new = accept_from(listener, data, 1);
	rig_ask("barrier twice");
	tap_eq(vsock_receive(old, data, sizeof(data) - 1), 0, "what came before can be read");
	tap_eq(result(recv(old, data, 1, 0)), -ECONNRESET, "then the error");
	shutdown(old, SHUT_RDWR);
	close(old);
	rig_ask("barrier drained");
	tap_eq(vsock_receive(new, data, sizeof(data)), 0, "the new connection is as it was");
	tap_eq(vsock_send(new, data, sizeof(data)), 0, "in both directions");
	close(new);
	close(listener);
}

static void stand_by(void)
{
	rig_ask("barrier listens");
	rig_ask("barrier once");
	rig_ask("barrier twice");
	rig_ask("barrier drained");
}

static void meet_again(void)
{
	static void (*const roles[])(void) = { connect_again, drain_late, stand_by };

	set_patience("1000");
	roles[rig_guest()]();
	rig_ask("barrier again");
}

/* Have very many connections with the guest that dies. */
static void see_it_die(int witness)
{
	unsigned int cid = vsock_cid(0);
	static int fds[CROWD];
	struct pollfd first;
	int wrong = 0;
	char byte;

	for (int i = 0; i < CROWD; i++)
		fds[i] = greeted(cid);
	tap_ok(fds[0] >= 0 && fds[CROWD - 1] >= 0, "%d connections (%d)", CROWD, fds[CROWD - 1]);
	rig_ask("barrier crowd");
	first = (struct pollfd){ .fd = fds[0] };
	tap_eq(poll(&first, 1, 120000), 1, "the guest dies");
	for (int i = 0; i < CROWD; i++) {
		wrong += result(recv(fds[i], &byte, 1, 0)) != -ECONNRESET;
		close(fds[i]);
	}
	tap_eq(wrong, 0, "all of them are reset");
	tap_eq(vsock_connect(SOCK_STREAM, cid, VSOCK_HOLD), -ENODEV, "nobody is there");
	tap_ok(stays(witness), "others keep their connections");
}

/* Guest 2 is switched off. It says so, and needs no patience. */
static void see_it_off(int witness)
{
	int fd = greeted(vsock_cid(2));
	struct pollfd ends = { .fd = fd };
	char byte;

	set_patience("60000");
	close(witness);
	vsock_end();	/* of what the other one waits for */
	tap_eq(poll(&ends, 1, 50000), 1, "a machine is switched off: the connection ends");
	tap_eq(result(recv(fd, &byte, 1, 0)), -ECONNRESET, "who reads is told");
	close(fd);
}

/* No barrier is passed without the dead guest: wait until the other one is done. */
static void switch_off(int witness)
{
	char byte;

	tap_eq(result(recv(witness, &byte, 1, 0)), 0, "the connection of the others ends");
	tap_done();
	rig_ask("power-off");
	reboot(RB_POWER_OFF);
}

int main(void)
{
	int me = rig_guest(), witness = -1;

	vsock_make();
	vsock_load();
	vsock_serve();
	rig_ask("barrier loaded");
	lose_partition();
	if (me)
		witness = vsock_connect(SOCK_STREAM, vsock_cid(3 - me), VSOCK_ECHO);
	be_patient();
	meet_again();
	live(witness);
	if (me == 1)
		see_it_die(witness);
	else
		rig_ask("barrier crowd");
	if (!me) {
		tap_done();
		rig_ask("kill");
	}
	if (me == 2)
		switch_off(witness);
	see_it_off(witness);
	vsock_unload();
	return tap_done();
}
