// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The public calls: what is the same for every handle is done here, the rest
 * goes through the handle's table of operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "partition.h"
#include "process.h"

/* Pages of the tables that nobody writes to take no memory. */
int ivshmem_handle_init(struct ivshmem *handle, const struct ivshmem_ops *ops,
			const char *path, bool read_only)
{
	handle->disconnects = calloc(IVSHMEM_MAX_PEER + 1,
				     sizeof(*handle->disconnects));
	handle->left = calloc(IVSHMEM_MAX_PEER + 1, sizeof(*handle->left));
	if (!handle->disconnects || !handle->left) {
		free(handle->disconnects);
		free(handle->left);
		return -ENOMEM;
	}
	pthread_mutex_init(&handle->listeners_lock, NULL);
	pthread_mutex_init(&handle->news_lock, NULL);
	snprintf(handle->name, sizeof(handle->name), "%s", path);
	handle->ops = ops;
	handle->references = 1;
	handle->memory = -1;
	handle->read_only = read_only;
	handle->most_vectors = IVSHMEM_MAX_VECTORS;
	ivshmem_process_add(handle);
	return 0;
}

void ivshmem_handle_free(struct ivshmem *handle)
{
	ivshmem_process_remove(handle);
	ivshmem_listener_close(&handle->news);
	if (handle->whole)
		ivshmem_unmap(handle, handle->whole, handle->size);
	pthread_mutex_destroy(&handle->listeners_lock);
	pthread_mutex_destroy(&handle->news_lock);
	free(handle->absences);
	free(handle->disconnects);
	free(handle->left);
	free(handle);
}

#ifndef FUSE_SUPER_MAGIC	/* in <linux/magic.h> of newer kernels; virtiofs has it, too */
#define FUSE_SUPER_MAGIC	0x65735546
#endif

/* Of these a guest may have the file, and programs elsewhere have it by another way. */
static bool is_foreign(const struct statfs *fs)
{
	return fs->f_type == SYSFS_MAGIC || fs->f_type == FUSE_SUPER_MAGIC || fs->f_type == V9FS_MAGIC;
}

int ivshmem_handle_measure(struct ivshmem *handle)
{
	struct statfs fs;
	struct stat st;

	if (fstat(handle->memory, &st) < 0 || fstatfs(handle->memory, &fs) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return ivshmem_fail(-EPROTO, "the server's memory is no file with contents");
	handle->on_host = !is_foreign(&fs);
	handle->size = st.st_size;
	handle->page = sysconf(_SC_PAGESIZE);
	if (fs.f_type == HUGETLBFS_MAGIC)
		handle->page = fs.f_bsize;
	return 0;
}

struct ivshmem *ivshmem_handle_get(struct ivshmem *handle)
{
	handle->references++;
	return handle;
}

void ivshmem_handle_put(struct ivshmem *handle)
{
	int cancel = ivshmem_cancel_off();

	if (ivshmem_process_owns(handle) && !--handle->references)
		handle->ops->close(handle);
	ivshmem_cancel_restore(cancel);
}

int ivshmem_cancel_off(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

void ivshmem_cancel_restore(int state)
{
	pthread_setcancelstate(state, NULL);
}

const char *ivshmem_find_path(const char *path, char device[64])
{
	struct stat st;

	if (!path[0] || strchr(path, '/'))
		return path;
	/* There are other things in /dev, such as the directory shm. */
	if (snprintf(device, 64, "/dev/%s", path) >= 64 || stat(device, &st) < 0 ||
	    !S_ISCHR(st.st_mode))
		return path;
	return device;
}

int ivshmem_check_flags(unsigned int flags)
{
	if (flags & ~IVSHMEM_READ_ONLY)
		return ivshmem_fail(-EINVAL, "unknown flags %#x", flags & ~IVSHMEM_READ_ONLY);
	return 0;
}

int ivshmem_open_path(struct ivshmem **handle, const char *path, unsigned int flags)
{
	bool read_only = flags & IVSHMEM_READ_ONLY;
	char device[64];
	struct stat st;

	path = ivshmem_find_path(path, device);
	if (stat(path, &st) < 0)
		return ivshmem_fail(-errno, "%s", strerror(errno));
	if (S_ISSOCK(st.st_mode))
		return ivshmem_connection_open(handle, path, read_only);
	if (S_ISCHR(st.st_mode))
		return ivshmem_device_open(handle, path, read_only);
	if (S_ISREG(st.st_mode))
		return ivshmem_file_open(handle, path, read_only);
	return ivshmem_fail(-ENOTTY, "neither a socket, a device nor a file");
}

int ivshmem_open(struct ivshmem **handle, const char *path, unsigned int flags)
{
	int cancel, error = ivshmem_check_flags(flags);

	*handle = NULL;
	if (error)
		return error;
	cancel = ivshmem_cancel_off();
	error = ivshmem_open_path(handle, path, flags);
	if (error)
		ivshmem_log(IVSHMEM_LOG_ERROR, "%s: cannot open: %s", path, ivshmem_error(error));
	ivshmem_cancel_restore(cancel);
	return error;
}

void ivshmem_close(struct ivshmem *handle)
{
	if (handle)
		ivshmem_handle_put(handle);
}

uint32_t ivshmem_version(void)
{
	return IVSHMEM_LIB_VERSION;
}

/* As the driver does: what is not there counts as 0, what is unknown must be. */
int ivshmem_copy_in(void *to, size_t known, const void *from, size_t size)
{
	const char *bytes = from;
	size_t n;

	for (n = known; n < size; n++)
		if (bytes[n])
			return ivshmem_fail(-E2BIG,
					    "the library knows %zu bytes of options, not byte %zu",
					    known, n);
	memset(to, 0, known);
	memcpy(to, from, size < known ? size : known);
	return 0;
}

void ivshmem_copy_out(void *to, size_t size, const void *from, size_t known)
{
	memset(to, 0, size);
	memcpy(to, from, size < known ? size : known);
}

int ivshmem_get_properties_sized(struct ivshmem *handle, struct ivshmem_properties *out,
				 size_t size)
{
	struct ivshmem_properties properties = { 0 };
	int error = ivshmem_process_check(handle);

	if (!error)
		error = handle->ops->properties(handle, &properties);
	properties.vectors = ivshmem_limit_vectors(handle, properties.vectors);
	properties.can_ring = properties.can_ring && handle->most_vectors;
	ivshmem_copy_out(out, size, &properties, sizeof(properties));
	return error;
}

int ivshmem_map(struct ivshmem *handle, uint64_t offset, size_t length,
		void **address)
{
	int protection = PROT_READ | (handle->read_only ? 0 : PROT_WRITE);
	int error = ivshmem_process_check(handle);
	uint64_t rest;

	*address = NULL;
	if (error)
		return error;
	if (offset % handle->page)
		return ivshmem_fail(-EINVAL, "the offset %#" PRIx64
				    " is not a multiple of the page size %#zx",
				    offset, handle->page);
	if (offset >= handle->size)
		return ivshmem_fail(-EINVAL, "the offset %#" PRIx64
				    " is not in the region of %#" PRIx64 " bytes",
				    offset, handle->size);
	rest = handle->size - offset;
	if (!length && rest > SIZE_MAX)
		return -ENOMEM;
	if (!length)
		length = rest;
	if (length > rest)
		return ivshmem_fail(-EINVAL, "%#zx bytes from %#" PRIx64
				    " on are more than the region has: %#" PRIx64,
				    length, offset, handle->size);
	*address = mmap(NULL, length, protection, MAP_SHARED, handle->memory,
			(off_t)(handle->begin + handle->offset + offset));
	if (*address != MAP_FAILED)
		return 0;
	*address = NULL;
	return ivshmem_fail(-errno, "%s", strerror(errno));
}

int ivshmem_unmap(struct ivshmem *handle, void *address, size_t length)
{
	/* Huge pages go back whole, even where only a part was asked for. */
	size_t whole = (length + handle->page - 1) / handle->page *
		       handle->page;

	if (munmap(address, whole) == 0)
		return 0;
	if (errno == EINVAL)
		return ivshmem_fail(-errno, "not the address and the length of a mapping");
	return -errno;
}

static int check_peer(uint32_t peer)
{
	if (peer > IVSHMEM_MAX_PEER)
		return ivshmem_fail(-EINVAL, "peer %u: the last one is %u", peer,
				    IVSHMEM_MAX_PEER);
	return 0;
}

static int check_vector(uint32_t vector, uint32_t vectors)
{
	if (vector >= vectors)
		return ivshmem_fail(-EINVAL, "vector %u: the last one is %u", vector,
				    vectors - 1);
	return 0;
}

/* Of any peer, which may have as many as there can be. */
static int check_peer_vector(const struct ivshmem *handle, uint32_t vector)
{
	if (!handle->most_vectors)
		return ivshmem_fail(-EOPNOTSUPP, "the partition has no vectors");
	return check_vector(vector, handle->most_vectors);
}

static int check_writable(const struct ivshmem *handle)
{
	return handle->read_only ? ivshmem_fail(-EACCES, "the handle is read-only") : 0;
}

void *ivshmem_whole(struct ivshmem *handle)
{
	void *whole = handle->whole, *mapped;

	if (whole || ivshmem_map(handle, 0, 0, &mapped))
		return whole;
	if (atomic_compare_exchange_strong(&handle->whole, &whole, mapped))
		return mapped;
	ivshmem_unmap(handle, mapped, handle->size);
	return whole;
}

static int check_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	int error = check_peer(peer);

	if (!error)
		error = ivshmem_process_check(handle);
	if (!error)
		error = check_peer_vector(handle, vector);
	return error ? error : check_writable(handle);
}

int ivshmem_check_object(struct ivshmem *handle, uint32_t vector,
			 struct ivshmem_properties *properties)
{
	int error = check_writable(handle);

	if (!error)
		error = ivshmem_get_properties(handle, properties);
	if (!error)
		error = check_vector(vector, properties->vectors ? properties->vectors :
								   IVSHMEM_MAX_VECTORS);
	if (!error && properties->cache != IVSHMEM_CACHE_WB)
		error = ivshmem_fail(-EOPNOTSUPP, "the memory is not mapped write-back");
	return error;
}

int ivshmem_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	int error = check_ring(handle, peer, vector);

	return error ? error : handle->ops->ring(handle, peer, handle->first_vector + vector);
}

static int check_word(const struct ivshmem *handle, uint64_t offset)
{
	if (offset % 4)
		return ivshmem_fail(-EINVAL, "the word's offset %" PRIu64
				    " is not a multiple of 4", offset);
	if (offset >= handle->size)
		return ivshmem_fail(-EINVAL, "the word's offset %#" PRIx64
				    " is not in the region of %#" PRIx64 " bytes",
				    offset, handle->size);
	return 0;
}

static int check_set(const uint64_t set[4], uint32_t vectors)
{
	uint64_t any = 0;
	uint32_t word;

	for (word = 0; word < 4; word++) {
		uint64_t allowed = vectors >= 64 * (word + 1) ? ~0ULL :
				   vectors <= 64 * word ? 0 :
				   (1ULL << vectors % 64) - 1;
		uint64_t unknown = set[word] & ~allowed;

		if (unknown)
			return check_vector(64 * word + __builtin_ctzll(unknown), vectors);
		any |= set[word];
	}
	return any ? 0 : ivshmem_fail(-EINVAL, "the set of vectors is empty");
}

static int check_wait(const struct ivshmem *handle, uint32_t vectors,
		      const struct ivshmem_wait_options *options)
{
	uint32_t unknown = options->flags & ~(IVSHMEM_WAIT_SET | IVSHMEM_WAIT_WORD |
					      IVSHMEM_WAIT_ABSTIME);

	if (!vectors)
		return ivshmem_fail(-EOPNOTSUPP, "there are no doorbells");
	if (unknown)
		return ivshmem_fail(-EINVAL, "unknown flags %#x", unknown);
	if (options->spin_ns > IVSHMEM_MAX_SPIN_NS)
		return ivshmem_fail(-EINVAL, "spinning for %" PRIu64
				    " ns is longer than %llu ns", options->spin_ns,
				    IVSHMEM_MAX_SPIN_NS);
	if (options->flags & IVSHMEM_WAIT_WORD && check_word(handle, options->offset))
		return -EINVAL;
	if (options->flags & IVSHMEM_WAIT_SET)
		return check_set(options->set, vectors);
	return check_vector(options->vector, vectors);
}

int ivshmem_check_wait(struct ivshmem *handle,
		       const struct ivshmem_wait_options *options)
{
	return check_wait(handle, handle->vectors, options);
}

/* Those of a partition become those that the backend knows, which checks them as well. */
static int take_options(const struct ivshmem *handle, struct ivshmem_wait_options *options)
{
	int error;

	if (!ivshmem_is_partition(handle))
		return 0;
	error = check_wait(handle, ivshmem_own_vectors(handle), options);
	if (!error)
		ivshmem_wait_to_region(handle, options);
	return error;
}

int ivshmem_wait_sized(struct ivshmem *handle,
		       const struct ivshmem_wait_options *options, size_t options_size,
		       struct ivshmem_wait_result *result, size_t result_size)
{
	struct ivshmem_wait_result found = { 0 };
	struct ivshmem_wait_options wanted;
	int error = ivshmem_copy_in(&wanted, sizeof(wanted), options, options_size);

	if (!error)
		error = ivshmem_process_check(handle);
	if (!error)
		error = take_options(handle, &wanted);
	if (!error)
		error = handle->ops->wait(handle, &wanted, &found);
	ivshmem_wait_from_region(handle, &found);
	if (result)
		ivshmem_copy_out(result, result_size, &found, sizeof(found));
	return ivshmem_late(error);
}

int ivshmem_ring_wait_sized(struct ivshmem *handle, uint32_t peer, uint32_t vector,
			    const struct ivshmem_wait_options *options,
			    size_t options_size, struct ivshmem_wait_result *result,
			    size_t result_size)
{
	struct ivshmem_wait_result found = { 0 };
	struct ivshmem_wait_options wanted;
	int error = ivshmem_copy_in(&wanted, sizeof(wanted), options, options_size);

	if (!error)
		error = check_ring(handle, peer, vector);
	if (!error)
		error = take_options(handle, &wanted);
	if (!error)
		error = handle->ops->ring_wait(handle, peer, handle->first_vector + vector,
					       &wanted, &found);
	ivshmem_wait_from_region(handle, &found);
	if (result)
		ivshmem_copy_out(result, result_size, &found, sizeof(found));
	/* Of -EAGAIN the reason is that of the ring. */
	return error == -ETIMEDOUT ? ivshmem_late(error) : error;
}

int ivshmem_eventfd(struct ivshmem *handle, uint32_t vector)
{
	int cancel = ivshmem_cancel_off();
	int fd = ivshmem_process_check(handle);

	if (!fd && ivshmem_is_partition(handle))
		fd = check_peer_vector(handle, vector);
	if (!fd)
		fd = handle->ops->doorbell(handle, handle->first_vector + vector);
	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		fd = fd < 0 ? -errno : fd;
	}
	ivshmem_cancel_restore(cancel);
	return fd;
}

int ivshmem_fd(struct ivshmem *handle)
{
	int error = ivshmem_process_check(handle);

	if (error)
		return error;
	pthread_mutex_lock(&handle->news_lock);
	if (!ivshmem_listener_is_open(&handle->news))
		error = ivshmem_listener_open(&handle->news, handle, LISTENER_NO_VECTOR);
	pthread_mutex_unlock(&handle->news_lock);
	return error ? error : handle->news.epoll;
}

int ivshmem_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	int error = ivshmem_process_check(handle);

	if (error)
		return error;
	/* Its end cannot be cleared. */
	if (ivshmem_listener_is_open(&handle->news) && !handle->ops->listen(handle))
		ivshmem_listener_clear(&handle->news);
	return handle->ops->peers(handle, ids, max);
}

/* As many at a time as there are, or a few more. */
int ivshmem_list_peers_sized(struct ivshmem *handle, struct ivshmem_peer *peers, size_t size,
			     size_t max)
{
	IVSHMEM_CANCEL_OFF(cancel);
	int error = ivshmem_process_check(handle);
	struct ivshmem_peer *known;
	int count, n;

	if (error)
		return error;
	if (max > IVSHMEM_MAX_PEER + 1)
		max = IVSHMEM_MAX_PEER + 1;
	known = calloc(max + 1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	count = handle->ops->list(handle, known, max);
	for (n = 0; n < count && (size_t)n < max; n++)
		ivshmem_copy_out((char *)peers + n * size, size, &known[n], sizeof(*known));
	free(known);
	return count;
}

int ivshmem_peer_gone(struct ivshmem *handle, uint32_t peer)
{
	int error = check_peer(peer);

	if (!error)
		error = ivshmem_process_check(handle);
	if (error)
		return error;
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: peer %u is reported to be gone", handle->name, peer);
	handle->disconnects[peer]++;
	ivshmem_process_doubt(handle);
	handle->ops->wake_all(handle);
	ivshmem_listeners_signal(handle, NULL);
	return 0;
}

bool ivshmem_renew_id(struct ivshmem *handle, _Atomic uint32_t *losses, _Atomic uint32_t *id)
{
	uint32_t now = handle->losses;
	struct ivshmem_properties properties;

	if (*losses == now || ivshmem_get_properties(handle, &properties))
		return false;
	*id = properties.id;
	*losses = now;
	return true;
}

uint32_t ivshmem_disconnects(struct ivshmem *handle, uint32_t peer)
{
	if (handle->hears)
		handle->ops->listen(handle);
	return peer <= IVSHMEM_MAX_PEER ? handle->disconnects[peer] : 0;
}

bool ivshmem_has_left(struct ivshmem *handle, uint32_t peer)
{
	if (handle->hears)
		handle->ops->listen(handle);
	return peer <= IVSHMEM_MAX_PEER && handle->left[peer];
}

uint32_t ivshmem_absences(struct ivshmem *handle, uint32_t peer, bool ask)
{
	uint32_t count = 0;

	if (ask && handle->hears)
		handle->ops->listen(handle);
	if (peer <= IVSHMEM_MAX_PEER)
		count = handle->disconnects[peer] +
			(handle->absences ? handle->absences[peer] : 0);
	return count + handle->losses;
}
