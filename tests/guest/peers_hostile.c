// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer writes whatever it likes to the sections of all others, and to the label, while
 * programs ask who is there in every way. Afterwards all is as if nothing had been.
 */
/* rig: devices=plain,plain vectors=2 size=1M alone=yes mem=384 timeout=240 */
#include <poll.h>
#include <pthread.h>

#include "guarded.h"
#include "module.h"
#include "peers.h"

#define SIZE (1UL << 20)
#define SLOTS 8
#define KINDS 5

static struct ivshmem_label label;
static char *region;
static volatile bool stop;
static volatile unsigned int lies, calls[KINDS], wrong;

static int rescan(unsigned int device)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/ivshmem/devices/ivshmem%u/rescan", device);
	return file_write(path, "1");
}

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 32;
}

/* A field of a section, or any bytes, or the label. */
static void lie(uint64_t *state)
{
	volatile struct ivshmem_peer_section *section =
		peers_section(region, &label, next(state) % SLOTS);
	uint64_t number = next(state) << 32 | next(state);

	switch (next(state) % 16) {
	case 0 ... 3:
		section->owner = number % 3 ? number : 0;
		break;
	case 4 ... 7:
		section->heartbeat += number % 3;
		break;
	case 8:
		section->state = number % 4 ? IVSHMEM_PEER_PRESENT : number;
		break;
	case 9:
		section->id = number % 2 ? number : number % 4;
		break;
	case 10:
		section->generation = number;
		section->kind = number % 5 ? number % 5 : number;
		break;
	case 11:
		section->name[number % 32] = number >> 8;
		break;
	case 12:
		memset(region + label.peers_offset, number, SLOTS * label.peer_size);
		break;
	case 13:
		region[number % 256] = number >> 8;
		break;
	default:
		label_store(region, &label);
	}
}

static void *liar(void *arg)
{
	uint64_t state = 1;

	for (; !stop; lies++) {
		lie(&state);
		if (!(lies % 64))
			sleep_ms(1);
	}
	return arg;
}

/* What no lie may change: order, room, and sense of what is told. */
static bool is_sane(const struct peers *peers)
{
	for (unsigned int i = 0; i < peers->nr; i++) {
		const struct ivshmem_peer_info *at = &peers->at[i];

		if (!at->owner || at->slot >= SLOTS || (i && at->slot <= at[-1].slot) ||
		    (at->id > 0xffff) || at->reserved || at->silent_ms >= IVSHMEM_SILENT_MS ||
		    (at->flags & ~IVSHMEM_PEER_SELF))
			return false;
	}
	return peers->nr <= SLOTS;
}

static void visit(unsigned int kind, int fd, struct peers *peers)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	int ret = 0;

	switch (kind) {
	case 0:
		ret = peers_get(fd, peers, false, 0);
		break;
	case 1:
		ret = peers_get(fd, peers, true, SECOND / 10);
		break;
	case 2:
		poll(&p, 1, 100);
		ret = peers_get(fd, peers, false, 0);
		break;
	case 3:
		dev_attribute("ivshmem0", "peers");
		break;
	default:
		rescan(calls[kind] % 2);
	}
	if (ret && ret != -ETIMEDOUT && ret != -EOPNOTSUPP)
		wrong++;
	else if (!ret && kind < 3 && !is_sane(peers))
		wrong++;
}

static void *visitor(void *arg)
{
	unsigned int kind = (uintptr_t)arg;
	struct peers peers = { 0 };
	int fd = dev_open_at(kind % 2 ? "/dev/ivshmem1" : RIG_DEVICE, O_RDWR);

	for (; !stop; calls[kind]++)
		visit(kind, fd, &peers);
	close(fd);
	return NULL;
}

static void test_lies(void)
{
	pthread_t threads[KINDS + 1];
	unsigned int asked = 0;

	pthread_create(&threads[KINDS], NULL, liar, NULL);
	for (uintptr_t i = 0; i < KINDS; i++)
		pthread_create(&threads[i], NULL, visitor, (void *)i);
	sleep_ms(rig_times(8000));
	stop = true;
	for (unsigned int i = 0; i <= KINDS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < KINDS; i++)
		asked += calls[i] > 0;
	tap_note("%u lies; %u, %u, %u, %u, %u calls", lies, calls[0], calls[1], calls[2], calls[3],
		 calls[4]);
	tap_eq(asked, KINDS, "programs asked in every way");
	tap_eq(wrong, 0, "what they were told made sense");
}

/* An honest label, with all slots in the hands of one who does not live. */
static void test_ones(void)
{
	struct peers seen = { 0 };
	int fd = dev_open();

	memset(region + label.peers_offset, 0xff, SLOTS * label.peer_size);
	label.uuid[0]++;
	label_store(region, &label);
	tap_eq(rescan(0) | rescan(1), 0, "a label whose sections are all ones");
	tap_ok(peers_become(fd, &seen, 2), "two peers find slots");
	tap_ok(is_sane(&seen) && peers_self(&seen), "and are there as they should");
	close(fd);
}

int main(void)
{
	int fd = dev_open();

	guard();
	region = dev_map(fd, SIZE);
	label = label_new(SIZE);
	label_add_peers(&label, SLOTS, 2);
	label_store(region, &label);
	tap_eq(rescan(0) | rescan(1), 0, "a label");
	test_lies();
	test_ones();
	munmap(region, SIZE);
	close(fd);
	module_clean();
	return tap_done();
}
