// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two guests use a channel while a third one overwrites the region and rings all peers.
 * As long as it spares the channel, the two notice nothing. When it overwrites the
 * channel, they get errors and nothing worse, and a channel created later works.
 */
/* rig: guests=3 devices=doorbell vectors=4 size=1M smp=1 mem=160 timeout=300 */
#include <ivshmem.h>

#include <pthread.h>
#include <stdatomic.h>

#include "dev.h"
#include "hostile.h"
#include "pattern.h"

#define PLACE	(256 << 10)	/* offset of the channel */
#define HOSTILE	2		/* the hostile guest */

static const struct ivshmem_channel_options options = {
	.offset = PLACE, .size = HOSTILE_SIZE, .vector = 1,
};

static struct ivshmem *shm;
static unsigned char *memory;
static int me;

static int64_t soon(void)
{
	return ivshmem_after(100 * SECOND);
}

/* Guest 0 creates the channel, guest 1 attaches; NULL if that takes too long. */
static struct ivshmem_channel *come(int64_t deadline)
{
	struct ivshmem_channel *channel = NULL;

	if (me)
		ivshmem_channel_attach(shm, &options, deadline, &channel);
	else
		ivshmem_channel_create(shm, &options, &channel);
	return channel;
}

static int send_one(struct ivshmem_channel *channel, uint64_t number)
{
	unsigned char bytes[4096];
	size_t size = pattern_size(number, sizeof(bytes));

	pattern_write(bytes, size, number);
	return ivshmem_channel_send(channel, bytes, size, 0, soon());
}

static int64_t check_one(struct ivshmem_channel *channel, uint64_t number)
{
	unsigned char bytes[4096];
	int64_t size = ivshmem_channel_recv(channel, bytes, sizeof(bytes), soon());

	if (size < 0)
		return size;
	return size == (int64_t)pattern_size(number, sizeof(bytes)) &&
	       pattern_matches(bytes, size, number) ? 0 : -EBADMSG;
}

/* Send messages there and back; gives the first error. */
static int exchange(struct ivshmem_channel *channel, uint64_t count)
{
	uint64_t number;
	int error = 0;

	for (number = 0; number < count && !error; number++) {
		error = me ? check_one(channel, number) : send_one(channel, number);
		if (!error)
			error = me ? send_one(channel, number) :
				check_one(channel, number);
	}
	return error;
}

/* What the hostile guest does until @enough is set. */

static atomic_bool enough;
static uint64_t deeds;

static void *write_outside(void *argument)
{
	volatile uint32_t *words = (void *)memory;
	uint64_t state = 7, number;
	uint32_t place;

	for (; !enough; deeds++) {
		number = pattern_next(&state);
		place = number % ((1 << 20) / 4);
		if (place < PLACE / 4 || place >= (PLACE + HOSTILE_SIZE) / 4)
			words[place] = number >> 32;
		if (number >> 52 == 0)
			ivshmem_ring(shm, number / 65536 % 4, number / 1048576 % 8);
	}
	return argument;
}

static void *write_inside(void *argument)
{
	uint64_t state = 42;

	for (; !enough; deeds++) {
		hostile_write((void *)(memory + PLACE), &state);
		if (deeds % 64 == 0)
			ivshmem_ring(shm, deeds / 64 % 4, 1);
		if (deeds % 8 == 0)
			usleep(100);
	}
	return argument;
}

/* Be hostile until both other guests reach the barrier. */
static void be_hostile(void *(*how)(void *), const char *barrier)
{
	pthread_t thread;

	enough = false;
	deeds = 0;
	rig_ask("barrier begin-%s", barrier);
	pthread_create(&thread, NULL, how, NULL);
	rig_ask("barrier %s", barrier);
	enough = true;
	pthread_join(thread, NULL);
	tap_ok(deeds, "%s: the hostile guest wrote %llu words", barrier,
	       (unsigned long long)deeds);
}

/* The two guests that use the channel. */

static void test_outside(void)
{
	uint64_t count = rig_times(10000);
	struct ivshmem_channel *channel;
	int error;

	rig_ask("barrier begin-outside");
	channel = come(soon());
	error = channel ? exchange(channel, count) : -ENOENT;
	if (error)
		tap_note("%s", strerror(-error));
	tap_ok(!error, "%llu messages there and back while all but the channel is overwritten",
	       (unsigned long long)count);
	rig_ask("barrier outside");
	ivshmem_channel_close(channel);
}

static void test_inside(void)
{
	int errors[200] = { 0 }, count = rig_times(20000), n, calls, error, opened = 0;
	int64_t longest = 0, start, deadline = now_ns() + 60 * SECOND;
	struct ivshmem_channel *channel = NULL;
	uint64_t state = me + 1;

	rig_ask("barrier begin-inside");
	/* Go on at least until the overwriting has ended one channel. */
	for (calls = 0; calls < count || (opened < 2 && now_ns() < deadline); calls++) {
		start = now_ns();
		if (!channel) {
			channel = come(ivshmem_after(20000000));
			opened++;
		} else {
			error = -hostile_call(channel, pattern_next(&state) >> 8);
			errors[error]++;
			if (error == EPROTO || error == ESTALE) {
				ivshmem_channel_close(channel);
				channel = NULL;
			}
		}
		if (now_ns() - start > longest)
			longest = now_ns() - start;
	}
	for (n = 0; n < 200; n++)
		if (errors[n])
			tap_note("%5d times: %s", errors[n], strerror(n));
	tap_ok(opened > 1 && !errors[EFAULT],
	       "%d calls while the channel is overwritten: opened %d times, longest %lld ms",
	       calls, opened, (long long)longest / 1000000);
	rig_ask("barrier inside");
	ivshmem_channel_close(channel);
}

static void test_calm(void)
{
	struct ivshmem_channel *channel = me ? NULL : come(0);

	rig_ask("barrier fresh");
	if (me == 1)
		channel = come(soon());
	if (me != HOSTILE)
		tap_eq(exchange(channel, 200), 0, "a channel created afterwards works");
	rig_ask("barrier calm");
	ivshmem_channel_close(channel);
}

int main(void)
{
	me = rig_guest();
	if (ivshmem_open(&shm, RIG_DEVICE, 0) ||
	    ivshmem_map(shm, 0, 0, (void **)&memory))
		tap_bail("no device");
	if (me == HOSTILE) {
		be_hostile(write_outside, "outside");
		be_hostile(write_inside, "inside");
		rig_ask("barrier end");
	} else {
		test_outside();
		test_inside();
		rig_ask("barrier end");
	}
	test_calm();
	ivshmem_close(shm);
	return tap_done();
}
