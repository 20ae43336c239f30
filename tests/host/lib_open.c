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
		tap_bail("opening %s fails but gives a handle", path);
	return error;
}

static void test_open_errors(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *file = scratch("file");
	int fd;

	tap_eq(open_error(scratch("nothing"), 0), -ENOENT, "open: no such file");
	tap_eq(open_error("", 0), -ENOENT, "open: an empty name");
	tap_eq(open_error("/dev/null/x", 0), -ENOTDIR, "open: below what is no directory");
	tap_eq(open_error("/dev/null", 0), -ENOTTY, "open: another device");
	tap_eq(open_error("null", 0), -ENOTTY, "open: another device by its name");
	tap_eq(open_error("null", 2), -EINVAL, "open: unknown flag");
	close(open(file, O_CREAT | O_WRONLY, 0600));
	tap_eq(open_error(file, 0), -EINVAL, "open: an empty file");
	tap_eq(open_error("/tmp", 0), -ENOTTY, "open: a directory");

	strcpy(address.sun_path, scratch("dead"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		tap_bail("no socket: %m");
	close(fd);
	tap_eq(open_error(address.sun_path, 0), -ECONNREFUSED, "open: a socket without a server");
	strcpy(address.sun_path, scratch("datagrams"));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		tap_bail("no socket: %m");
	tap_eq(open_error(address.sun_path, 0), -EPROTO,
	       "open: another kind of socket");
	close(fd);
	ivshmem_close(NULL);
}

static void test_properties(void)
{
	pid_t server = start_server("--memfd", "-n", "3", "-l", "1M", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(IVSHMEM_READ_ONLY);
	struct ivshmem_properties properties;
	uint32_t ids[2] = { 77, 77 };

	tap_eq(ivshmem_get_properties(a, &properties), 0, "properties of the first peer");
	tap_eq(properties.size, 1 << 20, "the first peer: size");
	tap_eq(properties.id, 0, "the first peer: id");
	tap_eq(properties.vectors, 3, "the first peer: vectors");
	tap_ok(!properties.vectors_guessed, "the first peer: there are no more vectors");
	tap_eq(properties.transport, IVSHMEM_TRANSPORT_SERVER, "the first peer: transport");
	tap_ok(properties.can_ring, "the first peer: it can ring");
	tap_ok(!properties.mapped_registers, "the first peer: no mapped registers");
	tap_eq(properties.page_size, sysconf(_SC_PAGESIZE), "the first peer: page size");
	tap_eq(ivshmem_get_properties(b, &properties), 0, "properties of the second peer");
	tap_eq(properties.id, 1, "the second peer: id");
	tap_eq(properties.vectors, 3, "the second peer: vectors");

	tap_eq(ivshmem_peers(a, ids, 2), 1, "the first peer sees one other");
	tap_ok(ids[0] == 1 && ids[1] == 77, "its id is 1, and no more is written");
	tap_eq(ivshmem_peers(b, NULL, 0), 1, "peers can be counted without an array");
	ivshmem_close(a);
	tap_ok(eventually(ivshmem_peers(b, NULL, 0) == 0),
	       "the second peer sees the first disconnect");
	a = must_open(0);
	ivshmem_get_properties(a, &properties);
	tap_eq(properties.id, 2, "a peer that joins again gets a fresh id");
	tap_ok(eventually(ivshmem_peers(b, NULL, 0) == 1), "the second peer sees it join");
	ivshmem_close(a);
	ivshmem_close(b);
	stop_server(server, SIGTERM);
}

/* Structures of programs that are older or younger than the library. */
static void test_sizes(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", NULL);
	struct { struct ivshmem_properties known; uint64_t more; } properties;
	struct { struct ivshmem_wait_options known; uint64_t more; } options = { 0 };
	struct { struct ivshmem_wait_result known; uint64_t more; } result;
	struct ivshmem *handle = must_open(0);

	memset(&properties, 0xff, sizeof(properties));
	ivshmem_get_properties_sized(handle, &properties.known, sizeof(uint64_t));
	tap_ok(properties.known.size == 1 << 20 && properties.known.id == UINT32_MAX,
	       "properties: no more is written than an old program knows");
	ivshmem_get_properties_sized(handle, &properties.known, sizeof(properties));
	tap_ok(properties.known.vectors == 1 && !properties.more,
	       "properties: what the library does not know is 0");
	memset(&result, 0xff, sizeof(result));
	tap_eq(ivshmem_wait_sized(handle, &options.known, sizeof(options), &result.known,
				  sizeof(result)), -ETIMEDOUT,
	       "wait: unknown options that are 0 are accepted");
	tap_ok(!result.known.count && !result.more, "wait: the unknown result is 0");
	/* The timeout is missing: do not sleep. */
	memset(&options, 0xff, sizeof(options));
	options.known.flags = options.known.vector = 0;
	tap_eq(ivshmem_wait_sized(handle, &options.known, 8, NULL, 0), -ETIMEDOUT,
	       "wait: missing options are 0");
	memset(&options, 0, sizeof(options));
	options.more = 1;
	tap_eq(ivshmem_wait_sized(handle, &options.known, sizeof(options), NULL, 0), -E2BIG,
	       "wait: unknown options are refused");
	tap_eq(ivshmem_ring_wait_sized(handle, 0, 0, &options.known, sizeof(options), NULL, 0),
	       -E2BIG, "ring_wait: unknown options are refused");
	tap_eq(ivshmem_version(), IVSHMEM_LIB_VERSION, "the version is that of the header");
	ivshmem_close(handle);
	stop_server(server, SIGTERM);
}

static int map_error(struct ivshmem *handle, uint64_t offset, size_t length)
{
	void *address = (void *)1;
	int error = ivshmem_map(handle, offset, length, &address);

	if (!error)
		ivshmem_unmap(handle, address, length);
	else if (address)
		tap_bail("a mapping fails but gives an address");
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
	tap_ok(!strcmp(whole + 8192, "hello"), "both mappings show the same memory");
	tap_ok(!strcmp(other + 8192, "hello"), "the other peer's mapping does too");
	whole[(1 << 20) - 1] = 1;
	tap_eq(other[(1 << 20) - 1], 1, "the mappings reach to the last byte");
	/* read() cannot store to a read-only mapping and gives EFAULT. */
	if (pipe(fault) < 0 || write(fault[1], "x", 1) != 1)
		tap_bail("no pipe: %m");
	tap_ok(read(fault[0], other, 1) < 0 && errno == EFAULT,
	       "a read-only mapping is read-only");
	close(fault[0]);
	close(fault[1]);
	tap_eq(map_error(a, 0, (1 << 20) + 1), -EINVAL, "map: more than the region");
	tap_eq(map_error(a, 1 << 20, 0), -EINVAL, "map: from the end");
	tap_eq(map_error(a, 1 << 19, (1 << 19) + 1), -EINVAL, "map: across the end");
	tap_eq(map_error(a, UINT64_MAX - 4095, 8192), -EINVAL, "map: an end that overflows");
	tap_eq(map_error(a, 4096, SIZE_MAX), -EINVAL, "map: SIZE_MAX bytes");
	tap_eq(map_error(a, 100, 100), -EINVAL, "map: an unaligned offset");
	tap_eq(map_error(a, (1 << 20) - 4096, 4096), 0, "map: the last page");

	tap_eq(ivshmem_unmap(a, whole, 1 << 20), 0, "unmap a mapping");
	tap_eq(ivshmem_unmap(a, part + 1, 100), -EINVAL, "unmap: an unaligned address");
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
	test_sizes();
	test_map();
	return tap_done();
}
