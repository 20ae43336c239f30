# SPDX-License-Identifier: GPL-2.0-only
# The library, and how user space is compiled. Included by the top Makefile before
# the other pieces that build user space.
#
# Three variants of the same sources: the product in build/; in build/san/, for the
# tests, with the address and undefined-behaviour sanitizers; in build/tsan/, for
# tests whose names end in _race, with the thread sanitizer.

user-version := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

prefix ?= /usr
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
PKG_CONFIG ?= pkg-config

# The driver's reader of labels is the library's, too.
lib-sources := $(sort $(wildcard lib/*.c)) src/core/label.c

user-flags = -std=gnu11 -O2 -g -Wall -Wextra $(if $(filter 1,$(WERROR)),-Werror) \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
	-DVERSION='"$(user-version)"' -Isrc/uapi -Ilib/include \
	-fPIC -fvisibility=hidden -pthread -MMD -MP
san-flags := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
# The thread sanitizer does not know fences; ours order doorbells, not memory.
tsan-flags := -fsanitize=thread -Wno-unknown-warning-option -Wno-tsan

# $(call objects,VARIANT,SOURCES)
objects = $(patsubst %.c,$(1)/obj/%.o,$(2))

# $(call variant,DIRECTORY,FLAGS): the library, and any object of user space.
define variant
$(1)/obj/%.o: %.c dkms.conf | $(if $(filter build,$(1)),needs-tools,prerequisites)
	@mkdir -p $$(@D)
	$$(CC) $$(user-flags) $(2) $$(CPPFLAGS) $$(CFLAGS) -c -o $$@ $$<

$(1)/libivshmem.a: $(call objects,$(1),$(lib-sources))
	@rm -f $$@
	$$(AR) rcsD $$@ $$^

-include $(patsubst %.o,%.d,$(call objects,$(1),$(lib-sources)))
endef

needs-tools:
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' CPPFLAGS='$(CPPFLAGS)' CFLAGS='$(CFLAGS)' \
		packaging/needs.sh tools

$(eval $(call variant,build))
$(eval $(call variant,build/san,$(san-flags)))
$(eval $(call variant,build/tsan,$(tsan-flags)))
.SECONDARY:

build/libivshmem.so.0: $(call objects,build,$(lib-sources)) lib/libivshmem.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,-soname,libivshmem.so.0 \
		-Wl,--version-script,lib/libivshmem.map -Wl,-z,defs \
		-o $@ $(filter %.o,$^)

define pkg_config_file
prefix=$(prefix)
libdir=$(libdir)
includedir=$(includedir)

Name: libivshmem
Description: shared memory and doorbells between virtual machines
Version: $(user-version)
Libs: -L$${libdir} -livshmem
Libs.private: -pthread
Cflags: -I$${includedir} -I$${includedir}/ivshmem
endef
export pkg_config_file

# Always: the prefix may be another one.
build/libivshmem.pc:
	@mkdir -p $(@D)
	echo "$$pkg_config_file" > $@

.PHONY: needs-tools build/libivshmem.pc
