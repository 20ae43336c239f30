// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory that the driver allocates for a program's files is charged to the program's
 * control group, so that the group's limit holds for it. Closing the files uncharges it.
 */
/* rig: devices=doorbell vectors=256 size=1M over=pci,memory */
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "dev.h"

#define GROUPS "/tmp/groups/"
#define OWN GROUPS "own/"
#define FILES 2000
#define FILE_BYTES (300 + 256 * 8)	/* of struct file and the like, and a count per vector */
/*
 * A file of a software device also has 24 bytes for each of its vectors. Slabs round up, and
 * kernels that watch memory make each allocation larger.
 */
#define MAX_BYTES 40000

static long charged(void)
{
	FILE *file = fopen(OWN "memory.current", "r");
	long bytes;

	if (!file || fscanf(file, "%ld", &bytes) != 1)
		tap_bail("cannot read memory.current");
	fclose(file);
	return bytes;
}

/* Join the group, open the files, report that, and keep them open until @go is closed. */
static void hold_files(int ready, int go)
{
	struct rlimit many = { FILES + 100, FILES + 100 };
	int efd = eventfd(0, EFD_CLOEXEC);
	char byte;

	if (file_write(OWN "cgroup.procs", "0") || setrlimit(RLIMIT_NOFILE, &many))
		_exit(2);
	for (int i = 0; i < FILES; i++)
		if (dev_eventfd(dev_open(), 0, efd))
			_exit(3);
	if (write(ready, "", 1) != 1)
		_exit(4);
	_exit(read(go, &byte, 1) != 0);
}

int main(void)
{
	int ready[2], go[2], status;
	long before, bytes;
	char byte;
	pid_t pid;

	if (!dev_interrupts(dev_open(), "files with eventfds are charged"))
		return tap_done();
	mkdir(GROUPS, 0755);
	if (mount("none", GROUPS, "cgroup2", 0, NULL) ||
	    file_write(GROUPS "cgroup.subtree_control", "+memory")) {
		tap_skip("files with eventfds are charged", "this kernel has no memory cgroup");
		return tap_done();
	}
	mkdir(OWN, 0755);
	before = charged();
	if (pipe(ready) || pipe(go))
		tap_bail("no pipe");
	pid = fork();
	if (!pid) {
		close(go[1]);
		hold_files(ready[1], go[0]);
	}
	close(ready[1]);
	tap_eq(read(ready[0], &byte, 1), 1, "%d files are open, with eventfds", FILES);
	bytes = charged() - before;
	tap_note("%ld bytes for each file", bytes / FILES);
	tap_ok(bytes > (long)FILES * FILE_BYTES, "at least %d bytes of each file are charged",
	       FILE_BYTES);
	tap_ok(bytes < (long)FILES * MAX_BYTES, "a file with 256 vectors takes less than %d bytes",
	       MAX_BYTES);
	close(go[1]);
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "the process closes its files and exits");
	while (charged() - before > bytes / 4)	/* RCU frees later, and per-CPU stocks remain */
		sleep_ms(100);
	tap_eq(rmdir(OWN), 0, "the memory is uncharged and the empty group can be removed");
	umount(GROUPS);
	return tap_done();
}
