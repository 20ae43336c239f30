// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "../dev.h"
#include "../hardware.h"

#define MODULE "/lib/ivshmem_importer.ko"

bool hardware_exists(void)
{
	return !access(MODULE, F_OK);
}

int hardware_load_with(const char *options)
{
	char command[80];

	snprintf(command, sizeof(command), "insmod " MODULE " %s", options);
	return system(command);
}

int hardware_load(void)
{
	return hardware_load_with("");
}

int hardware_unload(void)
{
	return system("rmmod ivshmem_importer");
}

int buffer_export(int fd, uint64_t offset, uint64_t size)
{
	struct ivshmem_dmabuf d = { .offset = offset, .size = size };

	return result(ioctl(fd, IVSHMEM_IOC_DMABUF, &d));
}

int hardware_map(int buffer, unsigned long kind)
{
	int fd = dev_open_at(IMPORTER, O_RDWR);
	int ret = result(ioctl(fd, kind, buffer));

	if (!ret)
		ret = result(ioctl(fd, IMPORTER_MAP));
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

bool hardware_reads(int importer, const char *bytes, size_t size)
{
	static char there[1 << 16];

	for (size_t done = 0; done < size;) {
		size_t want = size - done < sizeof(there) ? size - done : sizeof(there);
		ssize_t n = pread(importer, there, want, done);

		if (n <= 0 || memcmp(there, bytes + done, n))
			return false;
		done += n;
	}
	return true;
}
