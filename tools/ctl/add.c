// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl add, remove: devices of the module ivshmem_soft, through its directory
 * in configfs (docs/ABI/configfs-ivshmem).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <ivshmem.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "progress.h"
#include "textfile.h"

#define CONFIG		"/sys/kernel/config/ivshmem"
#define NOT_GIVEN	UINT64_MAX
#define FIRST_KEY	0x100		/* long options only */

enum { ADDRESS, SIZE, IRQ, DOORBELL, VECTORS, NODE, NUMBERS };

static const char *const attributes[NUMBERS] = {
	"address", "size", "irq", "doorbell", "vectors", "node"
};

static struct {
	const char *name;
	uint64_t numbers[NUMBERS];
} option;

static const char *config_path(const char *attribute)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), CONFIG "/%s%s%s", option.name,
		 *attribute ? "/" : "", attribute);
	return path;
}

/* The module creates the directory: load it if necessary. */
static bool has_config(void)
{
	char *const command[] = { "modprobe", "-q", "ivshmem_soft", NULL };
	int status;
	pid_t pid;

	if (access(CONFIG, F_OK) && !geteuid() &&
	    !posix_spawn(&pid, "/sbin/modprobe", NULL, NULL, command, environ)) {
		progress_wait("modprobe ivshmem_soft");
		waitpid(pid, &status, 0);
		progress_erase();
	}
	return !access(CONFIG, F_OK);
}

static enum exit_code complain_config(void)
{
	if (geteuid())
		return complain_not_root();
	return complain(EXIT_FAILED,
			"no directory " CONFIG ": run sudo modprobe ivshmem_soft; if configfs is not mounted, sudo mount -t configfs configfs /sys/kernel/config");
}

/* mkdir or rmdir of the device's directory failed with @error. */
static enum exit_code complain_directory(const char *action, int error)
{
	if (error != EACCES && error != EPERM)
		return complain(EXIT_FAILED, "cannot %s %s: %s", action, option.name,
				strerror(error));
	if (geteuid())
		return complain_not_root();
	return complain(EXIT_DENIED,
			"cannot %s %s: %s; root needs CAP_SYS_ADMIN, which it may lack in a container",
			action, option.name, strerror(error));
}

static int write_attribute(const char *attribute, const char *format, uint64_t value)
{
	int fd = open(config_path(attribute), O_WRONLY | O_CLOEXEC), error = 0;
	char text[32];
	int length = snprintf(text, sizeof(text), format, value);

	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)length) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* The driver reports the reason in an attribute. */
static enum exit_code complain_refused(int error)
{
	char reason[256];

	if (error == -EPERM && geteuid())
		return complain_not_root();
	if (read_line(config_path("reason"), reason, sizeof(reason)))
		snprintf(reason, sizeof(reason), "%s", strerror(-error));
	return complain(error == -EPERM ? EXIT_DENIED : EXIT_FAILED, "cannot add %s: %s",
			option.name, reason);
}

static enum exit_code describe_and_enable(void)
{
	int error;

	for (int i = 0; i < NUMBERS; i++) {
		if (option.numbers[i] == NOT_GIVEN)
			continue;
		error = write_attribute(attributes[i], "%" PRIu64, option.numbers[i]);
		if (error)
			return complain(EXIT_FAILED, "cannot add %s: %s %" PRIu64 ": %s",
					option.name, attributes[i], option.numbers[i],
					strerror(-error));
	}
	error = write_attribute("enable", "%" PRIu64, 1);
	return error ? complain_refused(error) : EXIT_OK;
}

static error_t parse_name(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "too many arguments");
		if (!*argument || *argument == '.' || strchr(argument, '/'))
			complain_usage(state, "invalid name '%s': it must not contain '/' or start with '.'",
				       argument);
		option.name = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "missing operand NAME");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_add(int key, char *argument, struct argp_state *state)
{
	static const uint64_t limits[NUMBERS] = {
		UINT64_MAX - 1, UINT64_MAX - 1, UINT32_MAX, UINT64_MAX - 1,
		IVSHMEM_MAX_VECTORS, INT32_MAX
	};

	switch (key) {
	case FIRST_KEY ... FIRST_KEY + NUMBERS - 1:
		option.numbers[key - FIRST_KEY] = argument_size(state, attributes[key - FIRST_KEY],
							  argument, limits[key - FIRST_KEY]);
		return 0;
	case ARGP_KEY_END:
		if (option.numbers[SIZE] == NOT_GIVEN)
			argp_error(state, "missing option --size");
		return 0;
	default:
		return parse_name(key, argument, state);
	}
}

static const struct argp_option add_options[] = {
	{ "address", FIRST_KEY + ADDRESS, "ADDRESS", 0,
	  "Physical address of the memory (default: allocated by the kernel)", 0 },
	{ "size", FIRST_KEY + SIZE, "SIZE", 0, "Size of the memory, such as 16M", 0 },
	{ "irq", FIRST_KEY + IRQ, "N", 0, "Number of the interrupt for vector 0", 0 },
	{ "doorbell", FIRST_KEY + DOORBELL, "ADDRESS", 0,
	  "Physical address of the Doorbell register for ringing peers", 0 },
	{ "vectors", FIRST_KEY + VECTORS, "N", 0,
	  "Vectors per peer, without --address only (default: 4)", 0 },
	{ "node", FIRST_KEY + NODE, "N", 0,
	  "NUMA node of the memory, without --address only (default: any)", 0 },
	{ 0 }
};

static const struct argp add_argp = {
	.options = add_options,
	.parser = parse_add,
	.args_doc = "NAME",
	.doc = "Add a device in software: memory at a physical address or, without --address, memory allocated by the kernel. In the latter, every program that opens the device is a peer.",
	.children = with_json,
};

static enum exit_code report(void)
{
	char device[NAME_MAX + 1];
	int error = read_line(config_path("device"), device, sizeof(device));

	if (error)
		return complain(EXIT_NO_DEVICE, "%s was removed at once", option.name);
	if (common.json)
		return print_json(stdout, json_pack("{s:o, s:s}",
						    "name", json_bytes(option.name),
						    "device", device), false);
	printf("%s is /dev/%s\n", option.name, device);
	return EXIT_OK;
}

int verb_add(int argc, char **argv)
{
	enum exit_code code;

	for (int i = 0; i < NUMBERS; i++)
		option.numbers[i] = NOT_GIVEN;
	argp_parse(&add_argp, argc, argv, 0, NULL, NULL);
	if (!has_config())
		return complain_config();
	if (mkdir(config_path(""), 0755)) {
		if (errno == EEXIST)
			return complain(EXIT_FAILED,
					"device %s exists already: remove it with 'ivshmemctl remove %s'",
					option.name, option.name);
		return complain_directory("add", errno);
	}
	code = describe_and_enable();
	if (code) {
		rmdir(config_path(""));
		return code;
	}
	return report();
}

static const struct argp remove_argp = {
	.parser = parse_name,
	.args_doc = "NAME",
	.doc = "Remove a device that 'add' has added, even while it is in use.",
	.children = with_help,
};

int verb_remove(int argc, char **argv)
{
	argp_parse(&remove_argp, argc, argv, 0, NULL, NULL);
	if (!rmdir(config_path("")))
		return EXIT_OK;
	if (errno == ENOENT || errno == ENOTDIR)
		return complain(EXIT_NO_DEVICE,
				"no device %s was added: see " CONFIG,
				option.name);
	return complain_directory("remove", errno);
}
