// SPDX-License-Identifier: GPL-2.0-only
/*
 * Put load on one part of a region together with another process, the other side. Either
 * may run in a guest or on the host:
 *
 *	load DEVICE PART SIDE
 *
 * There are three threads. One sends messages over a channel and gets them back. One
 * hands a word over to the other side and back, with nothing but doorbells to wake the
 * sleeper. One stores data that the other side reads. All of it is checked. The counters
 * are in the region, so they survive if this process is killed, which can happen at any
 * moment. Word 0 of the region says when the soak is over.
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
#define RING_LATE	(30 * SECOND)	/* on a busy machine */
#define PART_SIZE	(2 << 20)	/* of the first one only word 0 is used */
#define CHANNEL		(64 << 10)	/* its offset in a part */
#define CHANNEL_SIZE	(256 << 10)
#define STORES		(1 << 20)
#define STORE_SIZE	(64 << 10)

/* The counters of one side, which soak.py reads. */
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

/* One side writes this and the other reads it. @number is odd during a write. */
struct store {
	_Atomic uint64_t number;
	unsigned char bytes[4096];
};

static struct ivshmem *shm;
static struct ivshmem *doorbell;	/* a separate handle, which the channel does not wake */
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

/* Create or attach the channel; waits until the other side has created it. */
static bool open_channel(void)
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
		complain("cannot %s the channel: %s", side ? "attach" : "create",
			 strerror(-error));
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

/* Has the other side been replaced? This error is reported once for each session. */
static bool is_new_session(int64_t error)
{
	if (error != -EPIPE && error != -ECONNRESET)
		return false;
	own->sessions++;
	return true;
}

/* Side 0: send a number, which must come back. */
static int64_t ask(uint64_t number)
{
	int64_t answer = send_number(number);

	/* Skip answers to questions of an earlier session. */
	do
		answer = answer < 0 ? answer : receive_number();
	while (answer >= 0 && (uint64_t)answer < number);
	if (answer >= 0 && (uint64_t)answer != number)
		complain("sent number %lld, got %lld back", (long long)number,
			 (long long)answer);
	return answer;
}

/* Side 1: send each number back. Within a session numbers are consecutive. */
static int64_t answer(uint64_t expected)
{
	int64_t number = receive_number();
	int error;

	if (number < 0)
		return number;
	if (expected && (uint64_t)number != expected)
		complain("got message %lld, expected %lld", (long long)number,
			 (long long)expected);
	error = send_number(number);
	return error ? error : number;
}

static void *talk(void *argument)
{
	uint64_t number = side ? 0 : (uint64_t)own->starts << 40;
	int64_t result;

	if (!open_channel())
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

/* The word that is handed over */

/* The word has changed but no doorbell came. Is the doorbell late, or lost? */
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
	/* If the other side was restarted, it died before it rang: nothing was lost. */
	if (store->number != number && other->starts == starts)
		own->lost++;
}

/* Sleep until the word is no longer @turn; if @rings, ring the other side first. */
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
	/* The host's library knows that the other side is not connected at the moment. */
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
		complain("store %llu of side %u does not show what was written",
			 (unsigned long long)number, !side);
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
	ivshmem_get_properties(doorbell, &properties);
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
