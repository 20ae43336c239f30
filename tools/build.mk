# SPDX-License-Identifier: GPL-2.0-only
# How user space is built, installed and tested on the host. Included by the
# top Makefile; works alone as well: make -f tools/build.mk tools
#
# The same sources are built in three variants: the product in build/, and for the
# tests, with the address and undefined-behaviour sanitizers, in build/san/; for
# tests whose names end in _race, with the thread sanitizer, in build/tsan/.

user-version := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

prefix ?= /usr
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
PKG_CONFIG ?= pkg-config

lib-sources := $(sort $(wildcard tools/lib/*.c))
server-sources := $(sort $(wildcard tools/server/*.c))
ctl-sources := $(sort $(wildcard tools/ctl/*.c))
# In tests/host/ each file is a test; what they share is below in common/.
test-sources := $(sort $(wildcard tests/host/*.c))
common-sources := $(sort $(wildcard tests/host/common/*.c))
man-pages := $(sort $(wildcard tools/*/*.[1-8]))

user-flags = -std=gnu11 -O2 -g -Wall -Wextra $(if $(filter 1,$(WERROR)),-Werror) \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
	-DVERSION='"$(user-version)"' -Isrc/uapi -Itools/lib \
	-fPIC -fvisibility=hidden -pthread -MMD -MP
san-flags := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
# It does not know fences; those there are order doorbells, not memory.
tsan-flags := -fsanitize=thread -Wno-unknown-warning-option -Wno-tsan
ctl-libs = $(shell $(PKG_CONFIG) $(1) --libs jansson libxxhash) -lm

# $(call objects,VARIANT,SOURCES)
objects = $(patsubst %.c,$(1)/obj/%.o,$(2))

# $(call variant,DIRECTORY,FLAGS)
define variant
$(1)/obj/%.o: %.c dkms.conf
	@mkdir -p $$(@D)
	$$(CC) $$(user-flags) $(2) $$(CPPFLAGS) $$(CFLAGS) -c -o $$@ $$<

$(1)/libivshmem.a: $(call objects,$(1),$(lib-sources))
	@rm -f $$@
	$$(AR) rcsD $$@ $$^

$(1)/ivshmem-server: $(call objects,$(1),$(server-sources))
	$$(CC) $(2) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^

$(1)/ivshmemctl: $(call objects,$(1),$(ctl-sources)) $(1)/libivshmem.a
	$$(CC) $(2) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^ $$(call ctl-libs)

-include $(patsubst %.o,%.d,$(call objects,$(1),$(lib-sources) $(server-sources) \
	$(ctl-sources) $(test-sources) $(common-sources)))
endef

$(eval $(call variant,build))
$(eval $(call variant,build/san,$(san-flags)))
$(eval $(call variant,build/tsan,$(tsan-flags)))
.SECONDARY:

# For guests, which may have no libraries at all.
build/static/ivshmemctl: $(call objects,build,$(ctl-sources)) build/libivshmem.a
	@mkdir -p $(@D)
	$(CC) -static $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(call ctl-libs,--static)

build/libivshmem.so.0: $(call objects,build,$(lib-sources)) tools/lib/libivshmem.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,-soname,libivshmem.so.0 \
		-Wl,--version-script,tools/lib/libivshmem.map -Wl,-z,defs \
		-o $@ $(filter %.o,$^)

products := $(addprefix build/,libivshmem.so.0 libivshmem.a ivshmem-server ivshmemctl)

tools: $(products) ## build the library, the server and the command

define pkg_config_file
prefix=$(prefix)
libdir=$(libdir)
includedir=$(includedir)

Name: libivshmem
Description: shared memory and doorbells between virtual machines
Version: $(user-version)
Libs: -L$${libdir} -livshmem
Libs.private: -pthread
Cflags: -I$${includedir}
endef
export pkg_config_file

install-tools: tools
	install -D -t $(DESTDIR)$(bindir) build/ivshmemctl build/ivshmem-server
	install -D -t $(DESTDIR)$(libdir) build/libivshmem.so.0
	install -D -m 644 -t $(DESTDIR)$(libdir) build/libivshmem.a
	ln -sf libivshmem.so.0 $(DESTDIR)$(libdir)/libivshmem.so
	install -D -m 644 -t $(DESTDIR)$(includedir) tools/lib/ivshmem.h \
		tools/lib/ivshmem_channel.h tools/lib/ivshmem_sync.h
	install -D -m 644 -t $(DESTDIR)$(includedir)/linux src/uapi/linux/ivshmem.h
	install -D -m 644 tools/ctl/ivshmemctl.bash \
		$(DESTDIR)$(prefix)/share/bash-completion/completions/ivshmemctl
	install -d $(DESTDIR)$(libdir)/pkgconfig
	echo "$$pkg_config_file" > $(DESTDIR)$(libdir)/pkgconfig/libivshmem.pc
	for page in $(man-pages); do \
		install -D -m 644 -t $(DESTDIR)$(mandir)/man$${page##*.} $$page || exit; \
	done

# $(call test_program,VARIANT,FLAGS)
define test_program
$(1)/tests/%: $(1)/obj/tests/host/%.o $(call objects,$(1),$(common-sources)) \
		$(1)/libivshmem.a
	@mkdir -p $$(@D)
	$$(CC) $(2) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^
endef

$(eval $(call test_program,build/san,$(san-flags)))
$(eval $(call test_program,build/tsan,$(tsan-flags)))

race-tests := $(filter %_race.c,$(test-sources))
host-programs := $(patsubst tests/host/%.c,build/tsan/tests/%,$(race-tests)) \
	$(patsubst tests/host/%.c,build/san/tests/%,$(filter-out $(race-tests),$(test-sources))) \
	$(addprefix build/san/,ivshmem-server ivshmemctl) build/libivshmem.so.0 \
	build/ivshmem-server

check-host: $(host-programs) ## run the tests of user space; TESTS=pattern some
	@python3 -B tests/host/check.py

.PHONY: tools install-tools check-host
