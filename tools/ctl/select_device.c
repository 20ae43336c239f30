// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device that a verb works on: selecting, opening and mapping it, and the
 * messages when that fails.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../control_path.h"
#include "ctl.h"
#include "labelled.h"
#include "node.h"
#include "numbers.h"
#include "progress.h"
#include "sysfs.h"
#include "textfile.h"

static enum exit_code complain_none(const char *name)
{
	return complain(EXIT_NO_DEVICE,
			"no %s: run 'ivshmemctl doctor'; on a host, pass the socket of a server with --device, 'ivshmemctl list' shows them",
			name);
}

static void join_names(char *text, size_t size, char **names, int count)
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s",
					 i ? ", " : "", names[i]);
}

/* Drop partitions from a list. Gives the number of the others. */
static int keep_whole(char **names, int count)
{
	char parent[NAME_MAX + 1];
	int whole = 0;

	for (int i = 0; i < count; i++) {
		if (sysfs_parent(names[i], parent))
			free(names[i]);
		else
			names[whole++] = names[i];
	}
	return whole;
}

/* Select the only device; partitions are parts of it. Its name is static. */
static enum exit_code choose_only(const char **chosen)
{
	static char only[NAME_MAX + 1];
	enum exit_code code = EXIT_OK;
	char text[256];
	char **names;
	int count = sysfs_names(&names);

	if (count < 0)
		return complain(EXIT_FAILED, "cannot read " SYSFS_CLASS ": %s",
				strerror(-count));
	count = keep_whole(names, count);
	join_names(text, sizeof(text), names, count);
	if (count == 0) {
		code = complain_none("ivshmem device");
	} else if (count > 1) {
		code = complain(EXIT_USAGE,
				"several devices (%s): select one with --device",
				text);
	} else {
		snprintf(only, sizeof(only), "%s", names[0]);
		*chosen = only;
	}
	free_names(names, count);
	return code;
}

static bool is_a_socket(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISSOCK(status.st_mode);
}

/* The control socket of a server is beside its socket. */
static enum exit_code refuse_control(const char *name)
{
	char socket[PATH_MAX], control[PATH_MAX];
	int length = (int)(strlen(name) - strlen(CONTROL_SUFFIX));

	if (!is_control_path(name))
		return EXIT_OK;
	snprintf(socket, sizeof(socket), "%.*s", length, name);
	snprintf(control, sizeof(control), "%s" CONTROL_SUFFIX, name);
	/* A server's socket may have such a name: then there is another one beside it. */
	if (!is_a_socket(name) || !is_a_socket(socket) || is_a_socket(control))
		return EXIT_OK;
	return complain(EXIT_USAGE, "%s is the control socket of the server of %s: try --device %s",
			name, socket, socket);
}

enum exit_code device_choose(const char **chosen)
{
	*chosen = common.device;
	if (!*chosen)
		*chosen = getenv("IVSHMEM_DEVICE");
	if (*chosen && **chosen)
		return refuse_control(*chosen);
	return choose_only(chosen);
}

/* Is it the path of a socket, as far as the name tells? */
static bool is_socket(const char *name)
{
	return strchr(name, '/') && strncmp(name, "/dev/", 5);
}

/* As the library takes a name: without a slash it is that of a device, if there is one. */
bool device_is_server(const char *name)
{
	char node[NAME_MAX + 6];
	struct stat status;

	snprintf(node, sizeof(node), "/dev/%s", name);
	if (!strchr(name, '/') && !stat(node, &status) && S_ISCHR(status.st_mode))
		return false;
	return stat(name, &status) ? is_socket(name) : S_ISSOCK(status.st_mode);
}

static enum exit_code complain_missing(const char *name)
{
	char **names;
	char text[256];
	int count;

	if (is_socket(name))
		return complain(EXIT_NO_DEVICE,
				"no socket %s: start a server with 'ivshmem-server -S %s'",
				name, name);
	count = sysfs_names(&names);
	if (count <= 0)
		return complain_none(name);
	join_names(text, sizeof(text), names, count);
	free_names(names, count);
	return complain(EXIT_NO_DEVICE, "no device %s; this machine has %s", name, text);
}

static enum exit_code complain_denied(const char *name)
{
	char node[NAME_MAX + 1], parent[NAME_MAX + 1];

	if (strchr(name, '/') && sysfs_name_of_node(name, node))
		return complain(EXIT_DENIED,
				"no permission to use %s: see 'ls -l %s'",
				name, name);
	if (!sysfs_name(name, node) && !sysfs_parent(node, parent) && sysfs_is_labelled(node))
		return complain(EXIT_DENIED,
				"no permission to use %s: it has a label, so all of it is for root; use a partition, see 'ivshmemctl list'",
				name);
	return complain(EXIT_DENIED,
			"no permission to use %s: it belongs to group ivshmem; "
			"run sudo usermod -aG ivshmem $USER, then log in again",
			name);
}

static enum exit_code complain_open(const char *name, int error)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
		return complain_missing(name);
	case ENAMETOOLONG:
		return complain(EXIT_NO_DEVICE,
				"no device: the name %.32s... is too long; a socket's path has at most 107 bytes",
				name);
	case EACCES:
	case EPERM:
		return complain_denied(name);
	case ENOTTY:
		return complain(EXIT_NO_DEVICE,
				"%s is neither an ivshmem device, a server socket nor a file: see 'ivshmemctl doctor'",
				name);
	case ECONNREFUSED:
		return complain(EXIT_NO_DEVICE,
				"no server listens on %s: start one with 'ivshmem-server -S %s'",
				name, name);
	case EPROTO:
		return complain(EXIT_FAILED,
				"%s: not an ivshmem server, or one with an unknown protocol: %s; 'ivshmemctl list' shows servers",
				name, ivshmem_error(error));
	case EMFILE:
		return complain(EXIT_FAILED,
				"%s: too many open files: each vector of each peer needs one; raise the limit (ulimit -Hn)",
				name);
	case ETIMEDOUT:
		return complain(EXIT_TIMEOUT,
				"%s: no answer: %s; if an ivshmem-server listens there, restart it; 'ivshmemctl list' shows servers",
				name, ivshmem_error(error));
	default:
		return complain(EXIT_FAILED, "cannot open %s: %s", name,
				ivshmem_error(error));
	}
}

/* The name of a device whose node is at /dev/NAME. */
static const char *name_of_node(const char *path)
{
	return strncmp(path, "/dev/", 5) ? path : path + 5;
}

static enum exit_code open_chosen(struct device *device, unsigned int flags)
{
	char text[NODE_TEXT];
	int error;

	if (node_is_wrong("", name_of_node(device->name), text))
		return complain(EXIT_NO_DEVICE, "%s", text);
	/* A service manager may have to start it first. */
	if (device_is_server(device->name))
		progress_wait("the server of %s", device->name);
	error = ivshmem_open(&device->handle, device->name, flags);
	progress_erase();
	if (!error) {
		error = ivshmem_get_properties(device->handle, &device->properties);
		if (!error)
			return EXIT_OK;
		ivshmem_close(device->handle);
	}
	if (error == -ENODEV || error == -ECONNRESET)
		return device_complain(device, error, NULL);
	return complain_open(device->name, error);
}

enum exit_code device_open(struct device *device, unsigned int flags)
{
	enum exit_code code = device_choose(&device->name);

	return code ? code : open_chosen(device, flags);
}

enum exit_code device_open_to_wait(struct device *device)
{
	enum exit_code code = device_choose(&device->name);
	unsigned int flags = IVSHMEM_READ_ONLY;
	struct stat status;

	if (code)
		return code;
	if (!stat(device->name, &status) && S_ISREG(status.st_mode))
		flags = 0;
	return open_chosen(device, flags);
}

void device_close(struct device *device)
{
	ivshmem_close(device->handle);
}

enum exit_code device_complain(const struct device *device, int error,
			       const char *action)
{
	bool server = device->properties.transport == IVSHMEM_TRANSPORT_SERVER;

	switch (-error) {
	case ECONNRESET:	/* while the device is opened */
		server = true;
		/* fallthrough */
	case ENODEV:
		return complain(EXIT_NO_DEVICE, server ?
				"the server of %s is gone or has closed the connection: start it again" :
				"%s is gone: unplugged, or unbound from its driver",
				device->name);
	case EACCES:
		return complain_denied(device->name);
	default:
		return complain(EXIT_FAILED, "cannot %s on %s: %s", action,
				device->name, ivshmem_error(error));
	}
}

bool device_parent(const struct device *device, char parent[NAME_MAX + 1])
{
	char name[NAME_MAX + 1];

	return device->properties.transport == IVSHMEM_TRANSPORT_DEVICE &&
	       !sysfs_name(device->name, name) && sysfs_parent(name, parent);
}

static enum exit_code complain_no_vectors(const struct device *device)
{
	return complain(EXIT_FAILED,
			"%s has no vectors: a partition gets some by 'ivshmemctl partition add --vectors N', if its device has them",
			device->name);
}

/* There would be polled doorbells, but not for this program or machine. */
static enum exit_code complain_no_slot(const struct device *device,
				       const struct ivshmem_label *label)
{
	char slots[COUNT_TEXT];

	if (device->properties.transport == IVSHMEM_TRANSPORT_FILE)
		return complain(EXIT_FAILED,
				"%s has no doorbells for one more peer: its label has %s, and none is free, see 'ivshmemctl peers'; 'ivshmemctl format --peers N' makes more",
				device->name, format_count(slots, label->peers, "slot"));
	return complain(EXIT_FAILED,
			"%s has no doorbells, though its label has some: run 'ivshmemctl rescan', then see 'dmesg'",
			device->name);
}

enum exit_code device_need_ringing(const struct device *device)
{
	static struct ivshmem_label label;
	char parent[NAME_MAX + 1];

	if (device->properties.can_ring)
		return EXIT_OK;
	if (device_parent(device, parent))
		return complain_no_vectors(device);
	if (labelled_look(device, &label) && label.peers && label.bell_vectors)
		return complain_no_slot(device, &label);
	if (device->properties.transport == IVSHMEM_TRANSPORT_FILE)
		return complain(EXIT_FAILED,
				"%s is a file, without doorbells: to have them, 'ivshmemctl format' it, or start ivshmem-server and give guests ivshmem-doorbell",
				device->name);
	return complain(EXIT_FAILED,
			"%s has no doorbells: it is an ivshmem-plain device, not ivshmem-doorbell; 'ivshmemctl format', and 'ivshmemctl rescan' on each machine, give it some",
			device->name);
}

enum exit_code device_need_vectors(const struct device *device)
{
	char parent[NAME_MAX + 1];

	if (device->properties.vectors)
		return EXIT_OK;
	if (device_parent(device, parent))
		return complain_no_vectors(device);
	if (!device->properties.can_ring)
		return device_need_ringing(device);
	return complain(EXIT_FAILED,
			"%s has no interrupts: it can ring peers, but peers cannot ring it",
			device->name);
}

enum exit_code device_need_vector(const struct device *device, uint32_t vector)
{
	enum exit_code code = device_need_vectors(device);

	if (code || vector < device->properties.vectors)
		return code;
	if (device->properties.vectors == 1)
		return complain(EXIT_USAGE, "%s has no vector %u: its only vector is 0",
				device->name, vector);
	return complain(EXIT_USAGE, "%s has no vector %u: valid vectors are 0 to %u",
			device->name, vector, device->properties.vectors - 1);
}

int device_peers(const struct device *device, uint32_t **ids)
{
	size_t room = 64;

	*ids = NULL;
	for (;;) {
		uint32_t *larger = reallocarray(*ids, room, sizeof(**ids));
		int count;

		if (!larger) {
			free(*ids);
			return -ENOMEM;
		}
		*ids = larger;
		count = ivshmem_peers(device->handle, *ids, room);
		if (count < 0)
			free(*ids);
		if (count < 0 || (size_t)count <= room)
			return count;
		room = (size_t)count;
	}
}

enum exit_code device_complain_ring(const struct device *device, int error,
				    uint32_t peer)
{
	char text[256] = "none";
	uint32_t *ids;
	size_t used = 0;
	int count;

	if (error != -ENXIO)
		return device_complain(device, error, "ring the doorbell");
	count = device_peers(device, &ids);
	if (count < 0)
		return device_complain(device, count, "list the peers");
	for (int i = 0; i < count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s%u", i ? ", " : "", ids[i]);
	free(ids);
	return complain(EXIT_FAILED,
			"no such doorbell: peer %u is not connected to %s or has fewer vectors; connected peers: %s",
			peer, device->name, text);
}

enum exit_code device_check_range(const struct device *device, uint64_t offset,
				  uint64_t length)
{
	uint64_t size = device->properties.size;
	char all[COUNT_TEXT], wanted[COUNT_TEXT];

	format_count(all, size, "byte");
	if (offset > size)
		return complain(EXIT_USAGE, "offset %" PRIu64 " is beyond the end: %s has %s",
				offset, device->name, all);
	if (length > size - offset)
		return complain(EXIT_USAGE,
				"no space for %s at offset %" PRIu64 ": %s has %s, %" PRIu64 " of them after that offset",
				format_count(wanted, length, "byte"), offset,
				device->name, all, size - offset);
	return EXIT_OK;
}

static void memory_gone(int signal)
{
	static const char message[] =
		"ivshmemctl: the memory is gone: device unplugged, or file truncated\n";

	(void)signal;
	progress_erase();
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(EXIT_NO_DEVICE);
	_exit(EXIT_NO_DEVICE);
}

void device_expect_loss(void)
{
	struct sigaction action = { .sa_handler = memory_gone };

	sigaction(SIGBUS, &action, NULL);
}

enum exit_code device_map(const struct device *device, uint64_t offset,
			  uint64_t length, struct mapping *mapping)
{
	uint64_t start = offset - offset % device->properties.page_size;
	uint64_t whole = offset - start + length;
	int error = -ENOMEM;

	mapping->base = NULL;
	mapping->bytes = NULL;
	mapping->length = 0;
	if (length == 0)
		return EXIT_OK;
	if (whole <= SIZE_MAX)
		error = ivshmem_map(device->handle, start, (size_t)whole,
				    &mapping->base);
	if (error)
		return device_complain(device, error, "map the region");
	device_expect_loss();
	mapping->length = (size_t)whole;
	mapping->bytes = (uint8_t *)mapping->base + (offset - start);
	return EXIT_OK;
}

void device_unmap(const struct device *device, struct mapping *mapping)
{
	if (mapping->base)
		ivshmem_unmap(device->handle, mapping->base, mapping->length);
}
