# SPDX-License-Identifier: GPL-2.0-only
# Tests of user space, which run on the host, and the examples, which one of them runs.
# Each file in tests/host/ is a test. What they share is in common/, and what they share
# with guests in tests/guest/lib/.

test-sources := $(sort $(wildcard tests/host/*.c))
common-sources := $(sort $(wildcard tests/host/common/*.c)) \
	$(addprefix tests/guest/lib/,hostile.c loop.c pattern.c) tests/mutations/mutation.c \
	$(addprefix src/rings/,broadcast.c layout.c ring.c)
race-tests := $(filter %_race.c,$(test-sources))

# $(call host-tests,VARIANT,FLAGS)
define host-tests
$(1)/tests/%: $(1)/obj/tests/host/%.o $(call objects,$(1),$(common-sources)) \
		$(1)/libivshmem.a
	@mkdir -p $$(@D)
	$$(CC) $(2) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^

# As a user of the library compiles them.
$(1)/examples/%: examples/%.c $(1)/libivshmem.a
	@mkdir -p $$(@D)
	$$(CC) -Wall -Wextra -Werror -pthread -MMD -MP $(2) -Ilib/include \
		-o $$@ $$< $(1)/libivshmem.a

$(1)/examples/%: examples/%.cpp $(1)/libivshmem.a
	@mkdir -p $$(@D)
	$$(CXX) -std=c++20 -Wall -Wextra -Werror -pthread -MMD -MP $(2) -Ilib/include \
		-o $$@ $$< $(1)/libivshmem.a

-include $(patsubst %.o,%.d,$(call objects,$(1),$(test-sources) $(common-sources))) \
	$(wildcard $(1)/examples/*.d)
endef

$(eval $(call host-tests,build))
$(eval $(call host-tests,build/san,$(san-flags)))
$(eval $(call host-tests,build/tsan,$(tsan-flags)))

host-programs := $(patsubst tests/host/%.c,build/tsan/tests/%,$(race-tests)) \
	$(patsubst tests/host/%.c,build/san/tests/%,$(filter-out $(race-tests),$(test-sources))) \
	$(addprefix build/san/,$(basename $(wildcard examples/*.c examples/*.cpp))) \
	$(addprefix build/san/,ivshmem-server ivshmemctl) build/libivshmem.so.0 \
	build/ivshmem-server

host-programs: $(host-programs)

check-host: prerequisites host-programs ## run the tests of user space; TESTS=pattern some
	@python3 -B tests/host/check.py

# What package builds run, on what goes into the packages: as any user, with a compiler
# and perl alone. The other tests want more patience of a busy machine than a build has.
unit-tests := $(addprefix build/tests/,channel_fuzz channel_hostile lib_device lib_errors \
	lib_label lib_open lib_sync lib_sync_create)

check-unit: tools $(unit-tests) ## run the library's tests on what is packaged
	prove --exec '' $(unit-tests)

build/obj/tests/host/common/harness.o: override CPPFLAGS += -DSERVER='"build/ivshmem-server"'

.PHONY: host-programs check-host check-unit
