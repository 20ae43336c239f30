// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that find each other in the peer area of a file (lib/member.c, slot.c, presence.c).
 */
#include <poll.h>
#include <time.h>

#include "common/labelled.h"

static double seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void test_alone(unsigned char *memory)
{
	int before = open_descriptors(0);
	struct ivshmem *handle = open_region(0);
	struct raw_section *section = raw_section(memory, 0);
	struct ivshmem_properties properties;
	uint64_t heartbeat = section->heartbeat;
	char name[33] = "";

	tap_about("alone");
	tap_eq(ivshmem_get_properties(handle, &properties), 0, "properties");
	tap_eq(properties.transport, IVSHMEM_TRANSPORT_FILE, "it is a file");
	tap_eq(properties.id, FIRST_ID, "the id is that of the first slot");
	tap_eq(properties.vectors, 4, "vectors");
	tap_ok(properties.can_ring && !properties.vectors_guessed, "doorbells, for sure");
	tap_ok(section->owner && section->state == 1 && section->kind == 2 &&
	       section->id == UINT32_MAX, "the section says so");
	tap_eq(section->generation, 1, "it is the slot's first owner");
	memcpy(name, section->name, 32);
	tap_ok(strstr(name, "lib_slots:") == name && atoi(name + 10) == getpid(),
	       "its name is %s", name);
	tap_ok(eventually(*(volatile uint64_t *)&section->heartbeat > heartbeat + 2),
	       "the heart beats");
	tap_eq(ivshmem_peers(handle, NULL, 0), 0, "nobody else is there");
	section->state = 0;
	section->kind = 1;
	section->id = 5;
	memset(section->name, 'x', 32);
	tap_ok(eventually(*(volatile uint16_t *)&section->state && section->kind == 2 &&
			  section->id == UINT32_MAX && !memcmp(section->name, name, 32)),
	       "what others write there does not last");
	ivshmem_close(handle);
	tap_ok(!section->owner && !section->state, "the slot is given back");
	tap_eq(open_descriptors(0), before, "no descriptor is left");
	handle = open_region(0);
	tap_eq(section->generation, 2, "then it has its second owner");
	ivshmem_close(handle);
}

static void test_list(unsigned char *memory)
{
	struct ivshmem *one = open_region(0), *other = open_region(0);
	struct ivshmem_peer peers[3] = { 0 };
	uint32_t ids[2] = { 0 };

	tap_about("list");
	tap_eq(ivshmem_peers(one, ids, 2), 1, "there is one other");
	tap_eq(ids[0], FIRST_ID + 1, "which has the second slot");
	tap_eq(ivshmem_list_peers(one, peers, 3), 2, "both are listed");
	tap_ok(peers[0].id == FIRST_ID && peers[0].self && !peers[0].slot, "this one first");
	tap_ok(peers[1].id == FIRST_ID + 1 && !peers[1].self && peers[1].slot == 1,
	       "then the other");
	tap_eq(peers[1].kind, IVSHMEM_KIND_PROGRAM, "a program");
	tap_ok(peers[1].owner == raw_section(memory, 1)->owner &&
	       peers[1].generation == raw_section(memory, 1)->generation,
	       "owner and generation are those of the section");
	tap_ok(!strncmp(peers[1].name, "lib_slots:", 10), "its name is %s", peers[1].name);
	peers[1].id = 77;
	tap_eq(ivshmem_list_peers(one, peers, 1), 2, "they are counted where there is no room");
	tap_eq(peers[1].id, 77, "which then stays as it is");
	tap_eq(ivshmem_list_peers(one, NULL, 0), 2, "also without any");
	tap_eq(ivshmem_list_peers_sized(one, peers, 8, 3), 2, "for a program that knows less");
	tap_ok(((uint32_t *)peers)[2] == FIRST_ID + 1 && ((uint32_t *)peers)[3] == 1,
	       "elements are as long as it believes");
	ivshmem_close(other);
	tap_eq(ivshmem_peers(one, ids, 2), 0, "who closes is gone at once");
	ivshmem_close(one);
}

static bool is_readable(int fd, int milliseconds)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, milliseconds) == 1;
}

static void test_news(void)
{
	struct ivshmem *one = open_region(0), *other;
	int news = ivshmem_fd(one);

	tap_about("news");
	ivshmem_peers(one, NULL, 0);
	tap_ok(!is_readable(news, 0), "there is none");
	other = open_region(0);
	tap_ok(is_readable(news, -1), "somebody comes");
	ivshmem_list_peers(one, NULL, 0);
	tap_ok(is_readable(news, 0), "which a list does not take");
	tap_eq(ivshmem_peers(one, NULL, 0), 1, "it is counted");
	tap_ok(!is_readable(news, 0), "then it is no news");
	ivshmem_close(other);
	tap_ok(is_readable(news, -1), "and goes");
	tap_eq(ivshmem_peers(one, NULL, 0), 0, "it is not counted");
	ivshmem_close(one);
}

/* A poll without a timeout ends, and how soon: that is printed. */
static void test_killed(unsigned char *memory)
{
	pid_t pid = start_program(stay, NULL);
	struct ivshmem *one = open_region(0);
	int news = ivshmem_fd(one);
	double start;

	tap_about("killed");
	tap_ok(eventually(ivshmem_peers(one, NULL, 0) == 1), "another program is there");
	tap_ok(!is_readable(news, 0), "it is counted");
	start = seconds();
	kill_program(pid);
	tap_ok(is_readable(news, -1), "after it was killed there is news");
	tap_note("%.2f s later", seconds() - start);
	tap_ok(seconds() - start < 30, "soon");
	tap_eq(ivshmem_peers(one, NULL, 0), 0, "nobody else is there");
	tap_ok(raw_section(memory, 0)->owner && raw_section(memory, 1)->owner,
	       "though its slot is not given back");
	pid = start_program(stay, NULL);
	tap_ok(eventually(ivshmem_peers(one, NULL, 0) == 1), "started again, it has another slot");
	kill_program(pid);
	ivshmem_close(one);
	memset(memory + AREA, 0, 4 * SECTION);
}

/* Stopped, it counts as absent, and comes back as what it was. */
static void test_stopped(unsigned char *memory)
{
	pid_t pid = start_program(stay, NULL);
	struct ivshmem *one = open_region(0);
	struct ivshmem_peer before[2], after[2];

	tap_about("stopped");
	tap_ok(eventually(ivshmem_list_peers(one, before, 2) == 2), "another program is there");
	kill(pid, SIGSTOP);
	tap_ok(eventually(ivshmem_peers(one, NULL, 0) == 0), "stopped, it is not");
	kill(pid, SIGCONT);
	tap_ok(eventually(ivshmem_list_peers(one, after, 2) == 2), "continued, it is");
	tap_ok(before[0].owner == after[0].owner && before[1].owner == after[1].owner,
	       "with the same number");
	kill_program(pid);
	ivshmem_close(one);
	memset(memory + AREA, 0, 4 * SECTION);
}

static void test_too_many(unsigned char *memory)
{
	struct ivshmem_wait_options look = { .timeout_ns = 0 };
	struct ivshmem *handles[4], *fifth;
	struct ivshmem_properties properties;
	int n;

	tap_about("too many");
	for (n = 0; n < 4; n++)
		handles[n] = open_region(0);
	tap_eq(id_of(handles[3]), FIRST_ID + 3, "four have slots");
	fifth = open_region(0);
	ivshmem_get_properties(fifth, &properties);
	tap_eq(properties.id, IVSHMEM_ID_UNKNOWN, "the fifth has none");
	tap_ok(!properties.vectors && !properties.can_ring, "nor doorbells");
	tap_eq(ivshmem_wait(fifth, &look, NULL), -EOPNOTSUPP, "it cannot wait for one");
	tap_eq(ivshmem_ring(fifth, FIRST_ID, 0), -EAGAIN, "nor ring");
	tap_ok(strstr(ivshmem_error(-EAGAIN), "none of the label's 4 slots"), "for that reason");
	tap_eq(ivshmem_peers(fifth, NULL, 0), 4, "it sees the others");
	ivshmem_close(handles[2]);
	tap_ok(eventually(id_of(fifth) == FIRST_ID + 2), "it gets the first slot that is free");
	ivshmem_get_properties(fifth, &properties);
	tap_eq(properties.vectors, 4, "with doorbells");
	tap_eq(ivshmem_ring(fifth, FIRST_ID, 0), 0, "it can ring");
	tap_eq(ivshmem_wait(handles[0], &look, NULL), 0, "and is heard");
	ivshmem_close(fifth);
	for (n = 0; n < 4; n++)
		if (n != 2)
			ivshmem_close(handles[n]);
	tap_ok(!raw_section(memory, 0)->owner && !raw_section(memory, 3)->owner,
	       "all slots are given back");
}

/* All slots are those of programs that have died. */
static void test_abandoned(unsigned char *memory)
{
	struct ivshmem *handle;
	unsigned int n;

	tap_about("abandoned");
	for (n = 0; n < 4; n++) {
		raw_section(memory, n)->owner = 1000 + n;
		raw_section(memory, n)->state = 1;
	}
	handle = open_region(0);
	tap_ok(id_of(handle) >= FIRST_ID && id_of(handle) < FIRST_ID + 4,
	       "a new program has the slot of a dead one at once");
	ivshmem_close(handle);
	memset(memory + AREA, 0, 4 * SECTION);
}

/* Somebody else takes the slot, as if this program had been stopped for long. */
static void test_stolen(unsigned char *memory)
{
	struct ivshmem *handle = open_region(0), *other = open_region(0);
	struct raw_section *section = raw_section(memory, 0);
	struct ivshmem_wait_options look = { .timeout_ns = 0 };
	uint64_t heartbeat;

	tap_about("stolen");
	section->owner = 99;
	tap_eq(ivshmem_ring(handle, FIRST_ID + 1, 0), -EAGAIN, "without a slot it does not ring");
	heartbeat = *(volatile uint64_t *)&section->heartbeat;
	tap_ok(eventually(id_of(handle) == FIRST_ID + 2), "it takes another slot");
	tap_ok(section->owner == 99 && section->heartbeat <= heartbeat + 1,
	       "and writes nothing more where it was");
	tap_ok(eventually(ivshmem_ring(other, FIRST_ID + 2, 0) == 0), "it is rung there");
	tap_eq(ivshmem_wait(handle, &look, NULL), 0, "and hears that");
	tap_ok(eventually(ivshmem_peers(other, NULL, 0) == 1), "the thief is never heard of");
	ivshmem_close(handle);
	tap_eq(section->owner, 99, "the thief has the slot");
	tap_ok(!raw_section(memory, 2)->owner, "the other slot is given back");
	ivshmem_close(other);
	memset(memory + AREA, 0, 4 * SECTION);
}

static void test_read_only(unsigned char *memory)
{
	struct ivshmem_wait_options look = { .timeout_ns = 0 };
	struct ivshmem *reader = open_region(IVSHMEM_READ_ONLY), *other;
	struct ivshmem_properties properties;
	struct ivshmem_peer peers[2];
	int news = ivshmem_fd(reader);

	tap_about("read-only");
	ivshmem_get_properties(reader, &properties);
	tap_ok(properties.id == IVSHMEM_ID_UNKNOWN && !properties.vectors, "no id, no doorbells");
	tap_ok(!raw_section(memory, 0)->owner, "it takes no slot");
	tap_eq(ivshmem_ring(reader, FIRST_ID, 0), -EACCES, "it does not ring");
	tap_ok(!strcmp(ivshmem_error(-EACCES), "the handle is read-only"), "for that reason");
	tap_eq(ivshmem_wait(reader, &look, NULL), -EOPNOTSUPP, "and is not rung");
	ivshmem_peers(reader, NULL, 0);
	tap_ok(!is_readable(news, 0), "there is no news");
	other = open_region(0);
	tap_ok(is_readable(news, -1), "somebody comes");
	tap_eq(ivshmem_list_peers(reader, peers, 2), 1, "it is listed");
	tap_eq(peers[0].id, FIRST_ID, "with the first slot");
	ivshmem_close(other);
	ivshmem_close(reader);
}

/* Without doorbells, and without a peer area. */
static void test_other_labels(void)
{
	struct ivshmem_properties properties;
	struct ivshmem *one, *other;

	tap_about("no doorbells");
	munmap(make_region(4, 0), REGION_SIZE);
	one = open_region(0);
	other = open_region(0);
	ivshmem_get_properties(one, &properties);
	tap_ok(properties.id == IVSHMEM_ID_UNKNOWN && !properties.vectors, "no id, no vectors");
	tap_eq(ivshmem_ring(one, FIRST_ID + 1, 0), -EOPNOTSUPP, "nobody can be rung");
	tap_eq(ivshmem_list_peers(one, NULL, 0), 2, "both are there");
	ivshmem_close(other);
	ivshmem_close(one);
	tap_about("no peer area");
	munmap(make_region(0, 4), REGION_SIZE);
	one = open_region(0);
	tap_eq(ivshmem_list_peers(one, NULL, 0), -EOPNOTSUPP, "nobody is listed");
	tap_eq(ivshmem_ring(one, FIRST_ID, 0), -EOPNOTSUPP, "nobody can be rung");
	ivshmem_close(one);
}

int main(void)
{
	unsigned char *memory = make_region(4, 4);

	test_alone(memory);
	test_list(memory);
	test_news();
	test_killed(memory);
	test_stopped(memory);
	test_too_many(memory);
	test_abandoned(memory);
	test_stolen(memory);
	test_read_only(memory);
	munmap(memory, REGION_SIZE);
	test_other_labels();
	return tap_done();
}
