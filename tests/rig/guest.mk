# SPDX-License-Identifier: GPL-2.0-only
# Tests that run in guests: small static programs, one source file each.

GUEST_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -Isrc/uapi -Itools/lib -pthread

build/guest/%: tests/guest/%.c $(wildcard tests/guest/*.h) \
		src/uapi/linux/ivshmem.h build/libivshmem.a
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -static -s -o $@ $< \
		$(if $(shell grep '^#include <ivshmem.h>' $<),build/libivshmem.a)
