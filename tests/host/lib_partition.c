// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles on partitions of a server's region (lib/partition.c), beside one on all of it.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/timer.h"
#include "ivshmem_sync.h"
#include "../../lib/label_build.h"
#include "../../lib/session.h"
#include "../guest/loop.h"

#define SIZE	(1 << 20)
#define ONE	0x40000		/* where the partitions are */
#define TWO	0x80000

static struct ivshmem_label label = {
	.generation = 1, .region_size = SIZE, .data_offset = 0x10000,
	.header_size = 256, .entry_size = 128, .nr_entries = 4,
	.entries = {
		{ "raw", "one", ONE, 0x20000, 1, 0, 1, 2 },
		{ "raw", "two", TWO, 0x20000, 1, 0, 3, 1 },
		{ "raw", "silent", 0x10000, 0x10000, 1, 0, 0, 0 },
		{ "raw", "later", 0x20000, 0x10000, 1, 1, 0, 0 },
	},
};

static struct ivshmem *must_open_partition(const char *name)
{
	struct ivshmem *handle;
	int error = ivshmem_open_partition(&handle, scratch("socket"), name, 0);

	if (error)
		tap_bail("cannot open %s: %s", name, ivshmem_error(error));
	return handle;
}

static uint32_t id_of(struct ivshmem *handle)
{
	struct ivshmem_properties properties;

	ivshmem_get_properties(handle, &properties);
	return properties.id;
}

/* The other one may not have heard of this one yet. */
static void ring(struct ivshmem *from, struct ivshmem *to, uint32_t vector)
{
	if (!eventually(ivshmem_ring(from, id_of(to), vector) == 0))
		tap_bail("cannot ring: %s", ivshmem_error(ivshmem_ring(from, id_of(to), vector)));
}

static void refused(const char *name, int expected, const char *text)
{
	int before = open_descriptors(0);
	struct ivshmem *handle;
	int error = ivshmem_open_partition(&handle, scratch("socket"), name, 0);

	if (!tap_ok(error == expected && !strcmp(ivshmem_error(error), text) && !handle, "%s",
		    text))
		tap_note("%d: %s", error, ivshmem_error(error));
	tap_eq(open_descriptors(0), before, "no descriptor is left");
}

static void test_refused(unsigned char *memory)
{
	tap_about("refused");
	refused("one", -ENODATA, "the region has no label");
	ivshmem_label_build(memory, &label);
	refused("three", -ENOENT, "no partition has this name");
	refused("", -ENOENT, "no partition has this name");
	refused("later", -EOPNOTSUPP, "the partition has flags that are unknown: 0x1");
	memory[300] ^= 1;
	refused("one", -EBADMSG, "the label is bad: its checksum is wrong");
	label.entries[1].offset = ONE;
	ivshmem_label_build(memory, &label);
	refused("one", -EBADMSG,
		"the label is bad: partition 2: another one has some of its bytes");
	label.entries[1].offset = TWO;
	ivshmem_label_build(memory, &label);
}

static void test_memory(unsigned char *memory)
{
	struct ivshmem *handle = must_open_partition("one");
	struct ivshmem_properties properties;
	void *mapped;

	tap_about("memory");
	ivshmem_get_properties(handle, &properties);
	tap_eq(properties.size, 0x20000, "size");
	tap_eq(properties.vectors, 2, "vectors");
	tap_ok(properties.can_ring, "doorbells");
	tap_eq(ivshmem_map(handle, 0x10000, 0, &mapped), 0, "a part is mapped");
	strcpy(mapped, "here");
	tap_ok(!strcmp((char *)memory + ONE + 0x10000, "here"), "it is where the label says");
	ivshmem_unmap(handle, mapped, 0x10000);
	tap_eq(ivshmem_map(handle, 0x10000, 0x20000, &mapped), -EINVAL, "not what is behind it");
	tap_eq(ivshmem_map(handle, 0x20000, 0, &mapped), -EINVAL, "nor at its end");
	ivshmem_close(handle);
}

/* Rings of a handle on all, and what a handle on a partition gets of them. */
static void test_doorbells(struct ivshmem *all)
{
	struct ivshmem *one = must_open_partition("one"), *two = must_open_partition("two");
	struct ivshmem_wait_options wait = { .timeout_ns = PATIENCE, .vector = 1 };
	struct ivshmem_wait_result result;

	tap_about("doorbells");
	ring(all, one, 2);
	tap_eq(ivshmem_wait(one, &wait, &result), 0, "vector 2 is 1 of partition one");
	tap_ok(result.vector == 1 && result.count == 1 && result.set[0] == 2, "and is called 1");
	ring(two, one, 0);
	wait.timeout_ns = 0;
	wait.flags = IVSHMEM_WAIT_SET;
	wait.set[0] = 3;
	tap_eq(ivshmem_wait(one, &wait, &result), -ETIMEDOUT, "the other's vector is not heard");
	ring(one, one, 0);
	wait.timeout_ns = PATIENCE;
	tap_eq(ivshmem_wait(one, &wait, &result), 0, "a set of vectors");
	tap_ok(result.vector == 0 && result.set[0] == 1, "is numbered likewise");
	wait.set[0] = 4;
	tap_eq(ivshmem_wait(one, &wait, &result), -EINVAL, "no more vectors than it has");
	wait = (struct ivshmem_wait_options){ .vector = 2 };
	tap_eq(ivshmem_wait(one, &wait, &result), -EINVAL, "neither one of them");
	tap_eq(ivshmem_ring(one, id_of(two), 2), -EINVAL, "nor to ring");
	tap_eq(ivshmem_eventfd(one, 2), -EINVAL, "nor for an eventfd");
	ivshmem_close(two);
	ivshmem_close(one);
}

static void test_eventfd(struct ivshmem *all)
{
	struct ivshmem *two = must_open_partition("two");
	struct pollfd poll_it = { .fd = ivshmem_eventfd(two, 0), .events = POLLIN };

	tap_about("eventfd");
	ring(all, two, 2);
	ring(all, two, 0);
	tap_eq(poll(&poll_it, 1, 0), 0, "other vectors are not heard");
	ring(all, two, 3);
	tap_eq(poll(&poll_it, 1, 60000), 1, "its own is");
	close(poll_it.fd);
	ivshmem_close(two);
}

/* A wait takes the doorbell from the descriptor of a channel on the same vector. */
static void test_taken(struct ivshmem *all)
{
	struct ivshmem_channel_options options = { .size = 0x8000, .vector = 1 };
	struct ivshmem_wait_options wait = { .timeout_ns = PATIENCE, .vector = 1 };
	struct ivshmem *one = must_open_partition("one");
	struct ivshmem_channel *channel = must_create(one, &options);

	tap_about("taken");
	ivshmem_channel_fd(channel);
	stop_timer(&channel->listener);
	while (loop_poll(ivshmem_channel_fd(channel), 0))
		loop_recv(channel);
	ring(all, one, 2);
	tap_eq(ivshmem_wait(one, &wait, NULL), 0, "a wait hears the doorbell");
	tap_ok(loop_wakes(channel), "a channel's descriptor tells of it all the same");
	ivshmem_channel_close(channel);
	ivshmem_close(one);
}

static void test_word(unsigned char *memory)
{
	struct ivshmem *one = must_open_partition("one");
	struct ivshmem_wait_options wait = {
		.flags = IVSHMEM_WAIT_WORD, .offset = 0x8000, .timeout_ns = PATIENCE,
	};
	struct ivshmem_wait_result result;

	tap_about("word");
	*(uint32_t *)(memory + 0x8000) = 0;
	*(uint32_t *)(memory + ONE + 0x8000) = 7;
	tap_eq(ivshmem_wait(one, &wait, &result), 0, "a word of the partition is looked at");
	tap_ok(result.changed, "it is another one");
	wait.offset = 0x20000;
	tap_eq(ivshmem_wait(one, &wait, &result), -EINVAL, "it must be inside");
	ivshmem_close(one);
}

/* Objects at the start of each partition, with vector 0 of each. */
static void test_objects(const char *name, bool doorbells)
{
	struct ivshmem_channel_options options = { .size = 0x8000 };
	struct ivshmem *here = must_open_partition(name), *there = must_open_partition(name);
	struct ivshmem_channel *a = must_create(here, &options), *b = must_attach(there, &options);
	struct ivshmem_properties properties;
	struct ivshmem_event *mine, *other;

	tap_about(name);
	ivshmem_get_properties(here, &properties);
	tap_eq(properties.can_ring, doorbells, "doorbells");
	tap_ok(!say(a, "there") && hear(b, "there", ivshmem_after(PATIENCE)), "a channel there");
	tap_ok(!say(b, "back") && hear(a, "back", ivshmem_after(PATIENCE)), "and back");
	if (!doorbells)
		tap_eq(ivshmem_ring(here, 0, 0), -EOPNOTSUPP, "nothing can be rung");
	if (ivshmem_event_open(here, 0x9000, 0, IVSHMEM_SYNC_CREATE, &mine) ||
	    ivshmem_event_open(there, 0x9000, 0, IVSHMEM_SYNC_CREATE, &other))
		tap_bail("no event");
	ivshmem_event_set(mine);
	tap_eq(ivshmem_event_wait(other, ivshmem_after(PATIENCE)), 0, "an event is signalled");
	ivshmem_event_close(mine);
	ivshmem_event_close(other);
	ivshmem_close(there);
	ivshmem_channel_close(b);
	tap_eq(ivshmem_channel_recv(a, &properties, 1, ivshmem_after(PATIENCE)), -EPIPE,
	       "the end of the other is noticed");
	ivshmem_channel_close(a);
	ivshmem_close(here);
}

int main(void)
{
	pid_t server = start_server("--memfd", "-n", "4", "-l", "1M", NULL);
	struct ivshmem *all = must_open(0);
	unsigned char *memory;
	void *mapped;

	if (ivshmem_map(all, 0, 0, &mapped))
		tap_bail("no mapping");
	memory = mapped;
	test_refused(memory);
	test_memory(memory);
	test_doorbells(all);
	test_eventfd(all);
	test_taken(all);
	test_word(memory);
	test_objects("one", true);
	test_objects("two", true);
	test_objects("silent", false);
	tap_about("");
	tap_ok(!memcmp(memory, "IVSHMLBL", 8), "the label is still there");
	ivshmem_close(all);
	stop_server(server, SIGTERM);
	return tap_done();
}
