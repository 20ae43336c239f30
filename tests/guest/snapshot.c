// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine is set back to a snapshot while another one and a program on the host go on: first
 * at once, then when somebody else has its slot. It has a slot of its own again, others see it
 * once, doorbells and channels work, and nobody writes to what somebody else has.
 */
/* rig: guests=2 devices=plain size=1M alone=yes timeout=300 */
#include <ivshmem_channel.h>
#include <pthread.h>

#include "peers.h"

#define SIZE		(1UL << 20)
#define SLOTS		4
#define VECTORS		2
#define PARTIES		3
#define PART		(512UL << 10)
#define PART_SIZE	(64UL << 10)
#define NAME		"part"
#define POINTS		(PART + PART_SIZE)	/* where their number outlasts a machine */
#define CHANNEL_SIZE	0x4000
#define MESSAGES	50
#define STRANGER	0x5707e4
#define LOOK_MS		50
#define LOOKS		600
#define BEATS_MS	500	/* some heartbeats */
/* A doorbell that takes longer is lost. */
#define PATIENCE	(30 * SECOND)
/* A message that was sent before the other end knew of the pause gets no answer. */
#define ANSWER		(5 * SECOND)

/* The numbers of the channels: that of the guests, and that of guest 1 and the program. */
enum { TO_GUEST, TO_HOST };

static struct ivshmem_label label;
static struct ivshmem *shm;
static struct ivshmem_channel *channels[2];
static struct peers seen;
static char *region;
static int fd;

static int64_t soon(void)
{
	return ivshmem_after(ANSWER);
}

/* Guest 1 is the creator of both. */
static int open_channel(unsigned int number, bool create)
{
	struct ivshmem_channel_options options = {
		.offset = number * CHANNEL_SIZE, .size = CHANNEL_SIZE,
	};

	return create ? ivshmem_channel_create(shm, &options, &channels[number]) :
			ivshmem_channel_attach(shm, &options, soon(), &channels[number]);
}

/* Is it only the session that has ended? */
static bool goes_on(int64_t error)
{
	return error == -EPIPE || error == -ECONNRESET;
}

/* Say the same back, to one end after the other. */
static void *echo(void *number)
{
	struct ivshmem_channel *channel = channels[(uintptr_t)number];
	char text[32];
	int64_t size;

	do {
		size = ivshmem_channel_recv(channel, text, sizeof(text), IVSHMEM_FOREVER);
		if (size >= 0)
			size = ivshmem_channel_send(channel, text, size, 0, soon());
	} while (size >= 0 || goes_on(size));
	return NULL;
}

/* How many messages come back, or an error. */
static int64_t talk(unsigned int number)
{
	struct ivshmem_channel *channel = channels[number];
	char text[32], answer[32];
	int64_t size, got;

	for (int i = 0; i < MESSAGES; i++) {
		size = snprintf(text, sizeof(text), "message %d", i);
		got = ivshmem_channel_send(channel, text, size, 0, soon());
		if (!got)
			got = ivshmem_channel_recv(channel, answer, sizeof(answer), soon());
		if (got < 0)
			return got;
		if (got != size || memcmp(text, answer, size))
			return -EBADMSG;
	}
	return MESSAGES;
}

static int run_on_host(const char *path)
{
	int error = ivshmem_open_partition(&shm, path, NAME, 0);

	if (!error)
		error = open_channel(TO_HOST, false);
	if (error)
		printf("no channel: %s\n", ivshmem_error(error));
	else
		echo((void *)TO_HOST);
	return 1;
}

/* Guest 0 is the first, so it has slot 0. */
static void join(void)
{
	sethostname(rig_guest() ? "guest-1" : "guest-0", 7);
	fd = dev_open();
	region = dev_map(fd, SIZE);
	label = label_new(SIZE);
	label_add(&label, 1, "raw", NAME, PART, PART_SIZE, 0, VECTORS);
	label_add_peers(&label, SLOTS, VECTORS);
	if (rig_guest())
		rig_ask("barrier first");
	else
		label_store(region, &label);
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label");
	tap_ok(peers_become(fd, &seen, 1 + rig_guest()), "this machine is there");
	if (!rig_guest())
		rig_ask("barrier first");
	close(fd);
	fd = dev_open();
	if (ivshmem_open_partition(&shm, "/dev/ivshmem0", NAME, 0))
		tap_bail("no partition");
}

/* A guest among those who are present; NULL if it is not there, or twice. */
static const struct ivshmem_peer_info *find(unsigned int guest)
{
	const struct ivshmem_peer_info *found = NULL;
	char name[32] = "guest-0";

	name[6] += guest;
	for (unsigned int i = 0; i < seen.nr; i++) {
		if (memcmp(seen.at[i].name, name, sizeof(name)))
			continue;
		if (found)
			return NULL;
		found = &seen.at[i];
	}
	return found;
}

/*
 * All are there, and guest 0 has this slot and another owner than before. The clock may jump in
 * a machine that is set back.
 */
static bool guest_anew(unsigned int slot, uint64_t owner)
{
	for (int looks = 0; looks < LOOKS && !peers_get(fd, &seen, false, 0); looks++) {
		const struct ivshmem_peer_info *guest = find(0);

		if (seen.nr == PARTIES && guest && guest->slot == slot && guest->owner != owner)
			return true;
		sleep_ms(LOOK_MS);
	}
	return false;
}

/* What guest 0 does. The number of its points is not set back with it. */
static void set_back(const char *how)
{
	*(volatile unsigned int *)(region + POINTS) = tap_points;
	rig_ask("restore %s", how);
}

/* After a pause it hears of the end of the session, or has to open the channel again. */
static int64_t talk_again(void)
{
	int64_t got;

	for (int tries = 0; (got = talk(TO_GUEST)) < 0 && tries < 10; tries++) {
		tap_note("the channel: %s", ivshmem_error(got));
		if (goes_on(got))
			continue;
		ivshmem_channel_close(channels[TO_GUEST]);
		if (open_channel(TO_GUEST, false))
			tap_bail("the channel does not open again");
	}
	return got;
}

static void test_set_back(const char *how, unsigned int slot, uint64_t owner)
{
	tap_about(how);
	tap_ok(guest_anew(slot, owner) && find(0) == peers_self(&seen),
	       "this machine has slot %u, as another owner", slot);
	tap_eq(talk_again(), MESSAGES, "messages to the other guest, and back");
	while (dev_wait_vector(fd, 1, 0) > 0)
		;
	rig_ask("barrier ring-%s", how);
	tap_ok(dev_wait_vector(fd, 1, PATIENCE) > 0, "a doorbell arrives");
	tap_eq(dev_ring(fd, find(1)->id, 1), 0, "ring the other guest");
}

static int guest_0(void)
{
	const char *answer;
	uint64_t owner;
	bool taken;

	tap_eq(open_channel(TO_GUEST, false), 0, "a channel");
	rig_ask("barrier all");
	tap_ok(peers_become(fd, &seen, PARTIES), "all are there");
	tap_eq(talk(TO_GUEST), MESSAGES, "messages to the other guest, and back");
	owner = find(0)->owner;
	answer = rig_ask("snapshot");
	if (!strcmp(answer, "saved")) {
		tap_eq(talk_again(), MESSAGES, "and more of them");
		sleep_ms(BEATS_MS);
		set_back("kept");
	}
	taken = !strcmp(answer, "taken");
	tap_points = *(volatile unsigned int *)(region + POINTS);
	test_set_back(taken ? "taken" : "kept", taken ? SLOTS - 1 : 0, owner);
	if (!taken)
		set_back("taken");
	return tap_done();
}

/* What guest 1 does */

/* Guest 0 stands still. Somebody else takes its slot. */
static void take_slot(void *section, size_t size)
{
	volatile struct ivshmem_peer_section *first = peers_section(region, &label, 0);

	tap_ok(peers_become(fd, &seen, PARTIES - 1), "the other guest stands still: it is gone");
	first->state = 0;
	first->owner = STRANGER;
	memcpy(section, (void *)first, size);
}

static void see_set_back(const char *how, unsigned int slot, uint64_t owner)
{
	tap_about(how);
	rig_ask("barrier %s", how);
	tap_eq(talk(TO_HOST), MESSAGES, "messages to the program, and back");
	tap_ok(guest_anew(slot, owner), "the other guest is there once, as another owner");
	rig_ask("barrier ring-%s", how);
	tap_eq(dev_ring(fd, find(0)->id, 1), 0, "ring it");
	tap_ok(dev_wait_vector(fd, 1, PATIENCE) > 0, "it rings back");
}

static int guest_1(void)
{
	void *section = malloc(label.peer_size);
	pthread_t thread;
	uint64_t owner;

	tap_eq(open_channel(TO_GUEST, true) | open_channel(TO_HOST, true), 0, "channels");
	pthread_create(&thread, NULL, echo, (void *)TO_GUEST);
	rig_ask("program");
	tap_eq(talk(TO_HOST), MESSAGES, "messages to the program, and back");
	rig_ask("barrier all");
	tap_ok(peers_become(fd, &seen, PARTIES), "all are there");
	owner = find(0)->owner;
	see_set_back("kept", 0, owner);
	take_slot(section, label.peer_size);
	see_set_back("taken", SLOTS - 1, owner);
	tap_ok(!memcmp(section, (void *)peers_section(region, &label, 0), label.peer_size),
	       "nobody has written to the section of somebody else");
	tap_ok(rig_try("program-kill"), "the program is still there");
	return tap_done();
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return run_on_host(argv[1]);
	join();
	return rig_guest() ? guest_1() : guest_0();
}
