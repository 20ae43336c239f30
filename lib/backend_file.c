// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file on the host, such as the memory of plain devices, which never ends. Unless it has a
 * peer area (member.c), it has no doorbells, and nobody says who is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend_file.h"

void ivshmem_file_close(struct ivshmem *handle)
{
	close(handle->memory);
	ivshmem_handle_free(handle);
}

void ivshmem_file_properties(const struct ivshmem *handle, struct ivshmem_properties *out)
{
	*out = (struct ivshmem_properties){
		.size = handle->size,
		.id = IVSHMEM_ID_UNKNOWN,
		.transport = IVSHMEM_TRANSPORT_FILE,
		.cache = IVSHMEM_CACHE_WB,
		.page_size = handle->page,
	};
}

static int file_properties(struct ivshmem *handle, struct ivshmem_properties *out)
{
	ivshmem_file_properties(handle, out);
	return 0;
}

static int no_doorbells(void)
{
	return ivshmem_fail(-EOPNOTSUPP, "a file without a peer area has no doorbells");
}

static int file_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	(void)handle;
	(void)peer;
	(void)vector;
	return no_doorbells();
}

static int file_wait(struct ivshmem *handle, const struct ivshmem_wait_options *options,
		     struct ivshmem_wait_result *result)
{
	(void)handle;
	(void)options;
	(void)result;
	return no_doorbells();
}

static int file_ring_wait(struct ivshmem *handle, uint32_t peer, uint32_t vector,
			  const struct ivshmem_wait_options *options,
			  struct ivshmem_wait_result *result)
{
	(void)peer;
	(void)vector;
	return file_wait(handle, options, result);
}

static int file_doorbell(struct ivshmem *handle, uint32_t vector)
{
	(void)handle;
	(void)vector;
	return no_doorbells();
}

static int file_listen(struct ivshmem *handle)
{
	(void)handle;
	return 0;
}

static int no_peers(void)
{
	return ivshmem_fail(-EOPNOTSUPP,
			    "a file without a peer area does not tell which peers there are");
}

static int file_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	(void)handle;
	(void)ids;
	(void)max;
	return no_peers();
}

static int file_list(struct ivshmem *handle, struct ivshmem_peer *peers, size_t max)
{
	(void)handle;
	(void)peers;
	(void)max;
	return no_peers();
}

/* Who waits polls. */
static void file_wake_all(struct ivshmem *handle)
{
	(void)handle;
}

static const struct ivshmem_ops file_ops = {
	.close = ivshmem_file_close,
	.properties = file_properties,
	.ring = file_ring,
	.wait = file_wait,
	.ring_wait = file_ring_wait,
	.doorbell = file_doorbell,
	.listen = file_listen,
	.peers = file_peers,
	.list = file_list,
	.wake_all = file_wake_all,
};

int ivshmem_file_open(struct ivshmem **handle, const char *path, bool read_only)
{
	struct file *file = calloc(1, sizeof(*file));
	int error;

	if (!file)
		return -ENOMEM;
	if (ivshmem_handle_init(&file->base, &file_ops, path, read_only)) {
		free(file);
		return -ENOMEM;
	}
	file->base.memory = open(path, O_CLOEXEC | O_NOCTTY | (read_only ? O_RDONLY : O_RDWR));
	if (file->base.memory < 0)
		error = ivshmem_fail(-errno, "%s", strerror(errno));
	else
		error = ivshmem_handle_measure(&file->base);
	if (error == -EPROTO)
		error = ivshmem_fail(-EINVAL, "the file is empty");
	if (!error)
		error = ivshmem_member_join(file);
	if (error) {
		ivshmem_file_close(&file->base);
		return error;
	}
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: open: a file of %#" PRIx64 " bytes", path,
		    file->base.size);
	*handle = &file->base;
	return 0;
}
