// SPDX-License-Identifier: GPL-2.0-only
/*
 * A partition of a device through the library: its offsets and vectors are translated for the
 * driver (lib/partition.c).
 */
/* rig: devices=doorbell vectors=4 size=16M */
#include <errno.h>
#include <ivshmem_channel.h>
#include <string.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "labels.h"
#include "tap.h"

#define SIZE	(16 << 20)
#define PLACE	0x200000
#define PART	0x100000
#define LIMIT	INT64_C(60000000000)
#define USER	1234

static const struct ivshmem_label label = {
	.generation = 1, .region_size = SIZE, .data_offset = 0x10000,
	.header_size = 256, .entry_size = 128, .nr_entries = 1,
	.entries = { { "raw", "part", PLACE, PART, 1, 0, 2, 2 } },
};

static unsigned char *memory;

static struct ivshmem *must_open(const char *partition)
{
	struct ivshmem *handle;
	int error = partition ? ivshmem_open_partition(&handle, "ivshmem0", partition, 0) :
				ivshmem_open(&handle, "ivshmem0", 0);

	if (error)
		tap_bail("cannot open: %s", ivshmem_error(error));
	return handle;
}

static void test_word(struct ivshmem *part)
{
	struct ivshmem_wait_options wait = {
		.flags = IVSHMEM_WAIT_WORD, .offset = 0x8000, .expected = 3,
	};
	struct ivshmem_wait_result result;

	tap_about("word");
	*(uint32_t *)(memory + 0x8000) = 5;
	*(uint32_t *)(memory + PLACE + 0x8000) = 3;
	tap_eq(ivshmem_wait(part, &wait, &result), -ETIMEDOUT, "that of the partition is the same");
	*(uint32_t *)(memory + 0x8000) = 3;
	*(uint32_t *)(memory + PLACE + 0x8000) = 4;
	tap_eq(ivshmem_wait(part, &wait, &result), 0, "then it is another one");
	tap_ok(result.changed, "which is reported");
	wait.offset = PART;
	tap_eq(ivshmem_wait(part, &wait, &result), -EINVAL, "it must be inside");
}

static void test_doorbell(struct ivshmem *part, struct ivshmem *all)
{
	struct ivshmem_wait_options wait = { .vector = 3, .timeout_ns = LIMIT };
	struct ivshmem_properties properties;
	struct ivshmem_wait_result result;

	tap_about("doorbell");
	ivshmem_get_properties(part, &properties);
	tap_eq(properties.size, PART, "size");
	if (!properties.vectors) {
		tap_skip("vectors", "the device has none");
		return;
	}
	tap_eq(properties.vectors, 2, "vectors");
	tap_eq(ivshmem_ring(part, properties.id, 1), 0, "ring vector 1");
	tap_eq(ivshmem_wait(all, &wait, &result), 0, "it is 3 of the device");
	wait.vector = 1;
	tap_eq(ivshmem_wait(part, &wait, &result), 0, "and 1 of the partition");
	tap_ok(result.vector == 1 && result.set[0] == 2, "which is reported");
	tap_eq(ivshmem_ring(part, properties.id, 2), -EINVAL, "there is no vector 2");
}

static void test_channel(struct ivshmem *part)
{
	struct ivshmem_channel_options range = { .size = 0x10000 };
	struct ivshmem_channel *a, *b;
	char text[8];

	tap_about("channel");
	if (ivshmem_channel_create(part, &range, &a) ||
	    ivshmem_channel_attach(part, &range, ivshmem_after(LIMIT), &b))
		tap_bail("no channel");
	tap_eq(ivshmem_channel_send(a, "hello", 5, 0, 0), 0, "sends");
	tap_eq(ivshmem_channel_recv(b, text, sizeof(text), ivshmem_after(LIMIT)), 5, "receives");
	ivshmem_channel_close(a);
	ivshmem_channel_close(b);
	tap_ok(!memcmp(memory, "IVSHMLBL", 8), "the label is not touched");
}

/* What an ordinary user gets who opens a partition; 0 if that is the one of the label. */
static int open_as_user(const char *path, const char *name)
{
	struct ivshmem_properties properties;
	struct ivshmem *handle;
	void *bytes;
	int error;

	if (setgid(USER) || setuid(USER))
		return 100;
	error = ivshmem_open_partition(&handle, path, name, 0);
	if (error)
		return -error;
	if (ivshmem_map(handle, 0, 0, &bytes) || ivshmem_get_properties(handle, &properties))
		return 101;
	memcpy(bytes, "by a user", 9);
	return properties.size == PART ? 0 : 102;
}

static int run_as_user(const char *path, const char *name)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(open_as_user(path, name));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

/* As udev leaves it: the device, with the label, is for root, the partition for others. */
static void test_user(void)
{
	tap_about("user");
	if (!tap_ok(!file_write(LABEL_RESCAN, "1"), "the driver makes the partition"))
		return;
	if (chmod(RIG_DEVICE, 0600) || chmod("/dev/ivshmem0p1", 0600))
		tap_bail("chmod: %s", strerror(errno));
	tap_eq(run_as_user("ivshmem0", "part"), EACCES, "without the right to it, there is none");
	if (chmod("/dev/ivshmem0p1", 0666))
		tap_bail("chmod: %s", strerror(errno));
	tap_eq(run_as_user("ivshmem0", "part"), 0, "with it the partition's own node is opened");
	tap_ok(!memcmp(memory + PLACE, "by a user", 9), "which is in its place");
	tap_eq(run_as_user(RIG_DEVICE, "part"), 0, "also by the path of the device");
	tap_eq(run_as_user(RIG_DEVICE, "other"), EACCES, "another name has no node");
	memset(memory, 0, IVSHMEM_LABEL_MAX_SIZE);
	tap_ok(!file_write(LABEL_RESCAN, "1"), "the label goes");
}

int main(void)
{
	struct ivshmem *all = must_open(NULL), *part;
	void *mapped;

	if (ivshmem_map(all, 0, 0, &mapped))
		tap_bail("no mapping");
	memory = mapped;
	ivshmem_label_build(memory, &label);
	part = must_open("part");
	test_word(part);
	test_doorbell(part, all);
	test_channel(part);
	ivshmem_close(part);
	test_user();
	ivshmem_close(all);
	return tap_done();
}
