# SPDX-License-Identifier: GPL-2.0-only
# make help lists what there is to make.

KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
PREFIX ?= /usr/local
CC := gcc

prefix := $(PREFIX)

.DEFAULT_GOAL := all

comma := ,
unfit := $(foreach one,: ' " $$ % & ; * ? ( ) \ $(comma),$(findstring $(one),$(CURDIR)))
ifneq ($(words $(CURDIR))$(strip $(unfit)),1)
$(error the kernel's makefiles cannot work in "$(CURDIR)": move the tree to a path \
	without blanks and special characters)
endif

# By sudo, make runs once more, and then the caller gets what root has made.
ifeq ($(MAKELEVEL)$(and $(SUDO_UID),$(shell id -u)),00)

goals := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
$(goals): by-sudo ; @:
by-sudo:
	+@packaging/by-sudo.sh $(MAKE) --no-print-directory $(goals)
.PHONY: $(goals) by-sudo

else

include lib/lib.mk
include tools/tools.mk
include tests/host/host.mk
include tests/rig/guest.mk
include tests/bench/bench.mk
include tests/soak/soak.mk
include packaging/install.mk
include packaging/packages.mk

all: module tools ## build the module for KVER and user space (the default)

module: ## build the module for KVER (the running kernel)
	@packaging/needs.sh module $(KVER) $(KDIR)
	$(MAKE) -C $(KDIR) M=$(CURDIR)/src modules

# The rig takes all that it can be told from the environment, where make puts its own
# variables as well; "python3 tests/rig/run.py --help" lists it.
check: prerequisites ## run all tests; TESTS=pattern some, KERNEL=6.12, ARCH=arm64
	@python3 -B tests/rig/run.py

# Without kmemleak it is twice as fast; what the suite fuzzes is watched by it.
fuzz: prerequisites-debug ## fuzz the driver; OPERATIONS=10000000, SEED=1, KERNEL=kasan
	@python3 -B tests/rig/run.py guests --tests $(or $(TESTS),fuzz) --kernel $(or $(KERNEL),kasan) \
		--operations $(or $(OPERATIONS),10000000) --slow $(or $(SLOW),60) \
		--append '$(or $(APPEND),kmemleak=off)'

check-kernels: prerequisites-kernels ## all Debian kernels; KERNEL=6.1, ARCH=arm64 some
	@python3 -B tests/rig/matrix.py

check-options: prerequisites-lint ## build the module for kernels that lack an option
	@python3 -B tests/rig/check_options.py

check-debug: prerequisites-debug ## all in kernels that find bugs; KERNEL=kasan, kcsan one
	@python3 -B tests/rig/debug.py

unplug-tests := unplug,remove,turmoil
check-unplug: prerequisites ## devices come and go CYCLES=1000 times under all users
	@python3 -B tests/rig/run.py guests --tests '$(or $(TESTS),$(unplug-tests))' \
		--cycles $(or $(CYCLES),1000) --slow $(or $(SLOW),5)

lint: prerequisites-lint ## run every checker over the sources
	@python3 -B tests/rig/lint.py

what-is-called-when: prerequisites ## trace a device in guests and write it into docs/
	@python3 -B tests/rig/trace_scenarios.py

demo: prerequisites-guests ## two guests talk to each other; INTERACTIVE=1 a shell in each
	@python3 -B tests/rig/demo.py

bench: prerequisites-bench ## measure speed; PARTS=crowds some, KVMFR=DIRECTORY beside kvmfr
	@PYTHONPATH=tests/rig python3 -B tests/bench/bench.py $(PARTS)

soak: prerequisites ## an hour of load, kills and checks; SECONDS=600 shorter
	@PYTHONPATH=tests/rig python3 -B tests/soak/soak.py --seconds $(or $(SECONDS),3600)

arm64-packages := device-tree-compiler g++-aarch64-linux-gnu libc6-dev-arm64-cross mmdebstrap \
	qemu-system-arm
guest-packages := busybox-static debian-archive-keyring gcc kmod libc6-dev libjansson-dev \
	libncurses-dev libxxhash-dev make pkgconf python3 qemu-system-x86 util-linux \
	$(if $(filter arm64,$(ARCH)),$(arm64-packages)) \
	$(if $(findstring /,$(KERNEL)),mmdebstrap)
test-packages := $(guest-packages) acpica-tools g++ gpg gpg-agent iproute2 man-db \
	python3-jsonschema python3-pytest stress-ng trinity udev valgrind

prerequisites-guests:
	@packaging/prerequisites.sh $(guest-packages)

prerequisites:
	@packaging/prerequisites.sh $(test-packages)

prerequisites-kernels:
	@packaging/prerequisites.sh $(test-packages) $(arm64-packages) mmdebstrap

prerequisites-debug:
	@packaging/prerequisites.sh $(test-packages) bc bison flex libelf-dev libssl-dev \
		xz-utils

prerequisites-lint:
	@packaging/prerequisites.sh $(test-packages) black clang mypy pyflakes3 shellcheck sparse

prerequisites-bench:
	@packaging/prerequisites.sh $(guest-packages) gnuplot-nox iproute2

clean: ## remove everything built
	rm -rf build
	find src \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name '.*.cmd' -o -name 'modules.order' -o -name 'Module.symvers' \) -delete

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | \
		expand -t 20

.PHONY: all module check check-kernels check-options check-debug check-unplug fuzz soak \
	what-is-called-when demo bench lint prerequisites prerequisites-guests prerequisites-kernels \
	prerequisites-debug prerequisites-lint prerequisites-bench clean help

endif
