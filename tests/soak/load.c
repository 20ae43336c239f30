// SPDX-License-Identifier: GPL-2.0-only
/*
 * One of two ends that put load on a part of a region, on a guest or the host:
 *
 *	load DEVICE PART SIDE
 *
 * A thread each for messages over a channel, there and back; for a word handed
 * over to and fro with nothing but doorbells to wake by; and for plain stores
 * that the other side reads. All is checked. The figures are in the region, so
 * they survive the end that made them, which may be killed at any moment. Word 0
 * of the region says when it is over.
 */
#include <ivshmem.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem_channel.h"
#include "pattern.h"

#define SECOND		INT64_C(1000000000)
#define RING_EXPECTED	(5 * SECOND)
#define RING_LATE	(30 * SECOND)	/* on a machine that does more */
#define PART_SIZE	(2 << 20)	/* the first is not used but for word 0 */
#define CHANNEL		(64 << 10)	/* where it is in a part */
#define CHANNEL_SIZE	(256 << 10)
#define STORES		(1 << 20)
#define STORE_SIZE	(64 << 10)

/* What soak.py reads of one side. */
struct figures {
	_Atomic uint32_t id, starts;
	_Atomic uint64_t messages, bytes, sessions;
	_Atomic uint64_t handovers, late, lost;
	_Atomic uint64_t stores, wrong;
	char complaint[128];
};

struct part {
	struct figures side[2];
	_Atomic uint32_t turn __attribute__((aligned(4096)));
};

/* What one side writes and the other reads, while number is even. */
struct store {
	_Atomic uint64_t number;
	unsigned char bytes[4096];
};

static struct ivshmem *shm;
static struct ivshmem *doorbell;	/* its own, which nothing else wakes */
static unsigned char *region;
static struct part *part;
static struct figures *own, *other;
static uint64_t offset;
static uint32_t side, talk_vector, turn_vector;

static bool over(void)
{
	return *(_Atomic uint32_t *)region != 0;
}

__attribute__((format(printf, 1, 2)))
static void complain(const char *format, ...)
{
	va_list arguments;

	own->wrong++;
	va_start(arguments, format);
	vsnprintf(own->complaint, sizeof(own->complaint), format, arguments);
	va_end(arguments);
}

/* Messages */

struct numbered {
	uint64_t number;
	unsigned char bytes[8000];
};

static struct ivshmem_channel *channel;

/* Whether there is a channel, at last. */
static bool come(void)
{
	struct ivshmem_channel_options options = {
		.offset = offset + CHANNEL, .size = CHANNEL_SIZE,
		.vector = talk_vector,
	};
	int error = -ENOENT;

	while (error == -ENOENT && !over())
		error = side ? ivshmem_channel_attach(shm, &options,
						      ivshmem_after(SECOND), &channel) :
			ivshmem_channel_create(shm, &options, &channel);
	if (error && error != -ENOENT)
		complain("no channel: %s", strerror(-error));
	return !error;
}

static int64_t send_number(uint64_t number)
{
	struct numbered message = { .number = number };
	size_t size = pattern_size(number, sizeof(message.bytes));
	int error;

	pattern_write(message.bytes, size, number);
	size += sizeof(message.number);
	do
		error = ivshmem_channel_send(channel, &message, size, 0,
					     ivshmem_after(SECOND));
	while ((error == -ETIMEDOUT || error == -EINTR) && !over());
	if (!error)
		own->bytes += size;
	return error;
}

/* The number of the next message, or an error. */
static int64_t receive_number(void)
{
	struct numbered message = { 0 };
	int64_t size;

	do
		size = ivshmem_channel_recv(channel, &message, sizeof(message),
					    ivshmem_after(SECOND));
	while ((size == -ETIMEDOUT || size == -EINTR) && !over());
	if (size < 0)
		return size;
	size -= sizeof(message.number);
	if (size != (int64_t)pattern_size(message.number, sizeof(message.bytes)) ||
	    !pattern_matches(message.bytes, size, message.number))
		return -EBADMSG;
	own->messages++;
	return message.number;
}

/* The other end was replaced: all that is left of it may come once more. */
static bool is_new_session(int64_t error)
{
	if (error != -EPIPE && error != -ECONNRESET)
		return false;
	own->sessions++;
	return true;
}

/* Side 0: a number goes out, and has to come back. */
static int64_t ask(uint64_t number)
{
	int64_t answer = send_number(number);

	/* Answers to what was asked in an earlier session are passed over. */
	do
		answer = answer < 0 ? answer : receive_number();
	while (answer >= 0 && (uint64_t)answer < number);
	if (answer >= 0 && (uint64_t)answer != number)
		complain("answer %lld to %lld", (long long)answer, (long long)number);
	return answer;
}

/* Side 1: they come one after the other, from the first of a session on. */
static int64_t answer(uint64_t expected)
{
	int64_t number = receive_number();
	int error;

	if (number < 0)
		return number;
	if (expected && (uint64_t)number != expected)
		complain("message %lld, not %lld", (long long)number,
			 (long long)expected);
	error = send_number(number);
	return error ? error : number;
}

static void *talk(void *argument)
{
	uint64_t number = side ? 0 : (uint64_t)own->starts << 40;
	int64_t result;

	if (!come())
		return argument;
	while (!over()) {
		result = side ? answer(number) : ask(number);
		if (result >= 0) {
			number = result + 1;
		} else if (is_new_session(result)) {
			number = side ? 0 : number + 1;
		} else if (!over()) {
			complain("channel: %s", strerror(-result));
			break;
		}
	}
	ivshmem_channel_close(channel);
	return argument;
}

/* The word */

/* Nothing came though the word has changed. Is it late, or never to come? */
static void look_for_ring(void)
{
	struct ivshmem_wait_options options = {
		.vector = turn_vector, .timeout_ns = RING_LATE,
	};
	struct store *store = (void *)(region + offset + STORES + !side * STORE_SIZE);
	uint64_t number = store->number;
	uint32_t starts = other->starts;

	own->late++;
	if (!ivshmem_wait(doorbell, &options, NULL) || over())
		return;
	/* A side that died before ringing has lost nothing. */
	if (store->number != number && other->starts == starts)
		own->lost++;
}

/* Sleep until the turn is ours, having rung the other if it was. */
static void wait_for_turn(uint32_t turn, bool rings)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD, .vector = turn_vector,
		.offset = offset + offsetof(struct part, turn),
		.expected = turn, .timeout_ns = RING_EXPECTED,
	};
	struct ivshmem_wait_result result = { 0 };
	int64_t end = ivshmem_after(RING_EXPECTED);
	int error = -ENXIO;

	if (rings)
		error = ivshmem_ring_wait(doorbell, other->id, turn_vector, &options,
					  &result);
	/* On the host: the peer is not there for now. */
	if (error == -ENXIO)
		error = ivshmem_wait(doorbell, &options, &result);
	if (error && error != -ETIMEDOUT && error != -EINTR)
		complain("wait: %s", strerror(-error));
	else if (part->turn != turn && !result.count && ivshmem_after(0) >= end)
		look_for_ring();
}

static void *hand_over(void *argument)
{
	uint32_t turn;

	while (!over()) {
		turn = part->turn;
		if (turn % 2 == side) {
			part->turn = turn + 1;
			own->handovers++;
			wait_for_turn(turn + 1, true);
		} else {
			wait_for_turn(turn, false);
		}
	}
	return argument;
}

/* Stores */

static void write_store(struct store *store)
{
	uint64_t number = store->number | 1;

	store->number = number;
	atomic_thread_fence(memory_order_seq_cst);
	pattern_write(store->bytes, sizeof(store->bytes), number + 1);
	atomic_thread_fence(memory_order_seq_cst);
	store->number = number + 1;
}

static void read_store(struct store *store)
{
	static struct store copy;
	uint64_t number = store->number;

	atomic_thread_fence(memory_order_seq_cst);
	memcpy(copy.bytes, store->bytes, sizeof(copy.bytes));
	atomic_thread_fence(memory_order_seq_cst);
	if (!number || number % 2 || store->number != number)
		return;
	if (!pattern_matches(copy.bytes, sizeof(copy.bytes), number))
		complain("store %llu is not what was written",
			 (unsigned long long)number);
	own->stores++;
}

static void store_all(void)
{
	struct store *stores[2] = {
		(void *)(region + offset + STORES),
		(void *)(region + offset + STORES + STORE_SIZE),
	};

	while (!over()) {
		write_store(stores[side]);
		read_store(stores[!side]);
		usleep(5000);
	}
}

int main(int argc, char **argv)
{
	struct ivshmem_properties properties;
	pthread_t talker, hander;
	int number, error;

	if (argc != 4)
		return 2;
	number = atoi(argv[2]);
	side = atoi(argv[3]);
	offset = (uint64_t)(number + 1) * PART_SIZE;
	talk_vector = 2 * number;
	turn_vector = 2 * number + 1;
	error = ivshmem_open(&shm, argv[1], 0);
	if (!error)
		error = ivshmem_open(&doorbell, argv[1], 0);
	if (!error)
		error = ivshmem_map(shm, 0, 0, (void **)&region);
	if (error) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-error));
		return 1;
	}
	part = (void *)(region + offset);
	own = &part->side[side];
	other = &part->side[!side];
	ivshmem_properties(doorbell, &properties);
	own->id = properties.id;
	own->starts++;
	pthread_create(&talker, NULL, talk, NULL);
	pthread_create(&hander, NULL, hand_over, NULL);
	store_all();
	pthread_join(talker, NULL);
	pthread_join(hander, NULL);
	ivshmem_close(doorbell);
	ivshmem_close(shm);
	return own->wrong || own->lost;
}
