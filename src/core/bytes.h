/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * Little-endian numbers and the checksum of what lies at the start of a region or partition
 *
 * For the driver and user space: nothing here knows in which of them it is. What is given is
 * a copy that nobody else can write to.
 */
#ifndef IVSHMEM_BYTES_H
#define IVSHMEM_BYTES_H

#include <linux/types.h>
#ifndef __KERNEL__
#include <stddef.h>
#endif

static inline __u16 load16(const __u8 *at)
{
	return at[0] | at[1] << 8;
}

static inline __u32 load32(const __u8 *at)
{
	return load16(at) | (__u32)load16(at + 2) << 16;
}

static inline __u64 load64(const __u8 *at)
{
	return load32(at) | (__u64)load32(at + 4) << 32;
}

/* Store a number of @size bytes. */
static inline void store(__u8 *at, __u64 value, size_t size)
{
	size_t n;

	for (n = 0; n < size; n++)
		at[n] = (__u8)(value >> 8 * n);
}

/*
 * CRC32C of @size bytes, with the four of the checksum itself, at @own, as 0. The kernel's is
 * an option of its configuration, and for a few KiB now and then no table is worth it.
 */
static inline __u32 ivshmem_checksum(const void *copy, size_t size, size_t own)
{
	const __u8 *bytes = copy;
	__u32 crc = ~0U;
	size_t n;
	int bit;

	for (n = 0; n < size; n++) {
		if (n < own || n >= own + 4)
			crc ^= bytes[n];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

#endif /* IVSHMEM_BYTES_H */
