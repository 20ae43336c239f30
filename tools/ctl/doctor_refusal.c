// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: the module is installed. Is it blacklisted, or will the kernel reject
 * its signature?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "textfile.h"

#define EFIVARS		"/sys/firmware/efi/efivars"
#define SECURE_BOOT	EFIVARS "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define MAX_BYTES	(1 << 20)

/* Does this line of modprobe.d(5) prevent the module from being loaded? */
static bool is_blocking(const char *line)
{
	char command[16], module[16], program[32] = "";

	if (sscanf(line, "%15s %15s %31s", command, module, program) < 2 ||
	    strcmp(module, "ivshmem"))
		return false;
	return !strcmp(command, "blacklist") ||
	       (!strcmp(command, "install") && (strstr(program, "/true") ||
						strstr(program, "/false")));
}

/* All lines that apply: a file can hide another of the same name. */
static bool examine_configuration(void)
{
	FILE *output = ask("modprobe ${IVSHMEM_ROOT:+"
				"-C \"$IVSHMEM_ROOT/etc/modprobe.d\" "
				"-C \"$IVSHMEM_ROOT/run/modprobe.d\" "
				"-C \"$IVSHMEM_ROOT/usr/lib/modprobe.d\"} --show-config");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (output && !found && getline(&line, &size, output) > 0)
		found = is_blocking(line);
	if (output)
		pclose(output);
	if (found)
		problem("blacklisted",
			"the line \"%.*s\" in modprobe.d prevents the module from being loaded: find it with: grep -rw ivshmem /etc/modprobe.d /run/modprobe.d /usr/local/lib/modprobe.d /usr/lib/modprobe.d /lib/modprobe.d; remove it, then: sudo modprobe ivshmem",
			(int)strcspn(line, "\n"), line);
	free(line);
	return found;
}

/* The first is for the kernel, the second for modprobe. */
static bool is_blacklist(const char *word)
{
	return !strncmp(word, "module_blacklist=", 17) ||
	       !strncmp(word, "modprobe.blacklist=", 19);
}

static bool examine_command_line(void)
{
	char line[4096], *next = line, *word, *module;

	if (read_line(below("/proc/cmdline"), line, sizeof(line)))
		return false;
	while ((word = strsep(&next, " "))) {
		if (!is_blacklist(word))
			continue;
		strsep(&word, "=");
		while ((module = strsep(&word, ",")))
			if (!strcmp(module, "ivshmem"))
				goto found;
	}
	return false;
found:
	problem("blacklisted",
		"module_blacklist= or modprobe.blacklist= on the kernel command line prevents the module from being loaded: boot without it");
	return true;
}

/* Read a file into allocated memory; NULL if it does not exist. */
static unsigned char *read_bytes(const char *path, size_t *size)
{
	FILE *file = fopen(path, "re");
	unsigned char *bytes = file ? malloc(MAX_BYTES) : NULL;

	if (bytes)
		*size = fread(bytes, 1, MAX_BYTES, file);
	if (file)
		fclose(file);
	return bytes;
}

/* Why the kernel requires signatures, or NULL if it does not. */
static const char *signatures_wanted(void)
{
	unsigned char *secure;
	char text[64];
	size_t size = 0;
	bool on;

	if (!read_line(below("/sys/module/module/parameters/sig_enforce"), text, sizeof(text)) &&
	    *text == 'Y')
		return "module.sig_enforce";
	if (!read_line(below("/sys/kernel/security/lockdown"), text, sizeof(text)))
		return strstr(text, "[none]") ? NULL : "lockdown";
	/* Without securityfs: distributions lock down under Secure Boot. */
	secure = read_bytes(below(SECURE_BOOT), &size);
	on = secure && size == 5 && secure[4] == 1;
	free(secure);
	return on ? "Secure Boot" : NULL;
}

/* Does a firmware variable whose name starts with @start contain the key? */
static bool is_in_variable(const char *start, const unsigned char *key, size_t key_size)
{
	char **names;
	int count = read_names(below(EFIVARS), &names);
	unsigned char *bytes;
	bool found = false;
	size_t size = 0;

	for (int i = 0; i < count && !found; i++) {
		if (strncmp(names[i], start, strlen(start)))
			continue;
		bytes = read_bytes(below(EFIVARS "/%s", names[i]), &size);
		found = bytes && memmem(bytes, size, key, key_size);
		free(bytes);
	}
	if (count >= 0)
		free_names(names, count);
	return found;
}

enum key_state { KEY_KNOWN, KEY_WAITING, KEY_UNKNOWN };

/* Assume that a key which is not on this machine is known. */
static enum key_state look_up(const char *certificate)
{
	enum key_state state = KEY_UNKNOWN;
	size_t size = 0;
	unsigned char *key = read_bytes(certificate, &size);

	if (!key || !size || is_in_variable("MokListRT", key, size) ||
	    is_in_variable("db-", key, size))
		state = KEY_KNOWN;
	else if (is_in_variable("MokNew-", key, size))
		state = KEY_WAITING;
	free(key);
	return state;
}

static bool examine_key(const char *why)
{
	static const char ubuntu[] = "/var/lib/shim-signed/mok/MOK.der";
	static const char dkms[] = "/var/lib/dkms/mok.pub";
	bool is_ubuntu = is_there(below(ubuntu));

	switch (look_up(below("%s", is_ubuntu ? ubuntu : dkms))) {
	case KEY_KNOWN:
		return false;
	case KEY_WAITING:
		problem("key-waiting",
			"the key of the module's signature is waiting for enrollment: reboot, and select Enroll MOK in the blue screen");
		return true;
	default:
		break;
	}
	if (is_there(below(EFIVARS)))
		problem("key-unknown",
			"the firmware does not know the key of the module's signature, so the kernel rejects it (%s): sudo %s, then reboot and select Enroll MOK in the blue screen",
			why, is_ubuntu ? "update-secureboot-policy --enroll-key" :
			"mokutil --import /var/lib/dkms/mok.pub");
	else
		problem("key-unknown",
			"the kernel does not know the key of the module's signature and rejects it (%s), and there is no UEFI firmware to enroll the key: boot without module.sig_enforce and lockdown=",
			why);
	return true;
}

bool examine_blacklist(void)
{
	return examine_command_line() || examine_configuration();
}

bool examine_signature(bool is_signed, const char *version)
{
	const char *why = signatures_wanted();

	if (!why)
		return false;
	if (is_signed)
		return examine_key(why);
	if (!*version)
		problem("unsigned",
			"the module is not signed, but the kernel requires a signature (%s): install the package ivshmem-dkms, which signs it",
			why);
	else
		problem("unsigned",
			"the module is not signed, but the kernel requires a signature (%s): to sign it, sudo dkms remove ivshmem/%s -k %s; sudo dkms install ivshmem/%s -k %s; then run this again",
			why, version, running_kernel(), version, running_kernel());
	return true;
}
