// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is present, as the library hears it from the driver: two devices with the same memory are
 * peers (lib/backend_device.c).
 */
/* rig: devices=plain,plain size=1M,1M alone=yes */
#include <errno.h>
#include <ivshmem_channel.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "module.h"
#include "peers.h"

#define SIZE	(1UL << 20)
#define BUS	"/sys/bus/ivshmem/devices/"
/* In a channel, each sleep is twice as long as the one before: then there are no short ones. */
#define LONG_MS	5500
/* Less than the rest of such a sleep. */
#define TOLD_MS	3000

static struct ivshmem *must_open(const char *name)
{
	struct ivshmem *handle;
	int error = ivshmem_open(&handle, name, 0);

	if (error)
		tap_bail("cannot open: %s", ivshmem_error(error));
	return handle;
}

static void store_label(void)
{
	struct ivshmem_label label = label_new(SIZE);
	struct ivshmem *handle = must_open("ivshmem0");
	void *region;

	tap_eq(ivshmem_peers(handle, NULL, 0), -EOPNOTSUPP, "without a label nobody is reported");
	tap_eq(ivshmem_list_peers(handle, NULL, 0), -EOPNOTSUPP, "nor listed");
	if (ivshmem_map(handle, 0, 0, &region))
		tap_bail("no mapping");
	label_add_peers(&label, 4, 1);
	label_store(region, &label);
	ivshmem_close(handle);
	if (file_write(BUS "ivshmem0/rescan", "1"))
		tap_bail("the label is refused");
}

static bool is_readable(struct ivshmem *handle, int ms)
{
	struct pollfd ready = { .fd = ivshmem_fd(handle), .events = POLLIN };

	return poll(&ready, 1, ms) == 1;
}

/* Ask, until there are so many others; between two questions poll without a timeout. */
static void become(struct ivshmem *handle, int count, uint32_t *id)
{
	while (ivshmem_peers(handle, id, 1) != count)
		if (!is_readable(handle, -1))
			tap_bail("no news");
}

static void test_arrival(struct ivshmem *one)
{
	struct ivshmem_peer peers[3] = { 0 };
	uint32_t id = 0;

	tap_about("arrival");
	while (ivshmem_list_peers(one, NULL, 0) != 1)
		if (!is_readable(one, -1))
			tap_bail("no slot");
	tap_eq(ivshmem_peers(one, NULL, 0), 0, "nobody else is there");
	tap_ok(!is_readable(one, 0), "and nothing is new");
	tap_eq(file_write(BUS "ivshmem1/rescan", "1"), 0, "the other device is told of the label");
	become(one, 1, &id);
	tap_eq(id, 0xff01, "it has the second slot");
	tap_eq(ivshmem_list_peers(one, peers, 3), 2, "both are listed");
	tap_ok(peers[0].self && !peers[0].slot && peers[0].id == 0xff00, "this device first");
	tap_ok(!peers[1].self && peers[1].slot == 1 && peers[1].kind == IVSHMEM_KIND_GUEST,
	       "then the other, a guest");
	tap_ok(peers[1].owner && peers[1].generation == 1 && !strcmp(peers[0].name, peers[1].name),
	       "with what it says about itself: %s", peers[1].name);
}

/* Messages, up to an error. */
static void *receive(void *channel)
{
	int64_t got;
	char byte;

	do {
		got = ivshmem_channel_recv(channel, &byte, 1, IVSHMEM_FOREVER);
	} while (got >= 0);
	return (void *)(intptr_t)got;
}

/* The other device has no time to close the channel: it will be gone. */
static void test_sleeper(struct ivshmem *one)
{
	struct ivshmem_channel_options options = { .offset = SIZE / 2, .size = SIZE / 16 };
	struct ivshmem_channel *channel, *other;
	pthread_t thread;
	int64_t start;
	void *ret;

	if (ivshmem_channel_create(one, &options, &channel) ||
	    ivshmem_channel_attach(must_open("ivshmem1"), &options, 0, &other))
		tap_bail("no channel");
	pthread_create(&thread, NULL, receive, channel);
	tap_eq(ivshmem_channel_send(other, "", 1, 0, IVSHMEM_FOREVER), 0, "a channel to it");
	sleep_ms(LONG_MS);
	start = now_ns();
	tap_eq(file_write(PCI_DRIVER "unbind", dev_pci(1)), 0, "the other device leaves");
	pthread_join(thread, &ret);
	tap_eq((intptr_t)ret, -EPIPE, "who sleeps in the channel is told");
	tap_ok(now_ns() - start < TOLD_MS * 1000000LL, "soon");
	ivshmem_channel_close(channel);
}

static void test_leave(struct ivshmem *one)
{
	uint32_t id;

	tap_about("leave");
	test_sleeper(one);
	become(one, 0, &id);
	tap_eq(ivshmem_list_peers(one, NULL, 0), 1, "this one is left");
}

/* A peer that only the memory shows, such as a guest that then dies. */
static void test_silence(struct ivshmem *one)
{
	volatile struct ivshmem_peer_section *section;
	struct ivshmem_peer peers[3];
	uint32_t id;
	void *region;

	tap_about("silence");
	if (ivshmem_map(one, 0, 0, &region))
		tap_bail("no mapping");
	struct ivshmem_label label = label_new(SIZE);

	label_add_peers(&label, 4, 1);
	section = peers_section(region, &label, 3);
	section->kind = IVSHMEM_PEER_HOST;
	section->id = 7;
	strcpy((char *)section->name, "program");
	section->state = IVSHMEM_PEER_PRESENT;
	section->owner = 99;
	become(one, 1, &id);
	tap_eq(id, 7, "somebody with a doorbell id is there");
	tap_ok(ivshmem_list_peers(one, peers, 3) == 2 && peers[1].slot == 3 &&
	       peers[1].kind == IVSHMEM_KIND_PROGRAM && !strcmp(peers[1].name, "program"),
	       "a program");
	become(one, 0, &id);
	tap_ok(true, "and not any more when it is silent");
	section->owner = 0;
}

static void test_no_label(struct ivshmem *one)
{
	void *region;

	tap_about("no label");
	if (ivshmem_map(one, 0, 0, &region))
		tap_bail("no mapping");
	memset(region, 0, 64 << 10);
	tap_eq(file_write(BUS "ivshmem0/rescan", "1"), 0, "the label goes");
	tap_eq(ivshmem_peers(one, NULL, 0), -EOPNOTSUPP, "then nobody is reported");
	tap_eq(ivshmem_ring(one, 0, 0), -EOPNOTSUPP, "nor can be rung");
}

int main(void)
{
	struct ivshmem *one;

	store_label();
	one = must_open("ivshmem0");
	test_arrival(one);
	test_leave(one);
	test_silence(one);
	test_no_label(one);
	ivshmem_close(one);
	return tap_done();
}
