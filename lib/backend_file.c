// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file on the host, such as the memory of plain devices: it has no doorbells, nobody says
 * who is there, and it never ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "handle.h"

struct file {
	struct ivshmem base;
	int quiet;			/* never readable: there is no news */
};

static struct file *to_file(struct ivshmem *handle)
{
	return (struct file *)handle;
}

static void file_close(struct ivshmem *handle)
{
	close(to_file(handle)->quiet);
	close(handle->memory);
	ivshmem_handle_free(handle);
}

static int file_properties(struct ivshmem *handle, struct ivshmem_properties *out)
{
	*out = (struct ivshmem_properties){
		.size = handle->size,
		.id = IVSHMEM_ID_UNKNOWN,
		.transport = IVSHMEM_TRANSPORT_FILE,
		.cache = IVSHMEM_CACHE_WB,
		.page_size = handle->page,
	};
	return 0;
}

static int no_doorbells(void)
{
	return ivshmem_fail(-EOPNOTSUPP, "a file has no doorbells");
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

static int file_news(struct ivshmem *handle, uint32_t *events)
{
	*events = EPOLLIN;
	return to_file(handle)->quiet;
}

static int file_listen(struct ivshmem *handle)
{
	(void)handle;
	return 0;
}

static int file_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	(void)handle;
	(void)ids;
	(void)max;
	return ivshmem_fail(-EOPNOTSUPP, "a file does not tell which peers there are");
}

/* Who waits polls. */
static void file_wake_all(struct ivshmem *handle)
{
	(void)handle;
}

static const struct ivshmem_ops file_ops = {
	.close = file_close,
	.properties = file_properties,
	.ring = file_ring,
	.wait = file_wait,
	.ring_wait = file_ring_wait,
	.doorbell = file_doorbell,
	.listen = file_listen,
	.peers = file_peers,
	.wake_all = file_wake_all,
	.news = file_news,
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
	file->quiet = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	file->base.memory = open(path, O_CLOEXEC | O_NOCTTY | (read_only ? O_RDONLY : O_RDWR));
	if (file->quiet < 0 || file->base.memory < 0)
		error = ivshmem_fail(-errno, "%s", strerror(errno));
	else
		error = ivshmem_handle_measure(&file->base);
	if (error == -EPROTO)
		error = ivshmem_fail(-EINVAL, "the file is empty");
	if (error) {
		file_close(&file->base);
		return error;
	}
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: open: a file of %#" PRIx64 " bytes", path,
		    file->base.size);
	*handle = &file->base;
	return 0;
}
