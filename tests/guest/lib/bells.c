// SPDX-License-Identifier: GPL-2.0-only
/* Polled doorbells between two devices of one machine, for tests: see bells.h. */
#include "../bells.h"

static const char *device_path(unsigned int device)
{
	return device ? "/dev/ivshmem1" : "/dev/ivshmem0";
}

void bells_open(struct bells *b)
{
	for (unsigned int i = 0; i < 2; i++)
		b->fds[i] = dev_open_at(device_path(i), O_RDWR);
	b->region = dev_map(b->fds[0], BELLS_SIZE);
}

int bells_rescan(unsigned int device)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/ivshmem/devices/ivshmem%u/rescan", device);
	return file_write(path, "1");
}

void bells_reopen(struct bells *b)
{
	static struct peers seen;

	for (unsigned int i = 0; i < 2; i++) {
		if (b->fds[i] >= 0)
			close(b->fds[i]);
		b->fds[i] = dev_open_at(device_path(i), O_RDWR);
		if (!peers_become(b->fds[i], &seen, 2))
			tap_bail("%s does not see both", device_path(i));
		b->ids[i] = dev_info(b->fds[i]).id;
	}
}

void bells_relabel(struct bells *b, unsigned int vectors)
{
	static unsigned int count;

	memset(b->region, 0, BELLS_OFFSET);
	b->label = label_new(BELLS_SIZE);
	b->label.uuid[0] = ++count;
	label_add(&b->label, 1, "raw", "part", BELLS_OFFSET, BELLS_PART_SIZE, 1, 2);
	label_add_peers(&b->label, BELLS_SLOTS, vectors);
	label_store(b->region, &b->label);
	if (bells_rescan(0) || bells_rescan(1))
		tap_bail("a label with %u vectors is refused", vectors);
	bells_reopen(b);
}

static void *ring_later(void *arg)
{
	const struct bells_later *later = arg;

	sleep_ms(later->ms);
	return (void *)(long)dev_ring(later->fd, later->peer, later->vector);
}

void bells_ring_later(struct bells_later *later, int fd, uint32_t peer, uint32_t vector, long ms)
{
	*later = (struct bells_later){ .fd = fd, .peer = peer, .vector = vector, .ms = ms };
	if (pthread_create(&later->thread, NULL, ring_later, later))
		tap_bail("no thread");
}

long bells_looks(unsigned int device, long ms)
{
	const char *node = device ? "ivshmem1" : "ivshmem0";
	long before = atol(dev_attribute(node, "looks"));

	sleep_ms(ms);
	return atol(dev_attribute(node, "looks")) - before;
}
