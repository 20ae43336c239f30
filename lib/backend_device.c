// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A guest's device: everything is an ioctl of the kernel driver, except that a
 * ring is one store where the driver lets us map the register page.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handle.h"
#include "park.h"
#include "presence.h"

/* What ivshmem.h says, before the driver's header says it as well. */
enum {
	OUR_ID_UNKNOWN = IVSHMEM_ID_UNKNOWN,
	OUR_MAX_SPIN_NS = IVSHMEM_MAX_SPIN_NS,
	OUR_CACHES = IVSHMEM_CACHE_WB | IVSHMEM_CACHE_WC << 8 | IVSHMEM_CACHE_UC << 16,
	OUR_FLAGS = IVSHMEM_WAIT_SET | IVSHMEM_WAIT_WORD << 8 | IVSHMEM_WAIT_ABSTIME << 16,
};

#include <linux/ivshmem.h>

_Static_assert(OUR_ID_UNKNOWN == IVSHMEM_ID_UNKNOWN, "as the driver");
_Static_assert(OUR_MAX_SPIN_NS == IVSHMEM_MAX_SPIN_NS, "as the driver");
_Static_assert(OUR_CACHES ==
	       (IVSHMEM_CACHE_WB | IVSHMEM_CACHE_WC << 8 | IVSHMEM_CACHE_UC << 16),
	       "as the driver");
_Static_assert(OUR_FLAGS ==
	       (IVSHMEM_WAIT_SET | IVSHMEM_WAIT_WORD << 8 | IVSHMEM_WAIT_ABSTIME << 16),
	       "as the driver");

struct device {
	struct ivshmem base;
	void *registers;		/* NULL: ring by ioctl */
	size_t registers_size;
	uint32_t cache;			/* IVSHMEM_CACHE_* */
	pthread_mutex_t doorbells_lock;
	int doorbells[IVSHMEM_MAX_VECTORS];	/* descriptors plus one; 0: none yet */

	pthread_mutex_t presence_lock;	/* protects all below; taken alone */
	uint64_t generation;		/* of what is known */
	struct presence presence;	/* if the handle hears of peers */
};

/* The public header's kinds are the driver's. */
_Static_assert(IVSHMEM_KIND_GUEST == IVSHMEM_PEER_GUEST &&
	       IVSHMEM_KIND_PROGRAM == IVSHMEM_PEER_HOST &&
	       IVSHMEM_KIND_SERVER == IVSHMEM_PEER_SERVER, "as the driver");

static struct device *to_device(struct ivshmem *handle)
{
	return (struct device *)handle;
}

static int do_ioctl(struct ivshmem *handle, unsigned long request, const char *name,
		    void *argument)
{
	if (ioctl(handle->memory, request, argument) >= 0)
		return 0;
	switch (errno) {
	case ETIMEDOUT:
	case EINTR:
		return -errno;
	case ENODEV:
		return ivshmem_fail(-errno, "the device is unplugged or without its driver");
	default:
		return ivshmem_fail(-errno, "%s: %s", name, strerror(errno));
	}
}

#define device_ioctl(handle, request, argument) \
	do_ioctl(handle, request, #request, argument)

static void device_close(struct ivshmem *handle)
{
	struct device *device = to_device(handle);
	int vector;

	for (vector = 0; vector < IVSHMEM_MAX_VECTORS; vector++)
		if (device->doorbells[vector])
			close(device->doorbells[vector] - 1);
	if (device->registers)
		munmap(device->registers, device->registers_size);
	close(handle->memory);
	pthread_mutex_destroy(&device->doorbells_lock);
	pthread_mutex_destroy(&device->presence_lock);
	ivshmem_handle_free(handle);
}

static int device_properties(struct ivshmem *handle,
			     struct ivshmem_properties *out)
{
	struct ivshmem_info info = { 0 };
	int error = device_ioctl(handle, IVSHMEM_IOC_INFO, &info);

	if (error)
		return error;
	*out = (struct ivshmem_properties){
		.size = handle->size,
		.id = info.id,
		.vectors = info.vectors,
		.transport = IVSHMEM_TRANSPORT_DEVICE,
		.cache = to_device(handle)->cache,
		.page_size = handle->page,
		.can_ring = !!(info.features & IVSHMEM_FEATURE_DOORBELL),
		.mapped_registers = to_device(handle)->registers != NULL,
	};
	return 0;
}

/* Order earlier stores to the region before one to a register: see <linux/ivshmem.h>. */
static void order_before_register(uint32_t cache)
{
#if defined(__x86_64__)
	if (cache == IVSHMEM_CACHE_WC)
		__builtin_ia32_sfence();
	atomic_signal_fence(memory_order_seq_cst);
#elif defined(__aarch64__)
	(void)cache;
	__asm__ volatile("dmb oshst" ::: "memory");
#else
#error "which barrier orders stores before those to a device?"
#endif
}

/* The register knows no peers without a doorbell id, which the driver rings another way. */
static int device_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	struct ivshmem_ring ring = { .peer = peer, .vector = vector };
	struct device *device = to_device(handle);
	char *registers = device->registers;

	if (!registers || (handle->hears && peer >= IVSHMEM_PEER_FIRST_ID))
		return device_ioctl(handle, IVSHMEM_IOC_RING, &ring);
	order_before_register(device->cache);
	*(volatile uint32_t *)(registers + IVSHMEM_REG_DOORBELL) =
		htole32(IVSHMEM_DOORBELL(peer, vector));
	return 0;
}

/*
 * The driver restarts a call with an absolute timeout or none as SA_RESTART says, and no
 * other. The host cannot do that, so all timeouts are durations here.
 */
static int64_t duration(const struct ivshmem_wait_options *options)
{
	int64_t left;

	if (options->timeout_ns < 0)
		return INT64_MAX;
	if (!(options->flags & IVSHMEM_WAIT_ABSTIME))
		return options->timeout_ns;
	left = options->timeout_ns - ivshmem_now();
	return left > 0 ? left : 0;
}

static void wait_to_kernel(const struct ivshmem_wait_options *options,
			   struct ivshmem_wait_result *result, struct ivshmem_wait *wait)
{
	wait->flags |= options->flags & ~IVSHMEM_WAIT_ABSTIME;
	wait->timeout_ns = duration(options);
	wait->spin_ns = options->spin_ns;
	if (options->flags & IVSHMEM_WAIT_SET) {
		wait->set = (uintptr_t)options->set;
		wait->signalled_set = (uintptr_t)result->set;
		wait->nbits = IVSHMEM_MAX_VECTORS;
	} else {
		wait->vector = options->vector;
	}
	if (options->flags & IVSHMEM_WAIT_WORD) {
		wait->offset = options->offset;
		wait->expected = options->expected;
	}
}

static void wait_from_kernel(const struct ivshmem_wait *wait,
			     struct ivshmem_wait_result *result)
{
	uint32_t vector = wait->signalled_vector;

	result->changed = !!(wait->result & IVSHMEM_RESULT_CHANGED);
	if (!(wait->result & IVSHMEM_RESULT_SIGNALLED))
		return;
	result->vector = vector;
	result->count = wait->count;
	result->set[vector / 64] |= UINT64_C(1) << vector % 64;
}

static int device_hear(struct ivshmem *handle, bool always);

/*
 * WAIT with what @wait contains already and @options. Who waits for a word waits for a peer,
 * and looks again when some have left.
 */
static int device_do_wait(struct ivshmem *handle, struct ivshmem_wait *wait,
			  const struct ivshmem_wait_options *options,
			  struct ivshmem_wait_result *result)
{
	int error = ivshmem_check_wait(handle, options);

	if (error)
		return error;
	wait_to_kernel(options, result, wait);
	if (options->flags & IVSHMEM_WAIT_WORD) {
		wait->offset += handle->begin + handle->offset;
		wait->flags |= handle->hears ? IVSHMEM_WAIT_NEWS : 0;
	}
	error = device_ioctl(handle, IVSHMEM_IOC_WAIT, wait);
	/* ioctl() is no cancellation point. Here nothing was taken that would be lost. */
	if (error == -EINTR || error == -ETIMEDOUT)
		pthread_testcancel();
	if (error)
		return error;
	wait_from_kernel(wait, result);
	if (wait->result & IVSHMEM_RESULT_NEWS)
		device_hear(handle, false);
	return 0;
}

static int device_wait(struct ivshmem *handle,
		       const struct ivshmem_wait_options *options,
		       struct ivshmem_wait_result *result)
{
	struct ivshmem_wait wait = { 0 };

	return device_do_wait(handle, &wait, options, result);
}

static int device_ring_wait(struct ivshmem *handle, uint32_t peer,
			    uint32_t vector,
			    const struct ivshmem_wait_options *options,
			    struct ivshmem_wait_result *result)
{
	struct ivshmem_wait wait = {
		.flags = IVSHMEM_WAIT_RING,
		.ring_peer = peer,
		.ring_vector = vector,
	};

	return device_do_wait(handle, &wait, options, result);
}

/* An open file can bind one eventfd to each vector, so all callers share that. */
static int device_doorbell(struct ivshmem *handle, uint32_t vector)
{
	struct device *device = to_device(handle);
	struct ivshmem_eventfd bind = { .vector = vector };
	int fd;

	if (vector >= IVSHMEM_MAX_VECTORS)
		return ivshmem_fail(-EINVAL, "vector %u: the last one is %u", vector,
				    IVSHMEM_MAX_VECTORS - 1);
	pthread_mutex_lock(&device->doorbells_lock);
	fd = device->doorbells[vector] - 1;
	if (fd < 0) {
		bind.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fd = bind.fd < 0 ? -errno :
				   device_ioctl(handle, IVSHMEM_IOC_EVENTFD, &bind);
		if (!fd)
			fd = bind.fd;
		else if (bind.fd >= 0)
			close(bind.fd);
		if (fd >= 0)
			device->doorbells[vector] = fd + 1;
	}
	pthread_mutex_unlock(&device->doorbells_lock);
	return fd;
}

/* Peers */

/* Without @infos only the generation is asked for, and the number of peers. */
static int ask_for_peers(struct ivshmem *handle, struct ivshmem_peers *peers,
			 struct ivshmem_peer_info *infos)
{
	*peers = (struct ivshmem_peers){
		.peers = (uintptr_t)infos,
		.room = infos ? SLOT_MAX : 0,
		.info_size = infos ? sizeof(*infos) : 0,
	};
	return device_ioctl(handle, IVSHMEM_IOC_PEERS, peers);
}

static struct ivshmem_peer to_peer(const struct ivshmem_peer_info *info)
{
	struct ivshmem_peer peer = {
		.id = info->id <= IVSHMEM_MAX_PEER ? info->id : IVSHMEM_PEER_FIRST_ID + info->slot,
		.slot = info->slot,
		.kind = info->kind,
		.self = !!(info->flags & IVSHMEM_PEER_SELF),
		.owner = info->owner,
		.generation = info->generation,
		.silent_ns = info->silent_ms * UINT64_C(1000000),
	};

	memcpy(peer.name, info->name, sizeof(info->name));
	return peer;
}

/*
 * What the driver knows now. Always all of it, or only if that has changed. -EOPNOTSUPP: there
 * is no peer area any more. Lock held.
 */
static int take_peers(struct device *device, bool always, bool *left)
{
	struct ivshmem_peer_info infos[SLOT_MAX];
	struct ivshmem_peers peers = { 0 };
	int error = 0;
	uint32_t n;

	if (!always)
		error = ask_for_peers(&device->base, &peers, NULL);
	if (!error && !always && peers.generation == device->generation)
		return 0;
	if (!error)
		error = ask_for_peers(&device->base, &peers, infos);
	if (error && error != -EOPNOTSUPP)
		return error;
	device->generation = peers.generation;
	memset(device->presence.now, 0, sizeof(device->presence.now));
	for (n = 0; !error && n < peers.nr && n < SLOT_MAX; n++)
		if (infos[n].slot < SLOT_MAX)
			device->presence.now[infos[n].slot] = to_peer(&infos[n]);
	*left = ivshmem_presence_update(&device->base, &device->presence);
	return error;
}

static void device_wake_all(struct ivshmem *handle);

static int device_hear(struct ivshmem *handle, bool always)
{
	struct device *device = to_device(handle);
	int error, cancel = ivshmem_cancel_off();
	bool left = false;

	pthread_mutex_lock(&device->presence_lock);
	error = take_peers(device, always, &left);
	pthread_mutex_unlock(&device->presence_lock);
	ivshmem_cancel_restore(cancel);
	if (left)
		device_wake_all(handle);
	return error;
}

/* EPOLLHUP and EPOLLERR are always reported: it was unplugged. */
static int device_news(struct ivshmem *handle, uint32_t *events)
{
	*events = handle->hears ? EPOLLPRI : 0;
	return handle->memory;
}

static int device_listen(struct ivshmem *handle)
{
	struct ivshmem_info info = { 0 };
	int error;

	if (!handle->hears)
		return device_ioctl(handle, IVSHMEM_IOC_INFO, &info);
	error = device_hear(handle, false);
	return error == -EOPNOTSUPP ? 0 : error;
}

/* A loop that polls ivshmem_fd() asks for the peers, and must learn of the end. */
static int device_ask(struct ivshmem *handle, bool always)
{
	int error = handle->hears ? device_hear(handle, always) : device_listen(handle);

	return error || handle->hears ? error :
	       ivshmem_fail(-EOPNOTSUPP, "the region had no label with a peer area");
}

static int device_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	struct device *device = to_device(handle);
	int result = device_ask(handle, false), cancel;

	if (result)
		return result;
	cancel = ivshmem_cancel_off();
	pthread_mutex_lock(&device->presence_lock);
	result = ivshmem_presence_ids(&device->presence, ids, max);
	pthread_mutex_unlock(&device->presence_lock);
	ivshmem_cancel_restore(cancel);
	return result;
}

static int device_list(struct ivshmem *handle, struct ivshmem_peer *peers, size_t max)
{
	struct device *device = to_device(handle);
	int result = device_ask(handle, true), cancel;

	if (result)
		return result;
	cancel = ivshmem_cancel_off();
	pthread_mutex_lock(&device->presence_lock);
	result = ivshmem_presence_list(&device->presence, peers, max);
	pthread_mutex_unlock(&device->presence_lock);
	ivshmem_cancel_restore(cancel);
	return result;
}

/* Ringing oneself is the only way to reach who sleeps in the driver. */
static void device_wake_all(struct ivshmem *handle)
{
	struct ivshmem_properties properties;
	uint32_t vector;

	if (device_properties(handle, &properties) || handle->read_only)
		return;
	for (vector = 0; vector < properties.vectors; vector++)
		device_ring(handle, properties.id, vector);
}

static const struct ivshmem_ops device_ops = {
	.close = device_close,
	.properties = device_properties,
	.ring = device_ring,
	.wait = device_wait,
	.ring_wait = device_ring_wait,
	.doorbell = device_doorbell,
	.listen = device_listen,
	.peers = device_peers,
	.list = device_list,
	.wake_all = device_wake_all,
	.news = device_news,
};

/* Map the register page. Without it, rings go through the driver. */
static void device_map_registers(struct device *device)
{
	struct ivshmem_region region = { .index = IVSHMEM_REGION_REGISTERS };
	void *registers;

	if (device->base.read_only ||
	    device_ioctl(&device->base, IVSHMEM_IOC_REGION, &region) ||
	    !(region.flags & IVSHMEM_REGION_WRITE))
		return;
	registers = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 device->base.memory, region.offset);
	if (registers == MAP_FAILED)
		return;
	device->registers = registers;
	device->registers_size = region.size;
}

/* From the first question on the driver announces changes. */
static int device_begin_to_hear(struct device *device)
{
	int error = ivshmem_presence_init(&device->base);

	if (!error)
		error = device_hear(&device->base, true);
	device->base.hears = !error;
	return error == -EOPNOTSUPP ? 0 : error;
}

/* Ask the driver what the device is. -ENOTTY: not an ivshmem device. */
static int device_identify(struct device *device)
{
	struct ivshmem_region region = { .index = IVSHMEM_REGION_MEMORY };
	struct ivshmem_info info = { 0 };
	int error = device_ioctl(&device->base, IVSHMEM_IOC_INFO, &info);

	if (!error)
		error = device_ioctl(&device->base, IVSHMEM_IOC_REGION, &region);
	if (error)
		return error == -EINVAL || error == -ENOTTY ?
		       ivshmem_fail(-ENOTTY, "the device is not of ivshmem") :
		       error;
	device->base.begin = region.offset;
	device->base.size = region.size;
	device->base.vectors = info.vectors;
	device->cache = region.cache;
	if (info.features & IVSHMEM_FEATURE_REGISTERS)
		device_map_registers(device);
	return info.features & IVSHMEM_FEATURE_PEERS ? device_begin_to_hear(device) : 0;
}

int ivshmem_device_open(struct ivshmem **handle, const char *path,
			bool read_only)
{
	struct device *device = calloc(1, sizeof(*device));
	int error;

	if (!device)
		return -ENOMEM;
	if (ivshmem_handle_init(&device->base, &device_ops, path, read_only)) {
		free(device);
		return -ENOMEM;
	}
	pthread_mutex_init(&device->doorbells_lock, NULL);
	pthread_mutex_init(&device->presence_lock, NULL);
	device->base.page = sysconf(_SC_PAGESIZE);
	device->base.memory = open(path, O_CLOEXEC | O_NOCTTY |
				   (read_only ? O_RDONLY : O_RDWR));
	if (device->base.memory < 0) {
		error = ivshmem_fail(errno == ENXIO ? -ENODEV : -errno, "%s", strerror(errno));
		ivshmem_handle_free(&device->base);
		return error;
	}
	error = device_identify(device);
	if (error) {
		device_close(&device->base);
		return error;
	}
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: open: %#" PRIx64 " bytes, %u vectors, rings by %s",
		    path, device->base.size, device->base.vectors,
		    device->registers ? "its register" : "ioctl");
	*handle = &device->base;
	return 0;
}
