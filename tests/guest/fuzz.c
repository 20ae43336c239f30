// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer of the driver's interface. It makes up short programs of operations on the
 * nodes of three devices and their files in sysfs and configfs. If the kernel has KCOV, it
 * keeps the programs that reach new code of the driver and varies them. Two processes do
 * this at once. In the second one another thread disturbs the programs, and one device is
 * disabled and enabled now and then.
 *
 * OPERATIONS= sets the number of operations, SEED= repeats the programs of another run.
 */
/* rig: devices=doorbell,plain vectors=4 size=4M modules=configfs mem=384 timeout=300 */
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fuzz_ops.h"
#include "labels.h"
#include "leaks.h"

#define KCOV "/sys/kernel/debug/kcov"
#define KCOV_INIT_TRACE _IOR('c', 1, unsigned long)
#define KCOV_ENABLE _IO('c', 100)
#define TRACE_WORDS (1 << 16)

#define PROCESSES 2
#define LENGTH 48		/* operations of a program at most */
#define CORPUS 1024
#define PLACES (1 << 14)	/* size of a table, far more than the driver has places */

struct program {
	unsigned int count;
	struct op ops[LENGTH];
};

/* The processes' results. */
static struct {
	unsigned long operations[PROCESSES];
	unsigned int corpus[PROCESSES];
	uint64_t places[PROCESSES][PLACES];
} *shared;

static uint64_t registers_offset;
static unsigned long goal;
static int process;

static void run_op(const struct op *o)
{
	op_run(o);
	__atomic_fetch_add(&shared->operations[process], 1, __ATOMIC_RELAXED);
}

/*
 * Programs
 */

static void make_program(struct program *p)
{
	p->count = 2 + below(LENGTH - 1);
	op_make(&p->ops[0], OP_OPEN);
	op_make(&p->ops[1], below(2) ? OP_MAP : op_draw_kind());
	for (unsigned int i = 2; i < p->count; i++)
		op_make(&p->ops[i], op_draw_kind());
}

/* Change one property. */
static void mutate(struct program *p, const struct program *with)
{
	struct op *o = &p->ops[below(p->count)];

	switch (below(8)) {
	case 0:
		op_make(o, op_draw_kind());
		break;
	case 1:
		if (p->count < LENGTH)
			op_make(&p->ops[p->count++], op_draw_kind());
		break;
	case 2:
		if (p->count > 1)
			*o = p->ops[--p->count];
		break;
	case 3:
		*o = with->ops[below(with->count)];
		break;
	case 4:
		o->offset = op_number();
		break;
	case 5:
		o->length = op_number();
		break;
	case 6:
		o->bits ^= 1u << below(32);
		break;
	default:
		if (below(2))
			o->data.words[below(40)] ^= 1u << below(32);
		else
			o->data.words[below(40)] = op_number();
	}
}

static void run_program(const struct program *p)
{
	for (unsigned int i = 0; i < p->count; i++)
		run_op(&p->ops[i]);
	ops_clean_up();
}

/*
 * Coverage
 */

/* Add a place in the driver's code to a table; was it new? */
static bool add_place(uint64_t *table, uint64_t place)
{
	unsigned int i = place * 0x9e3779b97f4a7c15ULL >> 50;

	while (table[i] && table[i] != place)
		i = (i + 1) % PLACES;
	if (table[i])
		return false;
	table[i] = place;
	return true;
}

static bool reached_new(const uint64_t *trace)
{
	bool any = false;

	for (uint64_t i = 1; i <= trace[0]; i++)
		any |= add_place(shared->places[process], trace[i]);
	return any;
}

static unsigned int count_places(void)
{
	static uint64_t all[PLACES];
	unsigned int count = 0;

	for (int i = 0; i < PROCESSES; i++)
		for (int j = 0; j < PLACES; j++)
			if (shared->places[i][j])
				count += add_place(all, shared->places[i][j]);
	return count;
}

/* The kernel's record of the driver's code that this thread reaches, or NULL. */
static uint64_t *trace_start(void)
{
	int fd = open(KCOV, O_RDWR | O_CLOEXEC);
	uint64_t *trace;

	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, TRACE_WORDS))
		return NULL;
	trace = mmap(NULL, TRACE_WORDS * sizeof(*trace), PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, 0);
	return trace == MAP_FAILED || ioctl(fd, KCOV_ENABLE, 0) ? NULL : trace;
}

/*
 * Processes
 */

static void thread_start(uint64_t seed)
{
	fuzz_seed(seed);
	ops_begin_thread();
	alarm_often();
}

static void *disturb(void *seed)
{
	struct op o;

	for (thread_start((uintptr_t)seed);;) {
		op_make(&o, op_draw_kind());
		run_op(&o);
	}
	return NULL;
}

static void fuzz(uint64_t *trace)
{
	static struct program corpus[CORPUS];
	unsigned int kept = 0;
	struct program p;

	while (__atomic_load_n(&shared->operations[process], __ATOMIC_RELAXED) < goal) {
		if (!kept || once_in(8)) {
			make_program(&p);
		} else {
			p = corpus[below(kept)];
			for (unsigned int i = below(4) + 1; i; i--)
				mutate(&p, &corpus[below(kept)]);
		}
		if (trace)
			__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
		run_program(&p);
		if (trace && reached_new(trace))
			corpus[kept < CORPUS ? kept++ : below(CORPUS)] = p;
	}
	shared->corpus[process] = kept;
}

static void fuzz_process(uint64_t seed)
{
	uint64_t *trace = trace_start();
	pthread_t other;

	guard();
	signal(SIGIO, SIG_IGN);
	ops_begin(process, registers_offset);
	/*
	 * A program may read into a device's mapping and beyond its end. New mappings lie
	 * below this guard page, so that such a read faults before it reaches other memory
	 * of this process.
	 */
	thread_start(seed + process);
	if (process && pthread_create(&other, NULL, disturb, (void *)(uintptr_t)~seed))
		tap_bail("pthread_create: %s", strerror(errno));
	fuzz(trace);
	_exit(0);
}

/* The plain device has slots for peers, for as long as its label stands the operations. */
static void make_label(void)
{
	struct ivshmem_label label = label_new(SIZE);
	int fd = dev_open_at("/dev/ivshmem1", O_RDWR);
	void *region = dev_map(fd, SIZE);

	label_add_peers(&label, 16, 4);
	label_store(region, &label);
	if (file_write("/sys/bus/ivshmem/devices/ivshmem1/rescan", "1"))
		tap_bail("the label is refused");
	munmap(region, SIZE);
	close(fd);
}

static void setup(void)
{
	int fd = dev_open();

	registers_offset = dev_region(fd, IVSHMEM_REGION_REGISTERS).offset;
	close(fd);
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	if (system("insmod /lib/ivshmem_soft.ko") || mkdir(CONFIG "idle", 0755) ||
	    mkdir(CONFIG "soft", 0755) || file_write(CONFIG "soft/size", "4M") ||
	    file_write(CONFIG "soft/enable", "1"))
		tap_bail("cannot create the software device: %s", strerror(errno));
	make_label();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Programs have written over the label, and this one has; then the machine has no slot. */
static void restore_label(int fd)
{
	make_label();
	for (int i = 0; dev_info(fd).id == IVSHMEM_ID_UNKNOWN; i++) {
		if (i == 600)
			tap_bail("the machine gets no slot");
		sleep_ms(100);
	}
}

/* Do all devices work? */
static void check_devices(void)
{
	for (int i = 0; i < DEVICES; i++) {
		char path[32];
		struct ivshmem_info info;
		size_t size;
		void *p;
		int fd;

		snprintf(path, sizeof(path), "/dev/ivshmem%d", i);
		fd = dev_open_at(path, O_RDWR);
		info = dev_info(fd);
		size = dev_size(fd);
		p = dev_map(fd, size);
		memset(p, 0, size);
		tap_eq(munmap(p, size), 0, "%s can be mapped", path);
		if (info.features & IVSHMEM_FEATURE_POLLED)
			restore_label(fd);
		if (info.vectors)
			tap_ok(!dev_ring_self(fd, 3) && dev_wait_vector(fd, 3, 60 * SECOND) > 0,
			       "%s can be rung", path);
		close(fd);
	}
}

int main(void)
{
	unsigned long operations = rig_said("RIG_OPERATIONS", rig_times(30000));
	unsigned long seed = rig_said("RIG_SEED", now_ns() % 1000000), done = 0;
	int64_t start = now_ns();
	pid_t pids[PROCESSES];
	unsigned int places;
	int status, died = 0;

	setup();
	leaks_begin();
	goal = operations / PROCESSES;
	for (process = 0; process < PROCESSES; process++) {
		pids[process] = fork();
		if (!pids[process])
			fuzz_process(seed);
	}
	for (int i = 0; i < PROCESSES; i++) {
		waitpid(pids[i], &status, 0);
		if (status)
			tap_note("seed %lu: process %d ended with 0x%x", seed, i, status);
		died += status != 0;
		done += shared->operations[i];
	}
	tap_eq(died, 0, "seed %lu: %lu operations, %lld a second", seed, done,
	       done * SECOND / (long long)(now_ns() - start));
	places = count_places();
	if (access(KCOV, F_OK))
		tap_skip("new places in the driver are reached", "the kernel has no KCOV");
	else
		tap_ok(places > 100, "%u places in the driver were reached, %u programs kept",
		       places, shared->corpus[0] + shared->corpus[1]);
	/* The process that disables and enables the device may have exited in between. */
	file_write(CONFIG "soft/enable", "1");
	check_devices();
	leaks_end("fuzz");
	tap_ok(!rmdir(CONFIG "soft") && !rmdir(CONFIG "idle"),
	       "the software device can be removed");
	tap_eq(system("rmmod ivshmem_soft && rmmod ivshmem"), 0,
	       "both modules can be unloaded");
	tap_eq(system("insmod /lib/ivshmem.ko"), 0, "ivshmem can be loaded again");
	return tap_done();
}
