// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creating a device requires CAP_SYS_ADMIN. A window gives access to any memory, so it
 * requires CAP_SYS_RAWIO as well and a kernel that is not locked down. Lockdown cannot be
 * undone, hence a boot of its own.
 */
/* rig: arches=amd64 devices=none modules=configfs append=memmap=16M$0xa000000 alone=yes */
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dev.h"

#define CONFIG "/sys/kernel/config/ivshmem/"

/* Drop one capability of root's, which no program that it runs gets back. */
static void drop(int capability)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (prctl(PR_CAPBSET_DROP, capability))
		tap_bail("PR_CAPBSET_DROP: %s", strerror(errno));
	if (syscall(SYS_capget, &head, data))
		tap_bail("capget: %s", strerror(errno));
	data[0].effective &= ~(1u << capability);
	data[0].permitted &= ~(1u << capability);
	if (syscall(SYS_capset, &head, data))
		tap_bail("capset: %s", strerror(errno));
}

/* Gives 1 if the result is another than expected, and notes it. */
static int wrong(const char *what, int result, int expected)
{
	if (result != expected)
		tap_note("%s: %d, not %d", what, result, expected);
	return result != expected;
}

/* Run a command of ivshmemctl, which is to say what is in its stderr. */
static int status_of(const char *command, const char *says)
{
	char line[256];

	snprintf(line, sizeof(line), "ivshmemctl %s 2>/tmp/said; status=$?; "
		 "grep -q '%s' /tmp/said && exit $status", command, says);
	return WEXITSTATUS(system(line));
}

static int count_admin_wrongs(void)
{
	return wrong("mkdir", result(mkdir(CONFIG "other", 0755)), -EPERM) +
	       wrong("enable memory", file_write(CONFIG "memory/enable", "1"), -EPERM) +
	       wrong("disable memory", file_write(CONFIG "memory/enable", "0"), -EPERM) +
	       wrong("change its size", file_write(CONFIG "memory/size", "2M"), -EPERM) +
	       wrong("ivshmemctl add", status_of("add other --size 4K", "CAP_SYS_ADMIN"), 4);
}

static int count_rawio_wrongs(void)
{
	return wrong("enable window", file_write(CONFIG "window/enable", "1"), -EPERM) +
	       wrong("ivshmemctl add", status_of("add other --size 4K --address 0xa100000",
						 "CAP_SYS_RAWIO"), 4) +
	       wrong("enable memory", file_write(CONFIG "memory/enable", "1"), 0) +
	       wrong("disable memory", file_write(CONFIG "memory/enable", "0"), 0);
}

/* Count wrong results in a child without one capability; gives its exit status. */
static int without(int capability, int (*count_wrongs)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		drop(capability);
		_exit(count_wrongs());
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(void)
{
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	mkdir(CONFIG "memory", 0755);
	mkdir(CONFIG "window", 0755);
	file_write(CONFIG "memory/size", "1M");
	file_write(CONFIG "window/size", "1M");
	file_write(CONFIG "window/address", "0xa000000");
	tap_eq(without(CAP_SYS_ADMIN, count_admin_wrongs), 0,
	       "without CAP_SYS_ADMIN: EPERM for every device");
	tap_eq(system("grep -q CAP_SYS_ADMIN " CONFIG "memory/reason"), 0,
	       "the attribute \"reason\" names it");
	tap_eq(without(CAP_SYS_RAWIO, count_rawio_wrongs), 0,
	       "without CAP_SYS_RAWIO: EPERM for a window, not for kernel-allocated memory");
	tap_eq(system("grep -q CAP_SYS_RAWIO " CONFIG "window/reason"), 0,
	       "the attribute \"reason\" names CAP_SYS_RAWIO");
	tap_eq(file_write(CONFIG "window/enable", "1"), 0,
	       "with both capabilities a window can be enabled");
	tap_eq(file_write(CONFIG "window/enable", "0"), 0, "the window can be disabled");

	if (file_write("/sys/kernel/security/lockdown", "integrity")) {
		tap_skip("lockdown", "this kernel does not support it");
		return tap_done();
	}
	tap_eq(file_write(CONFIG "window/enable", "1"), -EPERM,
	       "locked down: a window is refused");
	tap_eq(system("grep -q 'locked down' " CONFIG "window/reason"), 0,
	       "locked down: the attribute \"reason\" says so");
	tap_eq(file_write(CONFIG "memory/enable", "1"), 0,
	       "locked down: a device in kernel-allocated memory can be enabled");
	tap_eq(file_write(CONFIG "memory/enable", "0"), 0,
	       "locked down: that device can be disabled");
	return tap_done();
}
