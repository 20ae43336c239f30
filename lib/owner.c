// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who owns a mutex, and whether that owner still lives.
 *
 * An owner is one open mutex of one program: a peer id, which may be used again, and a
 * random number, which makes it unlike all others. On the host, each owner also holds a
 * lock on one byte of the memory's file, far beyond its end, at the offset that is the
 * owner. The kernel releases that lock when the program ends, however it ends, and at no
 * other time. So a program on the host can tell for certain whether another lives, even
 * if it came after the death, or if the server was restarted meanwhile.
 *
 * The lock belongs to an open file (F_OFD_SETLK). Peers share the one that the server
 * sends, so each handle opens the memory again. A program without the right to do that
 * has no such lock. Nor has a guest, where the memory is no file of the host.
 *
 * A child after fork() shares its parent's open files and would hold the lock after the
 * death of the parent. So the child closes them. (What else it must not do: process.c.)
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "owner.h"

#define FIRST_BYTE	((off_t)1 << 62)
#define TRIES		16

/* An open file that holds the locks of a handle's mutexes. */
struct witness {
	const struct ivshmem *handle;
	int file;		/* -1: not allowed here */
	unsigned int users;
	struct witness *next;
};

static pthread_mutex_t witnesses_lock = PTHREAD_MUTEX_INITIALIZER;
static struct witness *witnesses;

/* Processes */

static void before_fork(void)
{
	pthread_mutex_lock(&witnesses_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&witnesses_lock);
}

static void begin_child(void)
{
	struct witness *witness;

	while ((witness = witnesses)) {
		witnesses = witness->next;
		if (witness->file >= 0)
			close(witness->file);
		free(witness);
	}
	pthread_mutex_unlock(&witnesses_lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, begin_child);
}

/* Witnesses, with the lock held. */

static struct witness **find(const struct ivshmem *handle)
{
	struct witness **place = &witnesses;

	while (*place && (*place)->handle != handle)
		place = &(*place)->next;
	return place;
}

/* 0 also if the memory cannot be opened again: the witness is then without a file. */
static int open_again(const struct ivshmem *handle, int *file)
{
	char path[64];

	*file = -1;
	if (!ivshmem_is_on_host(handle))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", handle->memory);
	*file = open(path, O_RDWR | O_CLOEXEC);
	if (*file < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return -errno;
	if (*file < 0)
		ivshmem_log(IVSHMEM_LOG_INFO, "%s: the memory cannot be opened again (%s): "
			    "others do not notice the death of this owner of mutexes",
			    handle->name, strerror(errno));
	return 0;
}

static int get(const struct ivshmem *handle, struct witness **out)
{
	struct witness **place = find(handle);
	struct witness *witness = *place;
	int error;

	if (!witness) {
		witness = calloc(1, sizeof(*witness));
		if (!witness)
			return -ENOMEM;
		error = open_again(handle, &witness->file);
		if (error) {
			free(witness);
			return error;
		}
		witness->handle = handle;
		*place = witness;
	}
	witness->users++;
	*out = witness;
	return 0;
}

static void put(struct witness **place)
{
	struct witness *witness = *place;

	if (--witness->users)
		return;
	*place = witness->next;
	if (witness->file >= 0)
		close(witness->file);
	free(witness);
}

/* Locks of bytes */

static struct flock byte_of(uint64_t owner, short type)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = FIRST_BYTE + (off_t)owner,
		.l_len = 1,
	};
}

/*
 * 1, 0, or an error if it cannot be told. Asks with the open file of all peers, which
 * locks nothing.
 */
static int is_locked(const struct ivshmem *handle, uint64_t owner)
{
	struct flock byte = byte_of(owner, F_WRLCK);

	return fcntl(handle->memory, F_OFD_GETLK, &byte) < 0 ? -errno : byte.l_type != F_UNLCK;
}

static int set_lock(const struct witness *witness, uint64_t owner, short type)
{
	struct flock byte = byte_of(owner, type);

	return fcntl(witness->file, F_OFD_SETLK, &byte) < 0 ? -errno : 0;
}

static uint64_t draw(uint32_t id)
{
	uint64_t identity = id <= IVSHMEM_MAX_PEER ? OWNER_HAS_ID | id : 0;
	uint64_t random;

	do {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			random = 0;
		random &= OWNER_RANDOM;
	} while (!random);
	return identity | random;
}

/*
 * An owner that no other has, nor @former, who may be dead. Somebody malicious may have
 * locked all bytes.
 */
static uint64_t choose(const struct witness *witness, uint32_t id, uint64_t former)
{
	int tries = witness->file >= 0 ? TRIES : 0;
	uint64_t owner;

	while (tries--) {
		owner = draw(id) | OWNER_IS_WITNESSED;
		if (owner != former && is_locked(witness->handle, owner) == 0 &&
		    set_lock(witness, owner, F_WRLCK) == 0)
			return owner;
	}
	return draw(id);
}

int ivshmem_owner_begin(const struct ivshmem *handle, uint32_t id, uint64_t former,
			uint64_t *owner)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct witness *witness;
	int error;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&witnesses_lock);
	error = get(handle, &witness);
	if (!error)
		*owner = choose(witness, id, former);
	pthread_mutex_unlock(&witnesses_lock);
	return error;
}

void ivshmem_owner_end(const struct ivshmem *handle, uint64_t owner)
{
	struct witness **place;

	pthread_mutex_lock(&witnesses_lock);
	place = find(handle);
	if (owner & OWNER_IS_WITNESSED)
		set_lock(*place, owner, F_UNLCK);
	put(place);
	pthread_mutex_unlock(&witnesses_lock);
}

bool ivshmem_owner_has_ended(const struct ivshmem *handle, uint64_t owner)
{
	return ivshmem_owner_is_known(handle, owner) && is_locked(handle, owner) == 0;
}
