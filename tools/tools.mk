# SPDX-License-Identifier: GPL-2.0-only
# The programs: ivshmemctl and ivshmem-server.

server-sources := $(sort $(wildcard tools/server/*.c))
# The driver's rings are those of net, too.
ctl-sources := $(sort $(wildcard tools/ctl/*.c)) \
	$(addprefix src/rings/,broadcast.c layout.c ring.c)
ctl-libs = $(shell $(PKG_CONFIG) $(1) --libs jansson libxxhash ncursesw) -lm

# $(call programs,VARIANT,FLAGS)
define programs
$(1)/ivshmem-server: $(call objects,$(1),$(server-sources))
	$$(CC) $(2) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^

$(1)/ivshmemctl: $(call objects,$(1),$(ctl-sources)) $(1)/libivshmem.a
	$$(CC) $(2) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^ $$(call ctl-libs)

# For guests, which may have no libraries at all.
$(1)/static/ivshmemctl: $(call objects,$(1),$(ctl-sources)) $(1)/libivshmem.a
	@mkdir -p $$(@D)
	$$(CC) -static $(2) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^ \
		$$(call ctl-libs,--static)

-include $(patsubst %.o,%.d,$(call objects,$(1),$(server-sources) $(ctl-sources)))
endef

$(eval $(call programs,build))
$(eval $(call programs,build/san,$(san-flags)))

tools: needs-tools $(addprefix build/,libivshmem.so.0 libivshmem.a ivshmem-server ivshmemctl) ## build the library, the server and the command

.PHONY: tools
