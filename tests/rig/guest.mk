# SPDX-License-Identifier: GPL-2.0-only
# Tests that run in guests: small static programs, one source file each, linked with what
# they share (tests/guest/lib); and all that guests of another architecture than this
# machine's run.

guest-flags := -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -Isrc/uapi -Ilib/include -pthread
GUEST_CFLAGS := -std=gnu11 $(guest-flags)
GUEST_CXXFLAGS := -std=c++20 $(guest-flags)

guest-sources := $(sort $(wildcard tests/guest/lib/*.c)) \
	$(addprefix src/rings/,layout.c ring.c)

# $(call guest-tests,DIRECTORY)
define guest-tests
$(1)/libguest.a: $(call objects,$(1),$(guest-sources))
	@rm -f $$@
	$$(AR) rcsD $$@ $$^

$(1)/guest/%: tests/guest/%.c $(1)/libguest.a $(1)/libivshmem.a
	@mkdir -p $$(@D)
	$$(CC) $$(GUEST_CFLAGS) -MMD -MP -static -s -o $$@ $$< $(1)/libguest.a $(1)/libivshmem.a

# Programs that know nothing of the driver.
$(1)/guest/%: tests/guest/%.cpp
	@mkdir -p $$(@D)
	$$(CXX) $$(GUEST_CXXFLAGS) -MMD -MP -static -s -o $$@ $$<

-include $(wildcard $(1)/guest/*.d) \
	$(patsubst %.o,%.d,$(call objects,$(1),$(guest-sources)))
endef

$(eval $(call guest-tests,build))
$(eval $(call guest-tests,build/arm64))

# ARM64_ROOT is where Debian's libraries for arm64 are unpacked.
$(eval $(call variant,build/arm64))
$(eval $(call programs,build/arm64))
build/arm64/%: CC := aarch64-linux-gnu-gcc
build/arm64/%: CXX := aarch64-linux-gnu-g++
build/arm64/%: AR := aarch64-linux-gnu-ar
build/arm64/%: PKG_CONFIG = PKG_CONFIG_SYSROOT_DIR=$(ARM64_ROOT) \
	PKG_CONFIG_LIBDIR=$(ARM64_ROOT)/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config
build/arm64/%: CFLAGS += -isystem $(ARM64_ROOT)/usr/include
