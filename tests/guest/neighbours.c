// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices side by side: when one goes, the other keeps its struct pages. On some kernels
 * both cannot have their own, and then the second one does without.
 */
/* rig: devices=plain size=4M over=window timeout=120 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "dev.h"
#include "guarded.h"
#include "pattern.h"

#define CONFIG "/sys/kernel/config/ivshmem/"
#define SIZE (2UL << 20)
#define PART (64UL << 10)	/* what a pipe holds */

static char addresses[2][32];
static const char * const names[2] = { "left", "right" };

static const char *config(const char *name, const char *file)
{
	static char path[80];

	snprintf(path, sizeof(path), CONFIG "%s/%s", name, file);
	return path;
}

/* The device of the rig gives its place to the two of the test. */
static void take_place(void)
{
	FILE *file = fopen(CONFIG "ivshmem0/address", "r");
	long long address;

	if (!file || fscanf(file, "%lli", &address) != 1)
		tap_bail("the window has no address");
	fclose(file);
	for (int i = 0; i < 2; i++)
		snprintf(addresses[i], sizeof(addresses[i]), "%#llx",
			 address + i * (long long)SIZE);
	rmdir(CONFIG "ivshmem0");
}

static void make(int which)
{
	const char *name = names[which];

	if (mkdir(config(name, ""), 0755) || file_write(config(name, "size"), "2M") ||
	    file_write(config(name, "address"), addresses[which]) ||
	    file_write(config(name, "enable"), "1"))
		tap_bail("the %s device cannot be made: %s", name, strerror(errno));
}

static bool destroy(int which)
{
	return !rmdir(config(names[which], ""));
}

/* Must this kernel be able to give both struct pages of their own? */
static bool must_have_both(void)
{
#ifdef __x86_64__
	return true;
#else
	return PAGE == 4096 && kernel_since(6, 12);
#endif
}

/* Does the mapping have its bytes, and can they be written? With pages, can these be pinned? */
static bool works(char *map, int number, bool pages)
{
	static char bytes[SIZE], piped[PART];
	struct iovec part = { map + SIZE - PART, PART };
	ssize_t done = 0, n;
	int ends[2];

	pattern_write(bytes, SIZE, number);
	if (touch(map, false) || memcmp(map, bytes, SIZE) || !put(map, bytes, SIZE))
		return false;
	if (!pages)
		return true;
	if (pipe(ends) || vmsplice(ends[1], &part, 1, 0) != (ssize_t)PART)
		return false;
	while (done < (ssize_t)PART && (n = read(ends[0], piped + done, PART - done)) > 0)
		done += n;
	close(ends[0]);
	close(ends[1]);
	return done == (ssize_t)PART && !memcmp(piped, map + SIZE - PART, PART);
}

/* The device that was made first goes, and the other one is used; then that goes, too. */
static void test_order(int first)
{
	int other = !first, fds[2], number;
	bool pages;
	char *map, *gone;

	tap_about(first ? "the right one first" : "the left one first");
	make(first);
	fds[0] = dev_open();
	make(other);
	fds[1] = dev_open_at("/dev/ivshmem1", O_RDWR);
	tap_ok(dev_has_pages(fds[0]), "the first device has struct pages");
	pages = dev_has_pages(fds[1]);
	tap_ok(pages || !must_have_both(), "the second one %s", pages ? "has some" : "has none");
	if (!pages)
		tap_ok(rig_try("expect-log no struct pages for this region: .* beside it"),
		       "the log tells why");
	number = 2 + first;
	map = dev_map(fds[1], SIZE);
	pattern_write(map, SIZE, number);
	gone = dev_map(fds[0], SIZE);
	touch(gone, true);
	tap_ok(destroy(first), "the first device goes");
	tap_ok(works(map, number, pages), "the second one keeps its bytes and pages");
	munmap(gone, SIZE);
	close(fds[0]);
	make(first);
	fds[0] = dev_open();
	tap_ok(dev_has_pages(fds[0]), "the first device comes back with struct pages");
	tap_ok(works(map, number, pages), "the second one still has its bytes and pages");
	close(fds[0]);
	close(fds[1]);
	tap_ok(destroy(other) && destroy(first), "both go");
	tap_ok(touch(map, false) == SIGBUS, "the mapping ends");
	munmap(map, SIZE);
}

int main(void)
{
	int fd = dev_open();

	guard();
	if (!dev_pages(fd, "struct pages of neighbours"))
		return tap_done();
	close(fd);
	take_place();
	for (int first = 0; first < 2; first++)
		test_order(first);
	return tap_done();
}
