// SPDX-License-Identifier: GPL-2.0-only
#include "../labels.h"
#include "../samples.h"

int sample_number(const char *directory, const char *name)
{
	char path[128];
	int value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", directory, name);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

bool echoes_go_on(void)
{
	int first = node_number("echoes");

	for (int i = 0; i < 6000; i++) {
		if (first >= 0 && node_number("echoes") > first + 3)
			return true;
		sleep_ms(10);
	}
	return false;
}

uint64_t sample_label(unsigned int bell_vectors)
{
	struct ivshmem_label label = label_new(1 << 20);
	int fd = dev_open();
	void *map = dev_map(fd, 1 << 20);

	memset(label.uuid, 0x5a, sizeof(label.uuid));
	label_add_peers(&label, 4, bell_vectors);
	label_store(map, &label);
	munmap(map, 1 << 20);
	close(fd);
	return label.peers_offset + label.peer_size;
}

int sample_take(void)
{
	int ret = file_write(NODE "driver_override", "ivshmem_sample");

	if (!ret && !access(CHARDEV "ivshmem0", F_OK))
		ret = file_write(CHARDEV "unbind", "ivshmem0");
	return ret ? ret : file_write(SAMPLE "bind", "ivshmem0");
}

int sample_give(void)
{
	int ret = file_write(NODE "driver_override", "\n");

	if (!ret && !access(SAMPLE "ivshmem0", F_OK))
		ret = file_write(SAMPLE "unbind", "ivshmem0");
	return ret ? ret : file_write(CHARDEV "bind", "ivshmem0");
}
