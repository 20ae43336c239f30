// SPDX-License-Identifier: GPL-2.0-only
/*
 * The servers of this machine: see servers.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../control_path.h"
#include "control.h"
#include "ctl.h"
#include "numbers.h"
#include "printable.h"
#include "progress.h"
#include "servers.h"
#include "textfile.h"
#include "unix_sockets.h"

#define SECOND		INT64_C(1000000000)
#define ALL_NS		(10 * SECOND)	/* for all servers together */

/* Is the path that is the first @length bytes of @path among them? */
static bool contains(char **paths, int count, const char *path, size_t length)
{
	for (int i = 0; i < count; i++)
		if (!strncmp(paths[i], path, length) && !paths[i][length])
			return true;
	return false;
}

/*
 * Is there a socket at the path? Not if the server is of another mount namespace, such as a
 * container or chroot, or its path was removed. Where nobody may look there could be one.
 */
static bool is_here(const char *root, const char *path)
{
	char place[PATH_MAX];
	struct stat status;

	snprintf(place, sizeof(place), "%s%s", root, path);
	return stat(place, &status) ? errno == EACCES : S_ISSOCK(status.st_mode);
}

/* Another program's path may end in the suffix, but it has no socket beside it. */
int servers_find(const char *root, char ***sockets)
{
	char file[PATH_MAX];
	int count, kept = 0;

	snprintf(file, sizeof(file), "%s" UNIX_SOCKETS, root);
	count = listening_paths(file, sockets);
	for (int i = 0; i < count; i++) {
		char *path = (*sockets)[i];
		size_t length = strlen(path) - strlen(CONTROL_SUFFIX);

		if (!is_control_path(path) || !contains(*sockets, count, path, length) ||
		    !is_here(root, path))
			continue;
		path[length] = '\0';
		(*sockets)[i] = (*sockets)[kept];
		(*sockets)[kept++] = path;
	}
	for (int i = kept; i < count; i++)
		free((*sockets)[i]);
	return count < 0 ? count : kept;
}

/* In JSON, and for a person. */
static const struct outcome {
	int error;
	const char *name, *text;
} outcomes[] = {
	{ 0, "ok", NULL },
	{ EACCES, "denied", "no permission" },
	{ EPERM, "denied", "no permission" },
	{ ETIMEDOUT, "timeout", "no answer" },
	{ EPROTO, "nonsense", "answered nonsense" },
	{ -1, "unreachable", "cannot be reached" },
};

static const struct outcome *outcome_of(int error)
{
	const struct outcome *outcome = outcomes;

	while (outcome->error != -error && outcome->error >= 0)
		outcome++;
	return outcome;
}

/* What devices have as well comes first: programs need not know of servers. */
static json_t *list_entry(const char *socket, int error, const struct server_answer *answer)
{
	json_t *entry = json_pack("{s:o, s:I, s:n, s:i, s:s, s:n, s:n, s:i, s:s, s:s}",
				  "name", json_bytes(socket),
				  "size", (json_int_t)answer->size,
				  "id",
				  "vectors", (int)answer->vectors,
				  "cache", error ? "unknown" : "wb",
				  "pci", "label", "interrupts", 0, "transport", "server",
				  "answer", outcome_of(error)->name);

	if (entry && !error) {
		json_object_set_new(entry, "peers", json_integer((json_int_t)answer->count));
		json_object_set_new(entry, "pid", json_integer(answer->pid));
	}
	return entry;
}

static void list_line(const char *socket, int error, const struct server_answer *answer)
{
	char size[SIZE_TEXT];

	if (error)
		printf("%10s %8s %8s %8s  ", "-", "-", "-", "-");
	else
		printf("%10s %8u %8zu %8d  ", format_size(size, (double)answer->size),
		       answer->vectors, answer->count, answer->pid);
	print_printable(socket);
	if (error)
		printf(" (%s)", outcome_of(error)->text);
	putchar('\n');
}

void servers_list(char **sockets, int count, json_t *array)
{
	int64_t end = now_ns() + ALL_NS;

	if (count > 0 && !common.json)
		printf("%10s %8s %8s %8s  %s\n", "SIZE", "VECTORS", "PEERS", "PID", "SERVER");
	for (int i = 0; i < count; i++) {
		struct server_answer answer = { 0 };
		const char *reason;
		int error = -ETIMEDOUT;

		if (now_ns() < end) {
			progress_wait("the server of %s", sockets[i]);
			error = control_ask(sockets[i], SECOND, &answer, &reason);
			progress_erase();
		}
		if (common.json)
			json_array_append_new(array, list_entry(sockets[i], error, &answer));
		else
			list_line(sockets[i], error, &answer);
		control_free(&answer);
	}
}
