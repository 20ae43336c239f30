// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The public calls: what is the same for every handle is done here, the rest
 * goes through the handle's table of operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/ivshmem.h>

#include "handle.h"
#include "listener.h"

/* Pages of the table that nobody writes to take no memory. */
int ivshmem_handle_init(struct ivshmem *handle, const struct ivshmem_ops *ops,
			bool read_only)
{
	handle->disconnects = calloc(IVSHMEM_MAX_PEER + 1,
				     sizeof(*handle->disconnects));
	if (!handle->disconnects)
		return -ENOMEM;
	pthread_mutex_init(&handle->listeners_lock, NULL);
	handle->ops = ops;
	handle->memory = -1;
	handle->read_only = read_only;
	return 0;
}

void ivshmem_handle_free(struct ivshmem *handle)
{
	pthread_mutex_destroy(&handle->listeners_lock);
	free(handle->disconnects);
	free(handle);
}

int ivshmem_open(struct ivshmem **handle, const char *path, unsigned int flags)
{
	bool read_only = flags & IVSHMEM_READ_ONLY;
	char device[64];
	struct stat st;
	int length;

	*handle = NULL;
	if (flags & ~IVSHMEM_READ_ONLY)
		return -EINVAL;
	/* Something without a slash is a device if there is one of that name. */
	if (path[0] && !strchr(path, '/')) {
		length = snprintf(device, sizeof(device), "/dev/%s", path);
		if (length < (int)sizeof(device) && stat(device, &st) == 0)
			path = device;
	}
	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISSOCK(st.st_mode))
		return ivshmem_connection_open(handle, path, read_only);
	if (S_ISCHR(st.st_mode))
		return ivshmem_device_open(handle, path, read_only);
	return -ENOTTY;
}

void ivshmem_close(struct ivshmem *handle)
{
	if (handle)
		handle->ops->close(handle);
}

int ivshmem_properties(struct ivshmem *handle, struct ivshmem_properties *out)
{
	return handle->ops->properties(handle, out);
}

int ivshmem_map(struct ivshmem *handle, uint64_t offset, size_t length,
		void **address)
{
	int protection = PROT_READ | (handle->read_only ? 0 : PROT_WRITE);
	uint64_t rest;

	*address = NULL;
	if (offset >= handle->size || offset % handle->page)
		return -EINVAL;
	rest = handle->size - offset;
	if (!length && rest > SIZE_MAX)
		return -ENOMEM;
	if (!length)
		length = rest;
	if (length > rest)
		return -EINVAL;
	*address = mmap(NULL, length, protection, MAP_SHARED, handle->memory,
			offset);
	if (*address != MAP_FAILED)
		return 0;
	*address = NULL;
	return -errno;
}

int ivshmem_unmap(struct ivshmem *handle, void *address, size_t length)
{
	/* Huge pages go back whole, even where only a part was asked for. */
	size_t whole = (length + handle->page - 1) / handle->page *
		       handle->page;

	return munmap(address, whole) < 0 ? -errno : 0;
}

static int check_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	if (peer > IVSHMEM_MAX_PEER || vector >= IVSHMEM_MAX_VECTORS)
		return -EINVAL;
	if (handle->read_only)
		return -EACCES;
	return 0;
}

int ivshmem_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	int error = check_ring(handle, peer, vector);

	return error ? error : handle->ops->ring(handle, peer, vector);
}

int ivshmem_check_wait(struct ivshmem *handle,
		       const struct ivshmem_wait_options *options)
{
	uint32_t known = IVSHMEM_WAIT_SET | IVSHMEM_WAIT_WORD |
			 IVSHMEM_WAIT_ABSTIME;
	uint32_t vectors = handle->vectors;
	uint64_t any = 0;
	uint32_t word;

	if (!vectors)
		return -EOPNOTSUPP;
	if (options->flags & ~known || options->spin_ns > IVSHMEM_MAX_SPIN_NS)
		return -EINVAL;
	if (options->flags & IVSHMEM_WAIT_WORD &&
	    (options->offset % 4 || options->offset >= handle->size))
		return -EINVAL;
	if (!(options->flags & IVSHMEM_WAIT_SET))
		return options->vector < vectors ? 0 : -EINVAL;
	for (word = 0; word < 4; word++) {
		uint64_t allowed = vectors >= 64 * (word + 1) ? ~0ULL :
				   vectors <= 64 * word ? 0 :
				   (1ULL << vectors % 64) - 1;

		if (options->set[word] & ~allowed)
			return -EINVAL;
		any |= options->set[word];
	}
	return any ? 0 : -EINVAL;
}

int ivshmem_wait(struct ivshmem *handle,
		 const struct ivshmem_wait_options *options,
		 struct ivshmem_wait_result *result)
{
	struct ivshmem_wait_result unwanted;

	if (!result)
		result = &unwanted;
	*result = (struct ivshmem_wait_result){ 0 };
	return handle->ops->wait(handle, options, result);
}

int ivshmem_ring_wait(struct ivshmem *handle, uint32_t peer, uint32_t vector,
		      const struct ivshmem_wait_options *options,
		      struct ivshmem_wait_result *result)
{
	int error = check_ring(handle, peer, vector);
	struct ivshmem_wait_result unwanted;

	if (error)
		return error;
	if (!result)
		result = &unwanted;
	*result = (struct ivshmem_wait_result){ 0 };
	return handle->ops->ring_wait(handle, peer, vector, options, result);
}

int ivshmem_eventfd(struct ivshmem *handle, uint32_t vector)
{
	int fd = handle->ops->doorbell(handle, vector);

	if (fd < 0)
		return fd;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int ivshmem_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	return handle->ops->peers(handle, ids, max);
}

int ivshmem_peer_gone(struct ivshmem *handle, uint32_t peer)
{
	if (peer > IVSHMEM_MAX_PEER)
		return -EINVAL;
	handle->disconnects[peer]++;
	handle->ops->wake_all(handle);
	ivshmem_listeners_signal(handle, NULL);
	return 0;
}

uint32_t ivshmem_disconnects(struct ivshmem *handle, uint32_t peer)
{
	/* It is told when the server is listened to. */
	if (handle->ops->has_peer)
		handle->ops->has_peer(handle, peer);
	return peer <= IVSHMEM_MAX_PEER ? handle->disconnects[peer] : 0;
}
