# SPDX-License-Identifier: GPL-2.0-only
# What puts load on a region in make soak, on the host and in guests.

SOAK_CFLAGS = $(GUEST_CFLAGS) -Itests/guest

build/soak/load: tests/soak/load.c tests/guest/pattern.h build/libguest.a build/libivshmem.a
	@mkdir -p $(@D)
	$(CC) $(SOAK_CFLAGS) -static -s -o $@ $< build/libguest.a build/libivshmem.a
