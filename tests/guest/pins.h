/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ways to pin pages of a mapping: pin() gives false, and errno, where the kernel cannot. kept()
 * looks whether the bytes are still there, after the device has gone or something else has come
 * to pass, and gives the pages back.
 */
#ifndef PINS_H
#define PINS_H

#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "dev.h"
#include "guarded.h"
#include "hardware.h"
#include "pattern.h"
#include "uring.h"

#define SIZE (4UL << 20)	/* of the device */
#define PART (64UL << 10)	/* what a pipe holds */
#define DISK "/dev/vda"
#define CORE_BEGUN "/tmp/core-begun"
#define CORE_READ "/tmp/core-read"

static int device;		/* file descriptor */
static char *map;		/* of the device */
static char bytes[SIZE];	/* what was in it */
static bool ended;		/* the device is gone before kept() looks */

static int ends[2];

static bool pipe_pin(void)
{
	struct iovec part = { map, PART };

	return !pipe(ends) && vmsplice(ends[1], &part, 1, 0) == (ssize_t)PART;
}

static bool pipe_kept(void)
{
	static char there[PART];
	size_t done = 0;
	ssize_t n;

	while (done < PART && (n = read(ends[0], there + done, PART - done)) > 0)
		done += n;
	close(ends[0]);
	close(ends[1]);
	return done == PART && !memcmp(there, bytes, PART);
}

static struct uring ring;

static bool uring_pin(void)
{
	const struct iovec all = { map, SIZE };
	int ret = uring_open(&ring, 0, 0);

	if (!ret) {
		ret = uring_register(&ring, &all);
		if (ret)
			uring_close(&ring);
	}
	errno = -ret;
	return !ret;
}

static bool uring_kept(void)
{
	static char there[SIZE];
	int file = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int ret = uring_do(&ring, uring_request(IORING_OP_WRITE_FIXED, file, map, SIZE, 0));
	bool same = ret == (int)SIZE && pread(file, there, SIZE, 0) == (ssize_t)SIZE &&
		    !memcmp(there, bytes, SIZE);

	uring_close(&ring);
	close(file);
	unlink("/tmp/file");
	return same;
}

static pthread_t writer;
static int disk;

/* Requests that a disk has not answered yet. */
static unsigned int in_flight(void)
{
	FILE *file = fopen("/sys/block/vda/inflight", "r");
	unsigned int reads = 0, writes = 0;

	if (!file || fscanf(file, "%u %u", &reads, &writes) != 2)
		writes = 0;
	if (file)
		fclose(file);
	return writes;
}

static void *write_disk(void *unused)
{
	(void)unused;
	return (void *)pwrite(disk, map, SIZE, 0);
}

static bool direct_pin(void)
{
	int64_t end = now_ns() + SECOND;

	disk = open(DISK, O_RDWR | O_DIRECT);
	if (disk < 0 || pthread_create(&writer, NULL, write_disk, NULL))
		return false;
	while (!in_flight() && now_ns() < end)
		;
	return true;
}

/* It has written all, or up to a page that it had not pinned yet. */
static bool direct_kept(void)
{
	static char there[SIZE] __attribute__((aligned(4096)));
	void *done;

	pthread_join(writer, &done);
	if (pread(disk, there, SIZE, 0) != (ssize_t)SIZE)
		return false;
	close(disk);
	if ((ssize_t)done < 0)
		return (ssize_t)done == -1;
	return !memcmp(there, bytes, (size_t)done);
}

static bool mlock_pin(void)
{
	return !mlock(map, SIZE);
}

static bool mlock_kept(void)
{
	return !munlock(map, SIZE);
}

static pid_t child;
static int told[2];

/* What an access to the mapping raises. */
static int wanted_signal(void)
{
	return ended ? SIGBUS : 0;
}

/* A child has the mapping as well; it must see the end, too. */
static bool fork_pin(void)
{
	char byte;

	if (pipe(told))
		return false;
	child = fork();
	if (!child) {
		close(told[1]);
		touch(map, false);
		if (read(told[0], &byte, 1))
			_exit(1);
		_exit(touch(map, false) != wanted_signal() ||
		      touch(map + SIZE - 1, false) != wanted_signal());
	}
	close(told[0]);
	return child > 0;
}

static bool fork_kept(void)
{
	int status = -1;

	close(told[1]);
	return waitpid(child, &status, 0) == child && !status;
}

/* A debugger reads and writes the mapping of a process that it has stopped. */
static bool ptrace_pin(void)
{
	int status;

	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	       !memcmp(&(long){ ptrace(PTRACE_PEEKDATA, child, map, NULL) }, bytes, sizeof(long));
}

static bool ptrace_kept(void)
{
	long word = 0;
	bool read, written;

	memcpy(&word, bytes, sizeof(word));
	errno = 0;
	read = ptrace(PTRACE_PEEKDATA, child, map, NULL) == word && !errno;
	written = !ptrace(PTRACE_POKEDATA, child, map, word);
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == child && read == !ended && written == !ended;
}

/* Another process reads the mapping all the time. */
static bool remote_pin(void)
{
	static char there[SIZE];
	struct iovec here = { there, SIZE }, remote = { map, SIZE };
	pid_t parent = getpid();
	char byte;

	if (pipe(told))
		return false;
	child = fork();
	if (!child) {
		bool first = true;
		ssize_t n;

		while ((n = process_vm_readv(parent, &here, 1, &remote, 1, 0)) == (ssize_t)SIZE) {
			if (first && write(told[1], "", 1) != 1)
				_exit(1);
			first = false;
			/* Nothing holds back who reads pinned pages during a reset. */
			if (ended && memcmp(there, bytes, SIZE))
				_exit(2);
		}
		_exit(first);
	}
	close(told[1]);
	return read(told[0], &byte, 1) == 1;
}

static bool remote_kept(void)
{
	int status = -1;

	close(told[0]);
	if (ended)
		return waitpid(child, &status, 0) == child && !status;
	kill(child, SIGKILL);
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status);
}

/*
 * A process that dies dumps core into a pipe that nobody reads for now. Its memory stays as long:
 * not in the dump, which leaves device memory out, but mapped.
 */
static bool core_pin(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int64_t end = now_ns() + 10 * SECOND;
	char program[64], pattern[80];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	unlink(CORE_READ);
	unlink(CORE_BEGUN);
	snprintf(pattern, sizeof(pattern), "|%.*s " CORE_BEGUN, (int)n, program);
	if (n < 0 || file_write("/proc/sys/kernel/core_pattern", pattern))
		return false;
	child = fork();
	if (!child) {
		setrlimit(RLIMIT_CORE, &all);
		touch(map, false);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	while (access(CORE_BEGUN, F_OK) && now_ns() < end)
		sleep_ms(10);
	return !access(CORE_BEGUN, F_OK);
}

static bool core_kept(void)
{
	int status = -1;

	close(open(CORE_READ, O_WRONLY | O_CREAT, 0600));
	return waitpid(child, &status, 0) == child && WCOREDUMP(status);
}

/* What the kernel starts to read a dump says that it is there, and waits. */
static inline void core_reader(int argc, char **argv)
{
	static char dump[65536];

	if (argc != 2 || strcmp(argv[1], CORE_BEGUN))
		return;
	close(open(CORE_BEGUN, O_WRONLY | O_CREAT, 0600));
	while (access(CORE_READ, F_OK))
		sleep_ms(10);
	while (read(STDIN_FILENO, dump, sizeof(dump)) > 0)
		;
	exit(0);
}

static int hardware;

static bool hardware_pin(unsigned long kind)
{
	int buffer = buffer_export(device, 0, SIZE);

	hardware = buffer < 0 ? buffer : hardware_map(buffer, kind);
	close(buffer);
	errno = -hardware;
	return hardware >= 0;
}

static bool static_pin(void)
{
	return hardware_pin(IMPORTER_STATIC);
}

static bool dynamic_pin(void)
{
	return hardware_pin(IMPORTER_DYNAMIC);
}

static bool hardware_kept(void)
{
	bool same = hardware_reads(hardware, bytes, SIZE);

	close(hardware);
	return same;
}

static const struct pin {
	const char *name;
	bool (*pin)(void);
	bool (*kept)(void);
	bool bytes;	/* kept() looks at the memory itself, not at a mapping */
} pins[] = {
	{ "a pipe", pipe_pin, pipe_kept, true },
	{ "buffers of io_uring", uring_pin, uring_kept, true },
	{ "O_DIRECT in flight", direct_pin, direct_kept, true },
	{ "mlock", mlock_pin, mlock_kept, false },
	{ "a child", fork_pin, fork_kept, false },
	{ "a debugger", ptrace_pin, ptrace_kept, false },
	{ "process_vm_readv", remote_pin, remote_kept, true },
	{ "a core dump", core_pin, core_kept, false },
	{ "hardware", static_pin, hardware_kept, true },
	{ "hardware that is asked to let go", dynamic_pin, hardware_kept, true },
};

#define PINS (sizeof(pins) / sizeof(*pins))

/* The beginning of main(). */
static inline void pins_begin(int argc, char **argv)
{
	core_reader(argc, argv);
	guard();
	if (hardware_exists() && hardware_load())
		tap_bail("the importer cannot be loaded");
}

/* The end of it. */
static inline int pins_done(void)
{
	tap_about("");
	if (hardware_exists())
		tap_eq(hardware_unload(), 0, "the importer can be unloaded");
	return tap_done();
}

/* Map a device that was just opened, with the bytes of a number. */
static inline void pins_map(int fd, unsigned int number)
{
	device = fd;
	map = dev_map(fd, SIZE);
	pattern_write(bytes, SIZE, number);
	memcpy(map, bytes, SIZE);
}

/* Does the mapping show what was written, and can it be written? */
static inline bool mapping_is_good(void)
{
	return !touch(map, false) && !memcmp(map, bytes, SIZE) && put(map, bytes, SIZE);
}

/* Is there a kernel that cannot pin like this, and is it this one? */
static bool may_lack(const struct pin *way)
{
	if (way->pin == uring_pin)
		return uring_lacks_buffers(-errno);
	if (way->pin == direct_pin)
		return !disk_should_be();
	return way->kept == hardware_kept && !hardware_exists();
}

/* Pin pages in one way; false if this kernel lacks it. Whatever else fails ends the test. */
static inline bool try_pin(const struct pin *way)
{
	if (way->pin())
		return true;
	if (!may_lack(way))
		tap_bail("%s cannot pin: %s", way->name, strerror(errno));
	return false;
}

/* Can this kernel pin pages of a device in this way? */
static inline bool can_pin(const struct pin *way, int fd)
{
	bool can;

	pins_map(fd, 0);
	can = try_pin(way);
	if (can)
		way->kept();
	munmap(map, SIZE);
	return can;
}

/* @happen: 0, or it did not come to pass */
static inline bool survives(const struct pin *way, int fd, int number, int (*happen)(void))
{
	bool happened, mapped, kept;

	pins_map(fd, number);
	if (!way->pin())
		tap_bail("%s cannot pin any more", way->name);
	happened = !happen();
	mapped = mapping_is_good();
	kept = way->kept();
	munmap(map, SIZE);
	if (!happened || !mapped || !kept)
		tap_note("it %s, the mapping is %s, the pinned pages are %s",
			 happened ? "came to pass" : "failed", mapped ? "good" : "bad",
			 kept ? "good" : "bad");
	return happened && mapped && kept;
}

/*
 * The device stays while something happens to it with pages pinned in each way. There is no
 * disk: the machine does not sleep before a transfer by O_DIRECT is over, and QEMU's disk stops
 * for good if the memory that it shall read from is missing at that moment.
 */
static inline void pins_survive(int fd, int cycles, int (*happen)(void), const char *what)
{
	for (size_t i = 0; i < PINS; i++) {
		int wrong = 0;

		if (pins[i].pin == direct_pin)
			continue;
		if (!can_pin(&pins[i], fd)) {
			tap_skip(pins[i].name, "this kernel has no such thing");
			continue;
		}
		for (int n = 0; n < cycles; n++)
			wrong += !survives(&pins[i], fd, n, happen);
		tap_eq(wrong, 0, "%s: mapping and pages are as they were after %d times %s",
		       pins[i].name, cycles, what);
	}
}

#endif
