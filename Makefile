# SPDX-License-Identifier: GPL-2.0-only
# make help lists what there is to make.

KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
CC := gcc

.DEFAULT_GOAL := all

include tools/build.mk
include tests/rig/guest.mk

all: module tools ## build the module for KVER and user space (the default)

module: ## build the module for KVER (default: the running kernel)
	@test -e $(KDIR)/Makefile || { \
		echo "no headers of kernel $(KVER) in $(KDIR):" \
			"apt-get install linux-headers-$(KVER)," \
			"or name another kernel by KVER=" >&2; exit 1; }
	$(MAKE) -C src KVER=$(KVER) KDIR=$(KDIR) modules

check: prerequisites ## run all tests; TESTS=pattern some, KERNEL=6.12 that kernel
	@python3 -B tests/rig/run.py

prerequisites:
	@tests/rig/prerequisites.sh

clean: ## remove everything built
	rm -rf build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: all module check prerequisites clean help
