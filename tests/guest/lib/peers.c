// SPDX-License-Identifier: GPL-2.0-only
/* Who is present on a device, for tests: see peers.h. */
#include "../peers.h"

int peers_get(int fd, struct peers *peers, bool wait, int64_t timeout_ns)
{
	struct ivshmem_peers p = {
		.generation = peers->generation,
		.peers = (uintptr_t)peers->at,
		.room = IVSHMEM_LABEL_MAX_PEERS,
		.info_size = sizeof(peers->at[0]),
		.flags = wait ? IVSHMEM_PEERS_WAIT : 0,
		.timeout_ns = timeout_ns,
	};
	int ret = result(ioctl(fd, IVSHMEM_IOC_PEERS, &p));

	if (ret)
		return ret;
	peers->generation = p.generation;
	peers->nr = p.nr;
	return 0;
}

bool peers_become(int fd, struct peers *peers, unsigned int nr)
{
	int64_t end = now_ns() + PEERS_PATIENCE;
	int ret = peers_get(fd, peers, false, 0);

	while (!ret && peers->nr != nr && now_ns() < end)
		ret = peers_get(fd, peers, true, end - now_ns());
	if (!ret && peers->nr == nr)
		return true;
	tap_note("PEERS: %d; %u are present, not %u", ret, peers->nr, nr);
	return false;
}

const struct ivshmem_peer_info *peers_self(const struct peers *peers)
{
	for (unsigned int i = 0; i < peers->nr; i++)
		if (peers->at[i].flags & IVSHMEM_PEER_SELF)
			return &peers->at[i];
	return NULL;
}

volatile struct ivshmem_peer_section *peers_section(void *region,
						    const struct ivshmem_label *label,
						    unsigned int slot)
{
	return region + label->peers_offset + slot * label->peer_size;
}
