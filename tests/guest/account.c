// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's memory for a program is charged to the program's control group, so that
 * its limit applies, and is uncharged when the files are closed.
 */
/* rig: devices=doorbell vectors=64 size=1M over=pci,memory */
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "dev.h"

#define GROUPS "/tmp/groups/"
#define OWN GROUPS "own/"
#define FILES 4000
#define FILE_BYTES (300 + 64 * 8)	/* a file of the kernel, and a count per vector */

static long charged(void)
{
	FILE *file = fopen(OWN "memory.current", "r");
	long bytes;

	if (!file || fscanf(file, "%ld", &bytes) != 1)
		tap_bail("no memory.current");
	fclose(file);
	return bytes;
}

/* In the group: open all files, report that, and keep them until @go is closed. */
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

	if (!dev_interrupts(dev_open(), "charge a control group for eventfds"))
		return tap_done();
	mkdir(GROUPS, 0755);
	if (mount("none", GROUPS, "cgroup2", 0, NULL) ||
	    file_write(GROUPS "cgroup.subtree_control", "+memory")) {
		tap_skip("charge a control group", "this kernel has none for memory");
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
	tap_ok(bytes > (long)FILES * FILE_BYTES, "their memory is charged");
	close(go[1]);
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "they are closed");
	while (charged() - before > bytes / 4)	/* RCU, and the kernel's cached charges */
		sleep_ms(100);
	tap_eq(rmdir(OWN), 0, "their memory is uncharged");
	umount(GROUPS);
	return tap_done();
}
