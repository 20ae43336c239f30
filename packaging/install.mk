# SPDX-License-Identifier: GPL-2.0-only
# What is installed where, and how it is removed again. Included by the top Makefile.

# Debian's zsh looks elsewhere for the completions of packages.
zshdir ?= $(prefix)/share/zsh/site-functions
# What is below conf/ goes to the same place below here: udev/rules.d, modprobe.d,
# sysusers.d, systemd/system.
confdir ?= $(prefix)/lib
# Only the Python package needs Python.
pythondir ?= $(shell python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
docdir ?= $(prefix)/share/doc/ivshmem
# DKMS looks nowhere else.
dkmsdir := /usr/src/ivshmem-$(user-version)

# $(call into,DIRECTORY,FILES): each file and its place, as FILE:PLACE
into = $(foreach file,$(2),$(file):$(1)/$(notdir $(file)))
# $(call below,DIRECTORY,TOP,FILES): the same, with the directories that they are in below TOP
below = $(foreach file,$(3),$(file):$(1)/$(file:$(2)%=%))
# $(call completions,PROGRAM,DIRECTORY)
completions = $(2)/$(1).bash:$(prefix)/share/bash-completion/completions/$(1) \
	$(2)/$(1).zsh:$(zshdir)/_$(1) \
	$(2)/$(1).fish:$(prefix)/share/fish/vendor_completions.d/$(1).fish

user-space = $(call into,$(bindir),build/ivshmemctl build/ivshmem-server) \
	$(call into,$(libdir),build/libivshmem.so.0 build/libivshmem.a) \
	$(call into,$(libdir)/pkgconfig,build/libivshmem.pc) \
	$(call into,$(includedir),$(wildcard lib/include/*)) \
	$(call into,$(includedir)/ivshmem/linux,src/uapi/linux/ivshmem.h) \
	$(call into,$(mandir)/man1,$(wildcard tools/*/*.1)) \
	$(call into,$(mandir)/man3,$(wildcard lib/*.3)) \
	$(call into,$(mandir)/man4,docs/ivshmem.4) \
	$(call into,$(prefix)/share/ivshmem,tools/ctl/ivshmemctl-1.schema.json) \
	$(call into,$(prefix)/share/ivshmem,tools/server/ivshmem-server.conf) \
	$(call completions,ivshmemctl,tools/ctl) \
	$(call completions,ivshmem-server,tools/server) \
	$(call below,$(confdir),conf/,$(shell find conf -type f))
python-package = $(call into,$(pythondir)/ivshmem,\
	$(wildcard python/ivshmem/*.py) python/ivshmem/py.typed)
# With the same paths as here, because documents refer to each other by them.
documents = $(call below,$(docdir),,README.md NEWS.md $(shell find docs -type f ! -name '*.4'))
dkms-sources = $(call below,$(dkmsdir),,dkms.conf $(shell find src -name '*.[ch]' -o -name Kbuild))

place = $(lastword $(subst :, ,$(1)))
mode = $(if $(filter $(bindir)/% %.so.0,$(1)),755,644)
define install-file
install -D -m $(call mode,$(call place,$(1))) $(subst :, $(DESTDIR),$(1))

endef
install-files = $(foreach pair,$(1),$(call install-file,$(pair)))
uninstall-files = packaging/uninstall.sh "$(DESTDIR)" "$(prefix)" \
	$(foreach pair,$(1),$(call place,$(pair)))
# Users do not have its directory in their PATH, nor has root by su.
ldconfig = test -n "$(DESTDIR)" || PATH="$$PATH:/usr/sbin:/sbin" ldconfig

install: tools build/libivshmem.pc ## install user space; DESTDIR, PREFIX=/usr/local
	$(call install-files,$(user-space))
	ln -sf libivshmem.so.0 $(DESTDIR)$(libdir)/libivshmem.so
	$(ldconfig)

uninstall: ## remove what install with the same variables has put there
	$(call uninstall-files,$(user-space) $(libdir)/libivshmem.so)
	$(ldconfig)

install-python: ## install the Python package; DESTDIR, pythondir=
	$(call install-files,$(python-package))

uninstall-python: ## remove it
	$(call uninstall-files,$(python-package))

install-doc: ## install the documents; DESTDIR, docdir=
	$(call install-files,$(documents))

uninstall-doc: ## remove them
	$(call uninstall-files,$(documents))

# "dkms add ." would copy .git and build/ as well.
install-dkms: ## install the driver's sources where DKMS finds them, in /usr/src
	$(call install-files,$(dkms-sources))

uninstall-dkms: ## remove them, after dkms remove ivshmem/VERSION --all
	$(call uninstall-files,$(dkms-sources))

.PHONY: install install-python install-doc install-dkms uninstall uninstall-python \
	uninstall-doc uninstall-dkms
