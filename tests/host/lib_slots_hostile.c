// SPDX-License-Identifier: GPL-2.0-only
/*
 * A living handle on a file whose label or peer area others write to, as tools and as strangers
 * do: it writes to nothing that is not its own any more, and believes nothing (lib/slot.c).
 */

#include "common/labelled.h"

#define PATTERN		0xa5
#define ROUNDS		20000

static unsigned char *memory;

static bool is_filled(unsigned char byte)
{
	unsigned int n;

	for (n = AREA; n < DATA; n++) {
		if (memory[n] != byte) {
			tap_note("byte %#x is %#x", n, memory[n]);
			return false;
		}
	}
	return true;
}

/* For longer than the silence after which a slot can be taken. */
static void several_beats(void)
{
	usleep(1500000);
}

/* Nobody may write to what was the peer area: not by heartbeats, doorbells or the end. */
static void leaves_alone(struct ivshmem *handle, struct ivshmem *other, unsigned char byte)
{
	int n;

	memset(memory + AREA, byte, DATA - AREA);
	for (n = 0; n < 100; n++)
		ivshmem_ring(handle, FIRST_ID + 1, 0);
	tap_eq(ivshmem_ring(handle, FIRST_ID + 1, 0), -ESTALE, "it does not ring");
	tap_ok(!strcmp(ivshmem_error(-ESTALE), "the region has another label now"),
	       "which is the reason");
	several_beats();
	tap_eq(ivshmem_peers(handle, NULL, 0), 0, "nobody is there");
	tap_eq(ivshmem_list_peers(handle, NULL, 0), 0, "nor is this program");
	ivshmem_close(other);
	tap_ok(is_filled(byte), "no byte is written");
}

static void test_wiped(unsigned char byte)
{
	struct ivshmem_wait_options options = { .timeout_ns = 1000000 };
	struct ivshmem *handle, *other;

	tap_about("wiped");
	memory = make_region(4, 4);
	handle = open_region(0);
	other = open_region(0);
	tap_eq(ivshmem_peers(handle, NULL, 0), 1, "another is there");
	memset(memory, 0, 8);
	leaves_alone(handle, other, byte);
	tap_eq(ivshmem_wait(handle, &options, NULL), -ETIMEDOUT, "a wait has its timeout");
	ivshmem_close(handle);
	tap_ok(is_filled(byte), "nor at the end");
	munmap(memory, REGION_SIZE);
}

/* The new label has the same geometry, but is another one. */
static void test_formatted(void)
{
	struct ivshmem *handle, *other, *third;

	tap_about("formatted");
	memory = make_region(4, 4);
	handle = open_region(0);
	other = open_region(0);
	memory[IVSHMEM_LABEL_AT_UUID] ^= 1;
	leaves_alone(handle, other, PATTERN);
	memset(memory + AREA, 0, DATA - AREA);
	memory[IVSHMEM_LABEL_AT_UUID] ^= 1;
	tap_ok(eventually(raw_section(memory, 0)->owner), "the label is restored: it comes back");
	third = open_region(0);
	tap_ok(eventually(ivshmem_peers(handle, NULL, 0) == 1), "and sees another");
	tap_ok(eventually(ivshmem_ring(third, id_of(handle), 0) == 0), "which can ring it");
	ivshmem_close(third);
	ivshmem_close(handle);
	munmap(memory, REGION_SIZE);
}

/* Each of these bytes of the label says what the peer area is. */
static void test_identity(void)
{
	static const struct {
		unsigned int at;
		const char *name;
	} bytes[] = {
		{ 7, "magic" }, { IVSHMEM_LABEL_AT_VERSION, "version" },
		{ IVSHMEM_LABEL_AT_INCOMPATIBLE + 7, "a feature" },
		{ IVSHMEM_LABEL_AT_UUID, "UUID" }, { IVSHMEM_LABEL_AT_UUID + 15, "UUID's end" },
		{ IVSHMEM_LABEL_AT_PEERS_OFFSET + 1, "place" },
		{ IVSHMEM_LABEL_AT_PEER_SIZE + 1, "size" }, { IVSHMEM_LABEL_AT_PEERS, "slots" },
		{ IVSHMEM_LABEL_AT_BELL_VECTORS, "doorbells" },
	};
	struct ivshmem *handle;
	unsigned int n;

	tap_about("identity");
	memory = make_region(4, 4);
	handle = open_region(0);
	for (n = 0; n < sizeof(bytes) / sizeof(bytes[0]); n++) {
		memory[bytes[n].at] ^= 1;
		tap_eq(ivshmem_ring(handle, FIRST_ID, 0), -ESTALE, "another %s", bytes[n].name);
		memory[bytes[n].at] ^= 1;
		tap_ok(eventually(!ivshmem_ring(handle, FIRST_ID, 0)), "and the same again");
	}
	ivshmem_close(handle);
	munmap(memory, REGION_SIZE);
}

/* A change of the partitions is none of the peer area. */
static void test_partition_added(void)
{
	struct ivshmem *handle;
	uint64_t owner;

	tap_about("partition added");
	memory = make_region(4, 4);
	handle = open_region(0);
	owner = raw_section(memory, 0)->owner;
	memory[IVSHMEM_LABEL_AT_GENERATION]++;
	memory[256] ^= 1;
	several_beats();
	tap_eq(ivshmem_list_peers(handle, NULL, 0), 1, "this program is still there");
	tap_ok(raw_section(memory, 0)->owner == owner, "in its slot");
	ivshmem_close(handle);
	munmap(memory, REGION_SIZE);
}

static uint64_t random_word(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A stranger, as another machine is: it writes to all of the peer area. */
static int write_nonsense(void *argument)
{
	uint64_t state = 88172645463325252;

	(void)argument;
	for (;;) {
		uint64_t value = random_word(&state);
		uint64_t *at = (void *)(memory + AREA + random_word(&state) %
					(4 * SECTION) / 8 * 8);

		/* Small numbers and all ones are where trouble would be. */
		*(volatile uint64_t *)at = value % 4 == 0 ? value % 64 :
					   value % 4 == 1 ? ~UINT64_C(0) : value;
	}
	return 0;
}

static void test_nonsense(void)
{
	struct ivshmem_wait_options options = { .flags = IVSHMEM_WAIT_SET, .set = { 0xf } };
	struct ivshmem_peer peers[8];
	struct ivshmem *handle;
	uint32_t ids[4];
	pid_t stranger;
	int n, wrong = 0;

	tap_about("nonsense");
	memory = make_region(4, 4);
	handle = open_region(0);
	stranger = start_program(write_nonsense, NULL);
	for (n = 0; n < ROUNDS; n++) {
		int count = ivshmem_list_peers(handle, peers, 8), i;

		if (count < 0 || count > 4)
			wrong++;
		for (i = 0; i < count && i < 8; i++)
			wrong += peers[i].id > IVSHMEM_MAX_PEER || peers[i].slot > 3 ||
				 !memchr(peers[i].name, 0, sizeof(peers[i].name));
		ivshmem_peers(handle, ids, 4);
		ivshmem_ring(handle, FIRST_ID + n % 5, n % 5);
		ivshmem_wait(handle, &options, NULL);
		if (n % 100 == 0)
			usleep(1000);
	}
	tap_eq(kill_program(stranger), -SIGKILL, "a stranger writes");
	tap_eq(wrong, 0, "nothing wrong is listed");
	tap_ok(!memcmp(memory, "IVSHMLBL", 8), "the label is still there");
	memset(memory + AREA, 0, 4 * SECTION);
	tap_ok(eventually(id_of(handle) <= IVSHMEM_MAX_PEER &&
			  raw_section(memory, id_of(handle) - FIRST_ID)->owner),
	       "afterwards the program has a slot");
	tap_ok(eventually(ivshmem_ring(handle, id_of(handle), 0) == 0), "and can be rung");
	ivshmem_close(handle);
	munmap(memory, REGION_SIZE);
}

#define SLOTS	128

static void ring_by_hand(unsigned int slot, unsigned int vector)
{
	struct raw_section *section = raw_section(memory, slot);

	section->owner = slot;
	section->state = 1;
	__atomic_fetch_add(&section->counters[SLOTS + vector], 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&section->counters[0], 1, __ATOMIC_SEQ_CST);
}

/* Before each look, which a wait that does not sleep is, more rows change than it takes. */
static void test_storm(void)
{
	struct ivshmem_wait_options look = { .vector = 2 };
	struct ivshmem *handle;
	unsigned int slot;
	int looks = 0;

	tap_about("storm");
	memory = make_region(SLOTS, 4);
	handle = open_region(0);
	ring_by_hand(100, 2);
	do {
		for (slot = 1; slot <= 16; slot++)
			ring_by_hand(slot, 0);
	} while (ivshmem_wait(handle, &look, NULL) == -ETIMEDOUT && ++looks < 100);
	tap_ok(looks > 0 && looks < 100, "another one has its turn after %d looks", looks);
	ivshmem_close(handle);
	munmap(memory, REGION_SIZE);
}

/* One look takes the rows of a few sections only. */
static void test_flood(void)
{
	struct ivshmem_wait_options options = { .vector = 3, .timeout_ns = PATIENCE };
	struct ivshmem_wait_result result = { 0 };
	struct ivshmem *handle;
	unsigned int slot;
	uint64_t heard = 0;

	tap_about("flood");
	memory = make_region(SLOTS, 4);
	handle = open_region(0);
	for (slot = 1; slot < SLOTS; slot++)
		ring_by_hand(slot, 3);
	while (heard < SLOTS - 1 && !ivshmem_wait(handle, &options, &result))
		heard += result.count;
	tap_eq(heard, SLOTS - 1, "each peer is heard");
	ring_by_hand(5, 3);
	raw_section(memory, 5)->owner = 0;
	options.timeout_ns = 0;
	tap_eq(ivshmem_wait(handle, &options, NULL), 0, "one that has left by then is heard as well");
	tap_eq(ivshmem_list_peers(handle, NULL, 0), 127, "all others are there");
	tap_ok(eventually(ivshmem_list_peers(handle, NULL, 0) == 1),
	       "until they are silent for too long");
	ivshmem_close(handle);
	munmap(memory, REGION_SIZE);
}

int main(void)
{
	test_wiped(0);
	test_wiped(PATTERN);
	test_formatted();
	test_identity();
	test_partition_added();
	test_nonsense();
	test_flood();
	test_storm();
	return tap_done();
}
