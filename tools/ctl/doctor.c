// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: find out why a device cannot be used and how to repair that. Here:
 * the order of the checks, and the report.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ctl.h"
#include "doctor.h"
#include "printable.h"
#include "textfile.h"

static const char *root = "";
static json_t *problems;

void problem(const char *name, const char *format, ...)
{
	char text[2 * PATH_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	json_array_append_new(problems, json_pack("{s:s, s:o}", "name", name,
						  "text", json_bytes(text)));
}

size_t count_problems(void)
{
	return json_array_size(problems);
}

const char *below(const char *format, ...)
{
	static char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s", root);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(path + length, sizeof(path) - (size_t)length, format, arguments);
	va_end(arguments);
	return path;
}

bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

bool find_line(const char *path, const char *word, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool found = false;

	while (file && !found && fgets(line, size, file))
		found = strstr(line, word);
	if (file)
		fclose(file);
	return found;
}

const char *running_kernel(void)
{
	static struct utsname name;

	uname(&name);
	return name.release;
}

/*
 * Container engines leave a mark, which a virtual machine made of a container's image can
 * have, too. But there the first UTS namespace is in use, which has a fixed number.
 */
static bool is_container(void)
{
	static const char first[] = "uts:[4026531838]";
	static const char *const marks[] = {
		"/run/host/container-manager", "/run/systemd/container",
		"/run/.containerenv", "/.dockerenv",
	};

	char current[sizeof(first)];
	ssize_t length = readlink(below("/proc/self/ns/uts"), current, sizeof(current));

	if (length < 0 || !strncmp(current, first, (size_t)length))
		return false;
	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (is_there(below("%s", marks[i])))
			return true;
	return false;
}

/* What works hides no problem: a host with a server may have a driver as well. */
static void examine(json_t *usable)
{
	bool has_server = examine_servers(usable);
	struct pci_devices devices;
	char **names;
	int count = read_names(below("/sys/class/ivshmem"), &names);

	if (is_container()) {
		examine_container(names, count, has_server, usable);
	} else {
		examine_pci(&devices);
		/* A device that is not on PCI is visible in the class only. */
		if (!devices.present && count <= 0 && !has_server)
			problem("device-absent",
				"no ivshmem device in this machine, and no server that you can use: add a device to the hypervisor, for QEMU with -object memory-backend-file,id=shm,share=on,mem-path=/dev/shm/shm,size=64M -device ivshmem-plain,memdev=shm; or, on a host, start ivshmem-server");
		if (examine_module(&devices) || count > 0)
			examine_access(names, count, usable);
		examine_slots(names, count);
		examine_segments();
	}
	if (count >= 0)
		free_names(names, count);
}

static void print_text(const json_t *usable)
{
	size_t index;
	json_t *one;

	/* Paths of sockets are what any user likes. */
	json_array_foreach(problems, index, one) {
		print_printable(json_string_value(json_object_get(one, "text")));
		putchar('\n');
	}
	if (count_problems())
		return;
	fputs("all is well", stdout);
	json_array_foreach(usable, index, one) {
		fputs(index ? ", " : ": you can use ", stdout);
		print_printable(json_string_value(one));
	}
	putchar('\n');
}

static error_t parse_doctor(int key, char *argument, struct argp_state *state)
{
	(void)state;
	if (key != 'r')
		return ARGP_ERR_UNKNOWN;
	root = argument;
	return 0;
}

static const struct argp_option doctor_options[] = {
	/* For tests, which run on the files of an imaginary machine. */
	{ "root", 'r', "DIR", OPTION_HIDDEN, NULL, 0 },
	{ 0 }
};

static const struct argp doctor_argp = {
	.options = doctor_options,
	.parser = parse_doctor,
	.doc = "Find out why a device cannot be used, and print a line per problem: the reason, then the remedy.\vThe exit code is 1 if there is a problem. Nothing is changed, but a service that waits for its first peer is started.",
	.children = with_json,
};

int verb_doctor(int argc, char **argv)
{
	json_t *usable = json_array();
	enum exit_code code = EXIT_OK;
	bool well;

	argp_parse(&doctor_argp, argc, argv, 0, NULL, NULL);
	problems = json_array();
	examine(usable);
	well = json_array_size(problems) == 0;
	if (!common.json)
		print_text(usable);
	else
		code = print_json(stdout, json_pack("{s:b, s:O, s:O}", "well", well,
						    "problems", problems, "usable", usable),
				  false);
	json_decref(problems);
	json_decref(usable);
	return code || well ? code : EXIT_FAILED;
}
