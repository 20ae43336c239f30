// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: no module for the running kernel. At which step did DKMS stop?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "textfile.h"

/* The value of VARIABLE="value" in a line. */
static bool take_value(const char *line, char value[64])
{
	return sscanf(line, "%*[^\"]\"%63[^\"]", value) == 1;
}

/* Directories that somebody has copied or made do not count: DKMS builds by this name. */
bool find_sources(char version[64])
{
	char **names, line[256], found[64];
	int count = read_names(below("/usr/src"), &names);
	bool any = false;

	for (int i = 0; i < count; i++) {
		if (strncmp(names[i], "ivshmem-", 8) ||
		    !find_line(below("/usr/src/%s/dkms.conf", names[i]), "PACKAGE_VERSION=",
			       line, sizeof(line)) ||
		    !take_value(line, found) || strcmp(found, names[i] + 8))
			continue;
		strcpy(version, found);
		any = true;
	}
	if (count >= 0)
		free_names(names, count);
	return any;
}

/* The kernels that have the module. */
static void list_kernels(char *text, size_t size)
{
	char **names;
	int count = read_names(below("/lib/modules"), &names);

	text[0] = '\0';
	for (int i = 0; i < count; i++) {
		size_t used = strlen(text);

		if (has_module("ivshmem", names[i]))
			snprintf(text + used, size - used, "%s%s", used ? ", " : "",
				 names[i]);
	}
	if (count >= 0)
		free_names(names, count);
}

/*
 * What to do for the headers of the running kernel. The package's helper knows, because it
 * asks the package manager what there is.
 */
static void headers_advice(char text[512])
{
	FILE *output;

	setenv("IVSHMEM_KERNEL", running_kernel(), 1);
	output = ask("timeout 30 \"$IVSHMEM_ROOT/usr/libexec/ivshmem-dkms\" advice \"$IVSHMEM_KERNEL\"");
	text[0] = '\0';
	if (output && fgets(text, 512, output))
		text[strcspn(text, "\n")] = '\0';
	if (output)
		pclose(output);
	if (!*text)
		snprintf(text, 512, "install the headers of kernel %s", running_kernel());
}

/* Does DKMS skip this kernel because it is below the minimum? */
static bool is_too_old(const char *version, char minimum[64])
{
	char line[256];

	return find_line(below("/usr/src/ivshmem-%s/dkms.conf", version),
			 "BUILD_EXCLUSIVE_KERNEL_MIN=", line, sizeof(line)) &&
	       take_value(line, minimum) && strverscmp(running_kernel(), minimum) < 0;
}

#define LOG	"/var/lib/dkms/ivshmem/%s/build/make.log"

/* For which kernel did the last build fail? DKMS moves the log of a successful one. */
static bool find_failure(const char *version, char kernel[65])
{
	static const char before[] = " for kernel ";
	char line[512];

	return find_line(below(LOG, version), before, line, sizeof(line)) &&
	       sscanf(strstr(line, before) + strlen(before), "%64s", kernel) == 1;
}

static void complain_failure(const char *version, const char *kernel)
{
	problem("build-failed",
		"the build of the module for kernel %s failed: see %s; try again: sudo dkms install ivshmem/%s -k %s",
		kernel, below(LOG, version), version, kernel);
}

static void examine_sources(const char *version, const char *kernels)
{
	const char *kernel = running_kernel();
	char advice[512], failed[65], minimum[64];

	if (is_too_old(version, minimum)) {
		problem("kernel-too-old",
			"kernel %s is too old for the driver: boot kernel %s or later",
			kernel, minimum);
	} else if (!is_there(below("/lib/modules/%s/build/Makefile", kernel))) {
		headers_advice(advice);
		problem("headers-missing",
			"no headers for kernel %s, so DKMS built no module: %s", kernel, advice);
	} else if (find_failure(version, failed) && !strcmp(failed, kernel)) {
		complain_failure(version, kernel);
	} else if (*kernels) {
		problem("wrong-kernel",
			"the module is built for %s, but not for the running kernel %s: sudo dkms install ivshmem/%s -k %s",
			kernels, kernel, version, kernel);
	} else {
		problem("not-built",
			"the module is not built for any kernel: sudo dkms install ivshmem/%s -k %s",
			version, kernel);
	}
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

/* DKMS stops at such a version whenever a kernel is installed, and so does that kernel. */
void examine_stale(void)
{
	char target[PATH_MAX];
	char **names;
	int count = read_names(below("/var/lib/dkms/ivshmem"), &names);

	for (int i = 0; i < count; i++) {
		ssize_t length = readlink(below("/var/lib/dkms/ivshmem/%s/source", names[i]),
					  target, sizeof(target) - 1);

		if (length < 0)
			continue;
		target[length] = '\0';
		if (!is_there(below("%s", target)))
			problem("dkms-stale",
				"DKMS has ivshmem/%s without its sources in %s, and can leave new kernels half configured: sudo rm -r /var/lib/dkms/ivshmem/%s",
				names[i], target, names[i]);
	}
	if (count >= 0)
		free_names(names, count);
}

/* A kernel that is installed, and will be booted some day. */
void examine_other_build(const char *version)
{
	char kernel[65];

	if (find_failure(version, kernel) && strcmp(kernel, running_kernel()) &&
	    is_there(below("/lib/modules/%s", kernel)) && !has_module("ivshmem", kernel))
		complain_failure(version, kernel);
}
