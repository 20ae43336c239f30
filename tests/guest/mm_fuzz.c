// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer of mappings. Each system call that changes or reads a mapping walks the page
 * tables in its own way, and the kernel crashes if it meets entries that it does not
 * expect: with the huge entries that the driver once made, this test oopsed in
 * __split_huge_pmd() in less than a second (Linux 6.12, 7.3). Software devices have such
 * entries of pages that the kernel knows. Of the others the two smaller ones have struct
 * pages, as pages=auto makes them for a quarter of the machine's memory, and with them huge
 * entries, too. So processes with several threads make all these calls on regions of up to
 * 8 GiB, while the devices are unbound, bound and reset. The results do not matter: the
 * kernel must not complain, no process may hang, and the regions must work afterwards.
 *
 * OPERATIONS= sets the number of operations, SEED= repeats those of another run. After an
 * oops the parent would hang as well, so the guest panics at once.
 */
/*
 * rig: devices=plain,plain,plain,plain size=16M,1G,2560M,8G over=pci,window,memory
 * rig: bridges=yes mem=6144 append=oops=panic timeout=400
 */
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "mm_fuzz_ops.h"

#define DEVICES 4
#define THREADS 2		/* of a process */
#define PATIENCE (60 * SECOND)	/* after that, something hangs */
#define CONFIG "/sys/kernel/config/ivshmem/"

static struct device {
	uint64_t size;		/* each device has another */
	char pci[32];
	char switched[64];	/* the file that disables and enables it */
} devices[DEVICES];

static unsigned int count;
static unsigned long seed;
static long huge;		/* kilobytes that were in huge entries, at most */

static void devices_find(void)
{
	char path[64], node[16];

	for (int i = 0; i < DEVICES; i++) {
		struct device *d = &devices[count];
		int file;

		snprintf(node, sizeof(node), "ivshmem%d", i);
		snprintf(path, sizeof(path), "/dev/%s", node);
		if (access(path, F_OK))
			continue;
		file = dev_open_at(path, O_RDWR);
		d->size = dev_size(file);
		close(file);
		snprintf(d->switched, sizeof(d->switched), CONFIG "%s/enable", node);
		snprintf(d->pci, sizeof(d->pci), "%s", dev_pci(i));
		count++;
	}
}

static int device_off(const struct device *d)
{
	return rig_over("pci") ? file_write(PCI_DRIVER "unbind", d->pci) :
				 file_write(d->switched, "0");
}

static int device_on(const struct device *d)
{
	return rig_over("pci") ? file_write(PCI_DRIVER "bind", d->pci) :
				 file_write(d->switched, "1");
}

/*
 * The processes
 */

static void *work(void *number)
{
	fuzz_seed(seed * 1000 + (uintptr_t)number);
	alarm_often();
	while (!shared->stop)
		mm_run_one();
	return NULL;
}

static void fuzz(unsigned int number, uint64_t size)
{
	pthread_t threads[THREADS];

	mm_begin(size);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(number * THREADS + i)))
			_exit(3);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void process_start(unsigned int slot)
{
	static unsigned int number;
	pid_t pid = fork();

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		fuzz(number, devices[slot % count].size);
	number++;
	shared->pids[slot] = pid;
}

/* Did a process end as it should? */
static bool process_ended(unsigned int slot, bool killed)
{
	int64_t end = now_ns() + PATIENCE;
	pid_t pid = shared->pids[slot];
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_ns() > end)
			tap_bail("seed %lu: process %u hangs", seed, slot);
		sleep_ms(5);
	}
	if (!status || (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return true;
	tap_note("seed %lu: process %u ended with 0x%x", seed, slot, status);
	return false;
}

/*
 * Disturbances
 */

static int switch_device(struct device *d)
{
	char path[96];

	/* Zeroing gigabytes takes long. */
	if (rig_over("memory") && d->size > 64 * MIB && !once_in(16))
		return 0;
	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", d->pci);
	if (once_in(2) && !access(path, F_OK))
		return file_write(path, "1");
	if (device_off(d))
		return -EIO;
	sleep_ms(below(30));
	return device_on(d);
}

/* Go on until @goal operations are done; gives the number of failures. */
static unsigned int disturb(unsigned long goal)
{
	unsigned long last = 0;
	int64_t progress = now_ns();
	unsigned int wrong = 0, slot;
	int ret;

	while (shared->operations < goal) {
		sleep_ms(below(100));
		if (huge_entries_kb() > huge)
			huge = huge_entries_kb();
		if (shared->operations != last)
			progress = now_ns();
		else if (now_ns() > progress + PATIENCE)
			tap_bail("seed %lu: no process makes progress", seed);
		last = shared->operations;
		if (once_in(8)) {
			slot = below(PROCESSES);
			kill(shared->pids[slot], SIGKILL);
			wrong += !process_ended(slot, true);
			process_start(slot);
		} else {
			slot = below(count);
			ret = switch_device(&devices[slot]);
			if (ret)
				tap_note("device %u did not come back: %d", slot, ret);
			wrong += ret != 0;
		}
	}
	return wrong;
}

/* End the processes: half of them exit by themselves, the others are killed. */
static unsigned int processes_end(void)
{
	unsigned int wrong = 0;

	shared->stop = true;
	for (int i = 0; i < PROCESSES; i += 2)
		kill(shared->pids[i], SIGKILL);
	for (int i = 0; i < PROCESSES; i++)
		wrong += !process_ended(i, !(i % 2));
	return wrong;
}

/*
 * Afterwards
 */

static void check_device(const struct device *d)
{
	const uint64_t step = 2 * MIB + PAGE;
	int file = mm_open_device(d->size);
	unsigned int wrong = 0;
	uint64_t word;
	char *p;

	if (!tap_ok(file >= 0, "the device of %llu MiB can be opened", d->size / MIB))
		return;
	p = dev_map(file, d->size);
	for (uint64_t at = 0; at < d->size; at += step)
		*(volatile uint64_t *)(p + at) = ~at;
	munmap(p, d->size);
	p = dev_map(file, d->size);
	for (uint64_t at = 0; at < d->size; at += step) {
		bool mapped = *(volatile uint64_t *)(p + at) == ~at;
		bool read = pread(file, &word, sizeof(word), at) == sizeof(word) && word == ~at;

		if ((!mapped || !read) && !wrong++)
			tap_note("the %s at 0x%llx is wrong", mapped ? "file" : "mapping",
				 (unsigned long long)at);
	}
	tap_eq(wrong, 0, "the device of %llu MiB shows what was written", d->size / MIB);
	munmap(p, d->size);
	close(file);
}

int main(void)
{
	unsigned long operations = rig_said("RIG_OPERATIONS", rig_times(40000));
	int64_t start = now_ns();
	unsigned int wrong;

	seed = rig_said("RIG_SEED", now_ns() % 1000000);
	fuzz_seed(seed);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	file_write("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	devices_find();
	if (count < DEVICES)
		tap_skip("a device of 8 GiB", "it is more than half of the guest's memory");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; i < PROCESSES; i++)
		process_start(i);
	wrong = disturb(operations);
	tap_eq(wrong, 0, "seed %lu: all devices came back", seed);
	if (dev_huge_entries("the calls met huge entries"))
		tap_ok(huge > 0, "the calls met huge entries: of %ld MiB at once", huge >> 10);
	tap_eq(processes_end(), 0, "all processes ended: %lu operations, %lld a second",
	       shared->operations, shared->operations * SECOND / (long long)(now_ns() - start));
	for (unsigned int i = 0; i < count; i++)
		check_device(&devices[i]);
	return tap_done();
}
