// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may make devices: without CAP_SYS_ADMIN nobody, without CAP_SYS_RAWIO and in a
 * kernel that is locked down only those without an address. It stays locked down.
 */
/* rig: arches=amd64 devices=none modules=configfs append=memmap=16M$0xa000000 alone=yes */
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dev.h"

#define CONFIG "/sys/kernel/config/ivshmem/"

/* Root without one capability. */
static void drop(int capability)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		tap_bail("capget: %s", strerror(errno));
	data[0].effective &= ~(1u << capability);
	if (syscall(SYS_capset, &head, data))
		tap_bail("capset: %s", strerror(errno));
}

static int count_admin_wrongs(void)
{
	return (result(mkdir(CONFIG "other", 0755)) != -EPERM) +
	       (file_write(CONFIG "memory/enable", "1") != -EPERM);
}

static int count_rawio_wrongs(void)
{
	return (file_write(CONFIG "window/enable", "1") != -EPERM) +
	       (file_write(CONFIG "memory/enable", "1") != 0) +
	       (file_write(CONFIG "memory/enable", "0") != 0);
}

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
	tap_eq(without(CAP_SYS_ADMIN, count_admin_wrongs), 0, "without CAP_SYS_ADMIN: EPERM");
	tap_eq(without(CAP_SYS_RAWIO, count_rawio_wrongs), 0,
	       "without CAP_SYS_RAWIO: EPERM, but for memory of the kernel's own");
	tap_eq(system("grep -q CAP_SYS_RAWIO " CONFIG "window/reason"), 0, "it says so");
	tap_eq(file_write(CONFIG "window/enable", "1"), 0, "with both, a window");
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
