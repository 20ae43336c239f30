// SPDX-License-Identifier: GPL-2.0-only
/* A hostile peer of a channel: see hostile.h. */
#include <errno.h>
#include <string.h>

#include "../hostile.h"
#include "../pattern.h"

void hostile_write(volatile uint32_t *channel, uint64_t *state)
{
	static const uint16_t places[] = { 128, 132, 136, 256, 256, 256 };
	uint64_t number = pattern_next(state), value = pattern_next(state);
	uint32_t place = HOSTILE_CONTROL + number / 64 % 4 * HOSTILE_HALF +
			 places[number / 256 % (sizeof(places) / sizeof(places[0]))];

	if (number % 64 == 0)
		place = number / 64 % HOSTILE_CONTROL * 4;
	else if (number % 64 < 16)
		place = 4096 + number / 64 % ((HOSTILE_SIZE - 4096) / 8) * 8;
	if (value % 4)
		value = value / 4 % 8192 & ~UINT64_C(7);
	channel[place / 4] = (uint32_t)value;
}

int hostile_call(struct ivshmem_channel *channel, uint64_t number)
{
	int64_t deadline = number % 3 ? 0 : ivshmem_after(20000);
	static __thread char bytes[HOSTILE_SIZE];
	const void *message;
	size_t size;
	void *room;
	int error;

	switch (number / 3 % 4) {
	case 0:
		return ivshmem_channel_send(channel, bytes, number / 12 % 6000,
					    number / 12 % 2, deadline);
	case 1:
		error = ivshmem_channel_recv(channel, bytes, sizeof(bytes), deadline);
		return error < 0 ? error : 0;
	case 2:
		size = number / 12 % 6000;
		error = ivshmem_channel_reserve(channel, size, &room, deadline);
		if (!error)
			memset(room, 1, size);
		return error ? error : ivshmem_channel_commit(channel, size, 0);
	default:
		error = ivshmem_channel_peek(channel, &message, &size, deadline);
		if (!error && size > sizeof(bytes))
			return -EFAULT;
		if (!error && size)
			memcpy(bytes, message, size);
		return error ? error : ivshmem_channel_release(channel);
	}
}
