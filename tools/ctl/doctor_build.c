// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: no module for the running kernel. At which step did DKMS stop?
 */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "textfile.h"

bool find_sources(char version[64])
{
	char **names;
	int count = read_names(below("/usr/src"), &names);
	bool found = false;

	for (int i = 0; i < count; i++) {
		if (strncmp(names[i], "ivshmem-", 8) ||
		    !is_there(below("/usr/src/%s/dkms.conf", names[i])))
			continue;
		snprintf(version, 64, "%s", names[i] + 8);
		found = true;
	}
	if (count >= 0)
		free_names(names, count);
	return found;
}

/* The kernels that have the module. */
static void list_kernels(char *text, size_t size)
{
	char **names;
	int count = read_names(below("/lib/modules"), &names);

	text[0] = '\0';
	for (int i = 0; i < count; i++) {
		size_t used = strlen(text);

		if (has_module(names[i]))
			snprintf(text + used, size - used, "%s%s", used ? ", " : "",
				 names[i]);
	}
	if (count >= 0)
		free_names(names, count);
}

/* The command that installs the headers of the running kernel. */
static const char *headers_command(void)
{
	const char *format = "install the headers of kernel %s";
	static char text[256];
	char line[256];

	if (find_line(below("/etc/os-release"), "fedora", line, sizeof(line)))
		format = "sudo dnf install kernel-devel-%s";
	else if (find_line(below("/etc/os-release"), "debian", line, sizeof(line)))
		format = "sudo apt install linux-headers-%s";
	snprintf(text, sizeof(text), format, running_kernel());
	return text;
}

/* Does DKMS skip this kernel because it is below the minimum? */
static bool is_too_old(const char *version, char minimum[32])
{
	char line[256];

	if (!find_line(below("/usr/src/ivshmem-%s/dkms.conf", version),
		       "BUILD_EXCLUSIVE_KERNEL_MIN=", line, sizeof(line)))
		return false;
	return sscanf(line, "%*[^\"]\"%31[^\"]", minimum) == 1 &&
	       strverscmp(running_kernel(), minimum) < 0;
}

static void examine_sources(const char *version, const char *kernels)
{
	const char *kernel = running_kernel();
	char log[PATH_MAX], minimum[32], line[512];

	/* DKMS moves the log elsewhere after a successful build. */
	snprintf(log, sizeof(log), "%s",
		 below("/var/lib/dkms/ivshmem/%s/build/make.log", version));
	if (is_too_old(version, minimum))
		problem("kernel-too-old",
			"kernel %s is too old for the driver: boot kernel %s or later",
			kernel, minimum);
	else if (!is_there(below("/lib/modules/%s/build/Makefile", kernel)))
		problem("headers-missing",
			"no headers for kernel %s, so DKMS built no module: %s",
			kernel, headers_command());
	else if (find_line(log, kernel, line, sizeof(line)))
		problem("build-failed",
			"the build of the module for kernel %s failed: see %s; try again: sudo dkms install ivshmem/%s -k %s",
			kernel, log, version, kernel);
	else
		problem(*kernels ? "wrong-kernel" : "not-built",
			"the module is built for %s, but not for the running kernel %s: sudo dkms install ivshmem/%s -k %s",
			*kernels ? kernels : "no kernel", kernel, version, kernel);
}

void examine_build(const char *version)
{
	char kernels[512];

	list_kernels(kernels, sizeof(kernels));
	if (version)
		examine_sources(version, kernels);
	else if (*kernels)
		problem("wrong-kernel",
			"the module is installed for kernel %s, but not for the running kernel %s: boot a kernel that has it, or install the package ivshmem-dkms",
			kernels, running_kernel());
	else
		problem("not-installed",
			"the driver is not installed: install the package ivshmem-dkms");
}
