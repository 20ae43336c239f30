// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the memory that the service manager has kept is what the options ask for. If
 * it is not, the administrator has changed them, and the server starts with new memory.
 * To refuse would not save the old one: the manager drops it when the service fails.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "log.h"
#include "memory.h"
#include "restore.h"

static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & MEMORY_SEALS) == MEMORY_SEALS;
}

/* An unlinked file in the directory, or rather in its file system. */
static bool is_in(const char *directory, const struct stat *file)
{
	struct stat st;

	return stat(directory, &st) == 0 && st.st_dev == file->st_dev &&
	       file->st_nlink == 0;
}

static bool is_of_kind(const struct memory *memory, int fd, const struct stat *st)
{
	switch (memory->kind) {
	case MEMORY_MEMFD:
		return is_sealed(fd);
	case MEMORY_DIRECTORY:
		return is_in(memory->name, st);
	default:
		/* An object is kept by its name. */
		return false;
	}
}

bool memory_restore(const struct memory *memory, int stored)
{
	char there[32], wanted[32], why[96];
	struct stat st;

	if (fstat(stored, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !is_of_kind(memory, stored, &st))
		snprintf(why, sizeof(why), "it is of another kind than the options ask for");
	else if ((uint64_t)st.st_size != memory->size)
		snprintf(why, sizeof(why), "it has %s, the options ask for %s",
			 readable(st.st_size, there), readable(memory->size, wanted));
	else
		return true;
	log_event(LOG_WARNING,
		  "event=discard reason=\"cannot continue with the memory of the previous server: %s\" advice=\"restart the peers that still use it\"",
		  why);
	return false;
}
