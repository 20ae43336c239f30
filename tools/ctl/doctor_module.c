// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: is the module installed and loaded, and in the same version?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "textfile.h"

struct module {
	char path[PATH_MAX];
	char version[64];
	char srcversion[64];
	bool is_signed;
};

FILE *ask(const char *command)
{
	char text[512];

	snprintf(text, sizeof(text), "PATH=$PATH:/usr/sbin:/sbin exec 2>/dev/null %s", command);
	setenv("IVSHMEM_ROOT", below("%s", ""), 1);
	return popen(text, "re");
}

static void take_field(char *line, struct module *module)
{
	char *value = strchr(line, ':');

	if (!value)
		return;
	*value++ = '\0';
	value += strspn(value, " ");
	value[strcspn(value, "\n")] = '\0';
	/* The index can list a file that has been deleted. */
	if (!strcmp(line, "filename") && is_there(value))
		snprintf(module->path, sizeof(module->path), "%s", value);
	else if (!strcmp(line, "version"))
		snprintf(module->version, sizeof(module->version), "%s", value);
	else if (!strcmp(line, "srcversion"))
		snprintf(module->srcversion, sizeof(module->srcversion), "%s", value);
	else if (!strcmp(line, "sig_id"))
		module->is_signed = true;
}

/* Returns false if there is none, or it cannot be read; then only the path can be set. */
static bool read_module(const char *name, const char *kernel, struct module *module)
{
	char *line = NULL;
	size_t size = 0;
	FILE *output;

	setenv("IVSHMEM_MODULE", name, 1);
	setenv("IVSHMEM_KERNEL", kernel, 1);
	output = ask("modinfo -b \"$IVSHMEM_ROOT\" -k \"$IVSHMEM_KERNEL\" \"$IVSHMEM_MODULE\"");
	if (!output)
		return false;
	while (getline(&line, &size, output) > 0)
		take_field(line, module);
	free(line);
	return pclose(output) == 0;
}

bool has_module(const char *name, const char *kernel)
{
	struct module module = { 0 };

	read_module(name, kernel, &module);
	return *module.path;
}

/* Those that are loaded, in the order in which they can be unloaded. */
static void list_loaded(char *names, size_t room)
{
	static const char *const modules[] = {
		"ivshmem_vsock", "ivshmem_net", "ivshmem_rings", "ivshmem_soft", "ivshmem",
	};

	*names = '\0';
	for (size_t i = 0; i < sizeof(modules) / sizeof(*modules); i++)
		if (is_there(below("/sys/module/%s", modules[i])))
			snprintf(names + strlen(names), room - strlen(names), " %s", modules[i]);
}

/* An upgrade cannot unload the module while a program has a device open. */
static void compare_loaded(const struct module *module)
{
	char version[64] = "", srcversion[64] = "", loaded[80];
	bool same;

	read_line(below("/sys/module/ivshmem/version"), version, sizeof(version));
	read_line(below("/sys/module/ivshmem/srcversion"), srcversion, sizeof(srcversion));
	same = !strcmp(version, module->version);
	if (same && !strcmp(srcversion, module->srcversion))
		return;
	list_loaded(loaded, sizeof(loaded));
	problem("old-module",
		"the loaded module is out of date: version %s is loaded, %s%s is installed: stop the programs that use it, then: sudo modprobe -r%s && sudo modprobe -a%s; or reboot",
		version, same ? "another build of version " : "version ", module->version,
		loaded, loaded);
}

static void examine_loaded(const struct module *module, const struct pci_devices *devices)
{
	if (*module->path)
		compare_loaded(module);
	if (*devices->idle)
		problem("not-taken",
			"the driver is loaded but has not bound the device %s: echo %s | sudo tee /sys/bus/pci/drivers_probe; if that does not help, for the reason: sudo dmesg | grep ivshmem",
			devices->idle, devices->idle);
}

static void examine_unloaded(const struct module *module, const char *version,
			     const struct pci_devices *devices)
{
	/* Without a device nobody misses it. */
	if (devices->suitable && examine_blacklist())
		return;
	if (examine_signature(module->is_signed, version))
		return;
	if (*devices->idle)
		problem("not-loaded",
			"the driver is installed but not loaded: sudo modprobe ivshmem");
}

bool examine_module(const struct pci_devices *devices)
{
	bool loaded = is_there(below("/sys/module/ivshmem"));
	struct module module = { 0 };
	char version[64] = "";
	bool sources = find_sources(version);

	if (!read_module("ivshmem", running_kernel(), &module) && *module.path) {
		problem("module-unreadable",
			"modinfo cannot read %s: reinstall the packages kmod and ivshmem-dkms",
			module.path);
		return true;
	}
	if (loaded)
		examine_loaded(&module, devices);
	else if (*module.path)
		examine_unloaded(&module, version, devices);
	/* A loaded module does until the next boot only, unless it was loaded by hand. */
	if (!*module.path && (sources || (devices->suitable && !loaded)))
		examine_build(sources ? version : NULL);
	if (sources)
		examine_other_build(version);
	examine_stale();
	return loaded || *module.path || sources;
}
