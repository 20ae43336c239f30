# SPDX-License-Identifier: GPL-2.0-only
# The programs: ivshmemctl and ivshmem-server.

server-sources := $(sort $(wildcard tools/server/*.c))
ctl-sources := $(sort $(wildcard tools/ctl/*.c))
ctl-libs = $(shell $(PKG_CONFIG) $(1) --libs jansson libxxhash) -lm

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

tools: $(addprefix build/,libivshmem.so.0 libivshmem.a ivshmem-server ivshmemctl) ## build the library, the server and the command

# Debian's zsh looks elsewhere for those of packages.
zshdir ?= $(prefix)/share/zsh/site-functions
bashdir := $(prefix)/share/bash-completion/completions
fishdir := $(prefix)/share/fish/vendor_completions.d

# $(call install-completion,PROGRAM,DIRECTORY)
define install-completion
install -D -m 644 $(2)/$(1).bash $(DESTDIR)$(bashdir)/$(1)
install -D -m 644 $(2)/$(1).zsh $(DESTDIR)$(zshdir)/_$(1)
install -D -m 644 $(2)/$(1).fish $(DESTDIR)$(fishdir)/$(1).fish

endef

install-completions:
	$(call install-completion,ivshmemctl,tools/ctl)
	$(call install-completion,ivshmem-server,tools/server)

install-tools: tools install-lib install-completions
	install -D -t $(DESTDIR)$(bindir) build/ivshmemctl build/ivshmem-server
	install -D -m 644 -t $(DESTDIR)$(mandir)/man1 $(wildcard tools/*/*.1)
	install -D -m 644 -t $(DESTDIR)$(prefix)/share/ivshmem tools/ctl/ivshmemctl-1.schema.json

.PHONY: tools install-tools install-completions
