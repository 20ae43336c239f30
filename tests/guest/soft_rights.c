// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may make devices: without CAP_SYS_ADMIN nobody, and in a kernel that is
 * locked down only those without an address. It stays locked down.
 */
/* rig: arches=amd64 devices=none modules=configfs append=memmap=16M$0xa000000 alone=yes */
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dev.h"

#define CONFIG "/sys/kernel/config/ivshmem/"

/* Root without the one capability. */
static void drop_admin(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		tap_bail("capget: %s", strerror(errno));
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &head, data))
		tap_bail("capset: %s", strerror(errno));
}

static int without_admin(void)
{
	int wrong = 0, status;
	pid_t pid = fork();

	if (!pid) {
		drop_admin();
		wrong += result(mkdir(CONFIG "other", 0755)) != -EPERM;
		wrong += file_write(CONFIG "memory/enable", "1") != -EPERM;
		_exit(wrong);
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
	tap_eq(without_admin(), 0, "without CAP_SYS_ADMIN: EPERM");
	tap_eq(file_write(CONFIG "window/enable", "1"), 0, "with it, a window");
	tap_eq(file_write(CONFIG "window/enable", "0"), 0, "ends again");

	if (file_write("/sys/kernel/security/lockdown", "integrity")) {
		tap_skip("lockdown", "this kernel cannot");
		return tap_done();
	}
	tap_eq(file_write(CONFIG "window/enable", "1"), -EPERM, "locked down: no window");
	tap_eq(system("grep -q 'locked down' " CONFIG "window/reason"), 0, "it says why");
	tap_eq(file_write(CONFIG "memory/enable", "1"), 0,
	       "locked down: memory of the kernel's own");
	tap_eq(file_write(CONFIG "memory/enable", "0"), 0, "which ends again");
	return tap_done();
}
