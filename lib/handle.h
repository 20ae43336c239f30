/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every handle has, whatever stands behind it, and the table of what the
 * backends (backend_device.c, backend_server.c, backend_file.c, member.c) do differently.
 */
#ifndef IVSHMEM_HANDLE_H
#define IVSHMEM_HANDLE_H

#pragma GCC visibility push(default)
#include "ivshmem.h"
#pragma GCC visibility pop

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "listener.h"
#include "log.h"

struct ivshmem_ops {
	void (*close)(struct ivshmem *handle);
	int (*properties)(struct ivshmem *handle,
			  struct ivshmem_properties *out);
	int (*ring)(struct ivshmem *handle, uint32_t peer, uint32_t vector);
	int (*wait)(struct ivshmem *handle,
		    const struct ivshmem_wait_options *options,
		    struct ivshmem_wait_result *result);
	int (*ring_wait)(struct ivshmem *handle, uint32_t peer,
			 uint32_t vector,
			 const struct ivshmem_wait_options *options,
			 struct ivshmem_wait_result *result);
	/*
	 * The descriptor that is readable after a ring of the vector, the same for all
	 * callers and valid until close; or why there is none.
	 */
	int (*doorbell)(struct ivshmem *handle, uint32_t vector);
	/* Who has called that does not watch the descriptor any more (or NULL). */
	void (*forget)(struct ivshmem *handle);
	/*
	 * One to be watched for these events of epoll: the server or the device has news. NULL:
	 * what there is comes by ivshmem_listeners_signal().
	 */
	int (*news)(struct ivshmem *handle, uint32_t *events);
	/* Hear the server, or ask the device: 0, or why it is gone. */
	int (*listen)(struct ivshmem *handle);
	int (*peers)(struct ivshmem *handle, uint32_t *ids, size_t max);
	/* What is known of them and of this one; @peers are zeros before. */
	int (*list)(struct ivshmem *handle, struct ivshmem_peer *peers, size_t max);
	/* Make all who wait look again: somebody has left. */
	void (*wake_all)(struct ivshmem *handle);
	/* Where it knows all who are there (or NULL): is that peer, as of now? */
	bool (*has_peer)(struct ivshmem *handle, uint32_t id);
	/* In a child after fork() (or NULL): give up what would keep the parent alive. */
	void (*begin_child)(struct ivshmem *handle);
};

struct ivshmem {
	const struct ivshmem_ops *ops;
	char name[64];			/* the path, cut off if need be: for messages */
	_Atomic uint32_t references;	/* the opener's, and one for each object */
	int memory;			/* the descriptor that maps the region */
	uint64_t begin;			/* of the region in what that maps */
	size_t page;			/* mappings are multiples of this */
	uint64_t size;
	bool read_only;
	bool on_host;			/* a file; its locks are seen by all who open it */
	_Atomic uint32_t vectors;	/* only ever grows (see backend_server.c) */
	bool hears;			/* it knows when peers leave, at least some */
	_Atomic uint32_t *disconnects;	/* how often each peer has left, for certain */
	_Atomic uint32_t *absences;	/* or was found absent; NULL: never (presence.c) */
	_Atomic bool *left;		/* each peer that was there, and is not any more */
	_Atomic uint32_t losses;	/* how often the own id was given to another peer */
	void *_Atomic whole;		/* see ivshmem_whole() */
	uint64_t offset;		/* of a partition in the region; 0: all of it */
	uint32_t first_vector;		/* of a partition */
	uint32_t most_vectors;		/* that a partition has */

	pthread_mutex_t listeners_lock;	/* protects the list; before each one's own lock */
	struct ivshmem_listener *listeners;
	pthread_mutex_t news_lock;	/* while that is opened; before the list's */
	struct ivshmem_listener news;	/* of ivshmem_fd() */

	/* See process.c. */
	unsigned int process;
	LIST_ENTRY(ivshmem) place;
	LIST_HEAD(, ivshmem_channel) channels;
};

/* What open() does for any handle, and close(). */
int ivshmem_handle_init(struct ivshmem *handle, const struct ivshmem_ops *ops,
			const char *path, bool read_only);
void ivshmem_handle_free(struct ivshmem *handle);

/* On the host: size and page size of the memory. -EPROTO: it is no file, or empty. */
int ivshmem_handle_measure(struct ivshmem *handle);

/* Each object that uses the handle has a reference; the last one closes it. */
struct ivshmem *ivshmem_handle_get(struct ivshmem *handle);
void ivshmem_handle_put(struct ivshmem *handle);

/*
 * Calls are no cancellation points where they hold a lock or a descriptor: as with a
 * lock, keep what the first returns for the second.
 */
int ivshmem_cancel_off(void);
void ivshmem_cancel_restore(int state);

/* The same up to the end of the block, with the state in a variable of this name. */
#define IVSHMEM_CANCEL_OFF(state) \
	__attribute__((unused, cleanup(ivshmem_cancel_end))) int state = ivshmem_cancel_off()

static inline void ivshmem_cancel_end(const int *state)
{
	ivshmem_cancel_restore(*state);
}

int ivshmem_device_open(struct ivshmem **handle, const char *path,
			bool read_only);
int ivshmem_connection_open(struct ivshmem **handle, const char *path,
			    bool read_only);
int ivshmem_file_open(struct ivshmem **handle, const char *path, bool read_only);

/* What ivshmem_open() does: look at the flags, then open, without a message if that fails. */
int ivshmem_check_flags(unsigned int flags);
int ivshmem_open_path(struct ivshmem **handle, const char *path, unsigned int flags);

/* Something without a slash is a device if there is one of that name: @device, or @path. */
const char *ivshmem_find_path(const char *path, char device[64]);

/* All of the region, mapped when it is first asked for; or NULL. */
void *ivshmem_whole(struct ivshmem *handle);

/* Take as much of a program's structure as there is. -E2BIG: it says more than is known here. */
int ivshmem_copy_in(void *to, size_t known, const void *from, size_t size);

/* Give a program as much of a structure as it knows; the rest of its own becomes 0. */
void ivshmem_copy_out(void *to, size_t size, const void *from, size_t known);

/* Whether a wait with these options makes sense here: 0 or why not. */
int ivshmem_check_wait(struct ivshmem *handle,
		       const struct ivshmem_wait_options *options);

/* Whether channels and objects can be here, woken by this vector: 0 or why not. */
int ivshmem_check_object(struct ivshmem *handle, uint32_t vector,
			 struct ivshmem_properties *properties);

/*
 * The own id may have become another one since the handle had so many @losses. True: it may, and
 * both are right again.
 */
bool ivshmem_renew_id(struct ivshmem *handle, _Atomic uint32_t *losses, _Atomic uint32_t *id);

/* How often a peer has left, for certain, as of now. */
uint32_t ivshmem_disconnects(struct ivshmem *handle, uint32_t peer);

/*
 * How often a session with a peer would have ended: it has left or was found absent, or this
 * program is another peer now. As of now (@ask), or as far as it is known.
 */
uint32_t ivshmem_absences(struct ivshmem *handle, uint32_t peer, bool ask);

/* Whether a peer was there and has left, as of now. One that is not known yet has not. */
bool ivshmem_has_left(struct ivshmem *handle, uint32_t peer);

#endif /* IVSHMEM_HANDLE_H */
