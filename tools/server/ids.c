// SPDX-License-Identifier: GPL-2.0-only
/*
 * The next fresh id, which outlives the server: peers of a killed server are still
 * there, and use the memory under their ids. It is written before the peer gets its id,
 * as text, into a file that the service manager stores and into the lock beside the
 * socket. Either can be missing: the lock of a socket that was passed, and the store
 * with a manager that does not keep files.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <unistd.h>

#include "activation.h"
#include "ids.h"
#include "notify.h"

#define DIGITS	5

void ids_open(struct ids *ids)
{
	if (ids->stored >= 0 || !notify_wanted())
		return;
	ids->stored = memfd_create("ivshmem-ids", MFD_CLOEXEC);
	if (ids->stored < 0)
		warn("cannot keep the ids for a restart");
	else
		notify_store(STORED_IDS, ids->stored);
}

static uint32_t load(int fd)
{
	char text[DIGITS + 1] = "";
	unsigned long next;
	char *end;

	if (fd < 0 || pread(fd, text, DIGITS, 0) != DIGITS)
		return 0;
	next = strtoul(text, &end, 10);
	return *end || next > IDS ? 0 : next;
}

uint32_t ids_load(const struct ids *ids)
{
	return MAX(load(ids->stored), load(ids->lock));
}

static int save(int fd, uint32_t next)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%0*u\n", DIGITS, next);

	return fd < 0 || pwrite(fd, text, length, 0) == length ? 0 : -1;
}

int ids_save(const struct ids *ids, uint32_t next)
{
	return save(ids->stored, next) | save(ids->lock, next);
}
