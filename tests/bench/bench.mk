# SPDX-License-Identifier: GPL-2.0-only
# Programs of the bench, which run in guests: one source file each.

BENCH_CFLAGS = $(GUEST_CFLAGS) -Itests/guest

build/bench/bin/%: tests/bench/%.c $(wildcard tests/bench/*.h tests/guest/*.h) \
		src/uapi/linux/ivshmem.h build/libguest.a build/libivshmem.a
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -static -s -o $@ $< build/libguest.a build/libivshmem.a
