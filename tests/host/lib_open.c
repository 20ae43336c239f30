// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening, properties, mapping, ringing and listing peers, as a peer on the host
 * (lib/handle.c, backend_server.c; what backend_device.c refuses to open).
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/open.h"

static int open_error(const char *path, unsigned int flags)
{
	struct ivshmem *handle = (void *)1;
	int before = open_descriptors(0);
	int error = ivshmem_open(&handle, path, flags);

	if (!error)
		ivshmem_close(handle);
	else if (handle || open_descriptors(0) != before)
		tap_bail("%s: something is left", path);
	return error;
}

static void test_open_errors(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *file = scratch("file");
	int fd;

	tap_eq(open_error(scratch("nothing"), 0), -ENOENT, "no such file");
	tap_eq(open_error("", 0), -ENOENT, "an empty name");
	tap_eq(open_error("/dev/null/x", 0), -ENOTDIR, "no directory");
	tap_eq(open_error("/dev/null", 0), -ENOTTY, "another device");
	tap_eq(open_error("null", 0), -ENOTTY, "another device by its name");
	tap_eq(open_error("null", 2), -EINVAL, "unknown flag");
	close(open(file, O_CREAT | O_WRONLY, 0600));
	tap_eq(open_error(file, 0), -ENOTTY, "a file");
	tap_eq(open_error("/tmp", 0), -ENOTTY, "a directory");

	strcpy(address.sun_path, scratch("dead"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		tap_bail("no socket: %m");
	close(fd);
	tap_eq(open_error(address.sun_path, 0), -ECONNREFUSED, "no server");
	strcpy(address.sun_path, scratch("datagrams"));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		tap_bail("no socket: %m");
	tap_eq(open_error(address.sun_path, 0), -EPROTO,
	       "another kind of socket");
	close(fd);
	ivshmem_close(NULL);
}

static void test_properties(void)
{
	pid_t server = start_server("--memfd", "-n", "3", "-l", "1M", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(IVSHMEM_READ_ONLY);
	struct ivshmem_properties properties;
	uint32_t ids[2] = { 77, 77 };

	tap_eq(ivshmem_properties(a, &properties), 0, "the first knows itself");
	tap_eq(properties.size, 1 << 20, "size");
	tap_eq(properties.id, 0, "id");
	tap_eq(properties.vectors, 3, "vectors");
	tap_eq(properties.transport, IVSHMEM_TRANSPORT_SERVER, "transport");
	tap_ok(properties.can_ring, "others can be rung");
	tap_ok(!properties.mapped_registers, "no registers");
	tap_eq(properties.page_size, sysconf(_SC_PAGESIZE), "page size");
	tap_eq(ivshmem_properties(b, &properties), 0, "so does the second");
	tap_eq(properties.id, 1, "id");
	tap_eq(properties.vectors, 3, "vectors");

	tap_eq(ivshmem_peers(a, ids, 2), 1, "the first sees one other");
	tap_ok(ids[0] == 1 && ids[1] == 77, "the second");
	tap_eq(ivshmem_peers(b, NULL, 0), 1, "no room is needed to count");
	ivshmem_close(a);
	tap_ok(eventually(ivshmem_peers(b, NULL, 0) == 0), "the first leaves");
	a = must_open(0);
	ivshmem_properties(a, &properties);
	tap_eq(properties.id, 0, "and is back with its id");
	tap_ok(eventually(ivshmem_peers(b, NULL, 0) == 1), "the other sees it");
	ivshmem_close(a);
	ivshmem_close(b);
	stop_server(server, SIGTERM);
}

static int map_error(struct ivshmem *handle, uint64_t offset, size_t length)
{
	void *address = (void *)1;
	int error = ivshmem_map(handle, offset, length, &address);

	if (!error)
		ivshmem_unmap(handle, address, length);
	else if (address)
		tap_bail("an address for a mapping that failed");
	return error;
}

static void test_map(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(IVSHMEM_READ_ONLY);
	char *whole, *part, *other;
	int fault[2];
	int status;

	tap_eq(ivshmem_map(a, 0, 0, (void **)&whole), 0, "map all");
	tap_eq(ivshmem_map(a, 8192, 100, (void **)&part), 0, "map a part");
	tap_eq(ivshmem_map(b, 0, 0, (void **)&other), 0, "map read-only");
	strcpy(part, "hello");
	tap_ok(!strcmp(whole + 8192, "hello"), "the part is the same memory");
	tap_ok(!strcmp(other + 8192, "hello"), "so is the other peer's");
	whole[(1 << 20) - 1] = 1;
	tap_eq(other[(1 << 20) - 1], 1, "up to the last byte");
	/* The kernel must refuse to store from here: that makes it EFAULT. */
	if (pipe(fault) < 0 || write(fault[1], "x", 1) != 1)
		tap_bail("no pipe: %m");
	tap_ok(read(fault[0], other, 1) < 0 && errno == EFAULT,
	       "a read-only mapping is read-only");
	close(fault[0]);
	close(fault[1]);
	tap_eq(map_error(a, 0, (1 << 20) + 1), -EINVAL, "beyond the end");
	tap_eq(map_error(a, 1 << 20, 0), -EINVAL, "from the end on");
	tap_eq(map_error(a, 1 << 19, (1 << 19) + 1), -EINVAL, "across the end");
	tap_eq(map_error(a, UINT64_MAX - 4095, 8192), -EINVAL, "wrapping");
	tap_eq(map_error(a, 4096, SIZE_MAX), -EINVAL, "huge");
	tap_eq(map_error(a, 100, 100), -EINVAL, "misaligned");
	tap_eq(map_error(a, (1 << 20) - 4096, 4096), 0, "the last page");

	tap_eq(ivshmem_unmap(a, whole, 1 << 20), 0, "unmap");
	tap_eq(ivshmem_unmap(a, part + 1, 100), -EINVAL, "unmap, misaligned");
	ivshmem_close(a);
	ivshmem_close(b);
	status = stop_server(server, SIGTERM);
	part[0] = 'H';
	tap_ok(!status && other[8192] == 'H', "mappings outlive handle and server");
	munmap(part, 4096);
	munmap(other, 1 << 20);
}

int main(void)
{
	test_open_errors();
	test_properties();
	test_map();
	return tap_done();
}
