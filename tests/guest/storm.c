// SPDX-License-Identifier: GPL-2.0-only
/*
 * One guest rings all vectors of another one without a pause, except one vector, which it
 * rings only after the other guest has slept for it and woken. The other guest must keep
 * working: its sleeper gets every doorbell, programs make progress, and the kernel reports
 * no stuck processor. The cost is printed, not judged.
 */
/* rig: guests=2 devices=doorbell vectors=16 size=1M smp=1 timeout=300 */
#include <pthread.h>
#include <sched.h>

#include "dev.h"

#define QUIET	15		/* the vector that is not stormed */
#define STORM	30		/* seconds: longer than a lockup takes to be reported */
#define CALM	3

static struct shared {
	volatile uint32_t id;		/* of the victim */
	volatile uint32_t turn;		/* odd: the attacker rang the quiet one */
	volatile uint32_t over;
} *shared;

static int fd;

/* The attacker */

static void attack(void)
{
	volatile uint32_t *regs = dev_map_registers(fd);
	uint32_t id = shared->id, rings;

	for (rings = 0; !shared->over; rings++) {
		regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(id, rings % QUIET);
		if (shared->turn % 2)
			continue;
		__atomic_store_n(&shared->turn, shared->turn + 1, __ATOMIC_RELEASE);
		regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(id, QUIET);
	}
	tap_ok(rings, "the attacker rang %u times", rings);
}

/* The victim */

static volatile bool enough;
static volatile uint64_t work;

static void *do_work(void *argument)
{
	while (!enough)
		work++;
	return argument;
}

/* Sleeps for the quiet vector again and again; counts wake-ups and lost ones. */
static void *sleep_often(void *argument)
{
	int *result = argument;	/* woken, missed */
	struct ivshmem_wait w;
	uint32_t turn;

	while (!enough) {
		turn = __atomic_load_n(&shared->turn, __ATOMIC_ACQUIRE);
		if (turn % 2) {
			result[0]++;
			sleep_ms(20);
			__atomic_store_n(&shared->turn, turn + 1, __ATOMIC_RELEASE);
			continue;
		}
		w = (struct ivshmem_wait){
			.flags = IVSHMEM_WAIT_WORD, .vector = QUIET,
			.offset = offsetof(struct shared, turn),
			.expected = turn, .timeout_ns = 60 * SECOND,
		};
		result[1] += dev_wait(fd, &w) != 0;
	}
	return NULL;
}

static unsigned long long interrupts(void)
{
	unsigned long long sum = 0, count;
	char path[80];
	FILE *file;

	for (int vector = 0; vector < QUIET; vector++) {
		snprintf(path, sizeof(path),
			 "/sys/class/ivshmem/ivshmem0/interrupts/%d", vector);
		file = fopen(path, "r");
		if (!file || fscanf(file, "%llu", &count) != 1)
			tap_bail("no count in %s", path);
		fclose(file);
		sum += count;
	}
	return sum;
}

/* The amount of work per second. */
static double work_rate(int seconds)
{
	int64_t start = now_ns();
	uint64_t before = work;

	sleep_ms(seconds * 1000L);
	return (work - before) * 1e9 / (now_ns() - start);
}

static void be_stormed(void)
{
	int result[2] = { 0 }, seconds = rig_times(STORM);
	pthread_t worker, sleeper;
	unsigned long long before;
	double calm, storm;
	int64_t start;

	pthread_create(&worker, NULL, do_work, NULL);
	calm = work_rate(CALM);
	pthread_create(&sleeper, NULL, sleep_often, result);
	rig_ask("barrier storm");
	start = now_ns();
	before = interrupts();
	storm = work_rate(seconds > CALM ? seconds : CALM);
	tap_ok(interrupts() > before, "%.0f interrupts a second, which leave %.0f %% of the work",
	       (interrupts() - before) * 1e9 / (now_ns() - start),
	       100 * storm / calm);
	enough = true;
	pthread_join(sleeper, NULL);
	pthread_join(worker, NULL);
	shared->over = 1;
	tap_eq(result[1], 0, "a sleeper for the quiet vector misses no doorbell");
	tap_ok(result[0] > 10, "the sleeper gets %d doorbells", result[0]);
}

int main(void)
{
	int me = rig_guest();

	fd = dev_open();
	if (!dev_interrupts(fd, "a storm of doorbells"))
		return tap_done();
	shared = dev_map(fd, 1 << 20);
	if (!me)
		shared->id = dev_info(fd).id;
	rig_ask("barrier id");
	if (me) {
		rig_ask("barrier storm");
		attack();
	} else {
		be_stormed();
	}
	return tap_done();
}
