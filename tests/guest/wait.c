// SPDX-License-Identifier: GPL-2.0-only
/* WAIT, a futex between machines: words, timeouts, sets, spinning and signals. */
/* rig: devices=doorbell vectors=4 size=1M over=pci,memory,polled */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "dev.h"

static int fd;
static int witness;	/* another open file, with counts of its own */
static volatile uint32_t *word;
static volatile sig_atomic_t signals;

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

/*
 * Ring and wait until the doorbell has fired, as two in quick succession become one.
 * Where each open file is a peer, it has fired when the call returns.
 */
static void ring_apart(uint32_t vector)
{
	dev_wait_vector(witness, vector, 0);	/* earlier doorbells */
	dev_ring_self(fd, vector);
	if (dev_info(fd).id == dev_info(witness).id &&
	    dev_wait_vector(witness, vector, 5 * SECOND) != 1)
		tap_bail("the doorbell of vector %u is lost", vector);
}

/* What a second thread does to the first after a while. */
struct act {
	pthread_t thread;
	void (*what)(struct act *act);
	pthread_t first;
	long ms;
};

static void *act_run(void *arg)
{
	struct act *act = arg;

	sleep_ms(act->ms);
	act->what(act);
	return NULL;
}

static void act_after(struct act *act, long ms, void (*what)(struct act *act))
{
	*act = (struct act){ .what = what, .first = pthread_self(), .ms = ms };
	if (pthread_create(&act->thread, NULL, act_run, act))
		tap_bail("no second thread");
}

static void act_end(struct act *act)
{
	pthread_join(act->thread, NULL);
}

static void do_ring(struct act *act)
{
	(void)act;
	dev_ring_self(fd, 1);
}

static void do_change_and_ring(struct act *act)
{
	(void)act;
	*word = 2;
	dev_ring_self(fd, 1);
}

static void do_change(struct act *act)
{
	(void)act;
	*word = 3;
}

static void do_signal(struct act *act)
{
	pthread_kill(act->first, SIGUSR1);
}

static void do_signal_then_ring(struct act *act)
{
	do_signal(act);
	sleep_ms(100);
	dev_ring_self(fd, 1);
}

static void test_events(void)
{
	struct ivshmem_wait w = { .vector = 1, .timeout_ns = 5 * SECOND };
	struct act act;

	act_after(&act, 50, do_ring);
	tap_eq(dev_wait(fd, &w), 0, "a doorbell ends the wait");
	tap_eq(w.count, 1, "it is counted once");
	tap_eq(w.result, IVSHMEM_RESULT_SIGNALLED, "the result says that it was signalled");
	tap_eq(w.signalled_vector, 1, "and which vector");
	act_end(&act);

	for (int i = 0; i < 3; i++)
		ring_apart(2);
	tap_eq(dev_wait_vector(fd, 2, 0), 3, "three spaced rings are counted");
	tap_eq(dev_wait_vector(fd, 2, 0), -ETIMEDOUT, "and reported once");
	dev_ring_self(fd, 3);
	tap_eq(dev_wait_vector(fd, 2, SECOND / 20), -ETIMEDOUT,
	       "another vector does not end the wait");
	tap_eq(dev_wait_vector(fd, 3, SECOND), 1, "it is not lost either");
}

static void test_set(void)
{
	uint64_t counts[4] = { 9, 9, 9, 9 }, set = 0xd, signalled = 9;
	struct ivshmem_wait w = {
		.flags = IVSHMEM_WAIT_SET, .set = (uintptr_t)&set, .timeout_ns = 5 * SECOND,
		.signalled_set = (uintptr_t)&signalled, .counts = (uintptr_t)counts,
		.nbits = 4,
	};

	ring_apart(1);
	ring_apart(2);
	ring_apart(3);
	tap_eq(dev_wait(fd, &w), 0, "wait for a set");
	tap_eq(signalled, 0xc, "the vectors of the set that were signalled");
	tap_eq(w.signalled_vector, 2, "the lowest of them");
	tap_eq(w.count, 1, "and its count");
	tap_eq(set, 0xd, "what was asked for is unchanged");
	tap_ok(counts[0] == 0 && counts[1] == 0 && counts[2] == 1 && counts[3] == 1,
	       "the counts of each");
	tap_eq(dev_wait_vector(fd, 1, SECOND), 1, "a vector outside the set is left");

	struct act act;

	set = 0xf;
	w = dev_set_wait(&set, 5 * SECOND);
	act_after(&act, 50, do_ring);
	tap_eq(dev_wait(fd, &w), 0, "sleep for a set, without its outputs");
	tap_eq(w.signalled_vector, 1, "woken by its one vector");
	act_end(&act);
}

static struct ivshmem_wait word_wait(uint32_t expected, int64_t timeout)
{
	return (struct ivshmem_wait){
		.flags = IVSHMEM_WAIT_WORD, .vector = 1, .offset = 4096,
		.expected = expected, .timeout_ns = timeout,
	};
}

static void test_word(void)
{
	struct ivshmem_wait w;
	struct act act;

	*word = 1;
	w = word_wait(0, -1);
	tap_eq(dev_wait(fd, &w), 0, "a word that differs ends the wait at once");
	tap_eq(w.result, IVSHMEM_RESULT_CHANGED, "the result says so");
	tap_eq(w.count, 0, "nothing was signalled");
	w = word_wait(1, SECOND / 20);
	tap_eq(dev_wait(fd, &w), -ETIMEDOUT, "a word as expected sleeps");
	w = word_wait(1, 5 * SECOND);
	act_after(&act, 50, do_change_and_ring);
	tap_eq(dev_wait(fd, &w), 0, "change and ring end it");
	tap_eq(w.result, IVSHMEM_RESULT_SIGNALLED | IVSHMEM_RESULT_CHANGED, "both are reported");
	act_end(&act);

	w = word_wait(2, 5 * SECOND);
	w.spin_ns = IVSHMEM_MAX_SPIN_NS;
	act_after(&act, 50, do_change);
	tap_eq(dev_wait(fd, &w), 0, "spinning sees a change without a doorbell");
	tap_eq(w.result, IVSHMEM_RESULT_CHANGED, "the result says so");
	act_end(&act);
	w = word_wait(3, 5 * SECOND);
	w.spin_ns = 1000;
	act_after(&act, 50, do_change_and_ring);
	tap_eq(dev_wait(fd, &w), 0, "a short spin is followed by sleep");
	act_end(&act);
}

static void test_timeouts(void)
{
	struct ivshmem_wait w = { .vector = 0, .timeout_ns = SECOND / 10 };
	int64_t start = now_ns();

	tap_eq(dev_wait(fd, &w), -ETIMEDOUT, "a relative timeout");
	tap_ok(now_ns() - start >= SECOND / 10, "is not too early");
	start = now_ns();
	w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_ABSTIME,
				   .timeout_ns = start + SECOND / 10 };
	tap_eq(dev_wait(fd, &w), -ETIMEDOUT, "an absolute timeout");
	tap_ok(now_ns() - start >= SECOND / 10, "is not too early");
	w.timeout_ns = 1;
	tap_eq(dev_wait(fd, &w), -ETIMEDOUT, "an absolute time long past");
	w = (struct ivshmem_wait){ .timeout_ns = SECOND / 20,
				   .spin_ns = IVSHMEM_MAX_SPIN_NS };
	start = now_ns();
	tap_eq(dev_wait(fd, &w), -ETIMEDOUT, "spinning is part of the timeout");
	tap_ok(now_ns() - start < (int64_t)IVSHMEM_MAX_SPIN_NS, "and ends with it");
}

/* None of these is over soon. */
static void test_longest_timeouts(void)
{
	static const int64_t longest[] = { INT64_MAX, INT64_MIN };
	struct act act;

	dev_wait_vector(fd, 1, 0);
	for (uint32_t i = 0; i < 4; i++) {
		struct ivshmem_wait w = { .flags = i / 2 ? IVSHMEM_WAIT_ABSTIME : 0, .vector = 1,
					  .timeout_ns = longest[i % 2] };

		act_after(&act, 100, do_ring);
		tap_eq(dev_wait(fd, &w), 0, "%s timeout of %lld", i / 2 ? "absolute" : "relative",
		       (long long)longest[i % 2]);
		act_end(&act);
	}
}

static void test_signals(void)
{
	struct sigaction restart = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction plain = { .sa_handler = on_signal };
	struct ivshmem_wait w = { .vector = 1, .timeout_ns = -1 };
	struct act act;

	sigaction(SIGUSR1, &plain, NULL);
	act_after(&act, 50, do_signal);
	tap_eq(dev_wait(fd, &w), -EINTR, "a signal ends the wait");
	act_end(&act);

	sigaction(SIGUSR1, &restart, NULL);
	act_after(&act, 50, do_signal_then_ring);
	tap_eq(dev_wait(fd, &w), 0, "with SA_RESTART it goes on until the doorbell");
	tap_eq(signals, 2, "both signals were handled");
	act_end(&act);
	w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_ABSTIME, .vector = 1,
				   .timeout_ns = now_ns() + 60 * SECOND };
	act_after(&act, 50, do_signal_then_ring);
	tap_eq(dev_wait(fd, &w), 0, "so does an absolute timeout");
	act_end(&act);

	w = (struct ivshmem_wait){ .vector = 1, .timeout_ns = 60 * SECOND };
	act_after(&act, 50, do_signal);
	tap_eq(dev_wait(fd, &w), -EINTR, "with a duration it does not begin again");
	tap_eq(w.timeout_ns, 60 * SECOND, "and the structure is unchanged");
	act_end(&act);
}

/* A structure that was used before rings like any other. */
static void test_interrupted_ring(void)
{
	struct ivshmem_wait w = { .vector = 1, .timeout_ns = -1 };
	uint32_t id = dev_info(fd).id;
	struct act act;

	act_after(&act, 100, do_signal);
	tap_eq(dev_ring_wait(fd, id, 3, &w), -EINTR, "a signal ends a wait that rang");
	act_end(&act);
	tap_eq(dev_wait_vector(fd, 3, 5 * SECOND), 1, "it rang once");
	tap_eq(w.flags, IVSHMEM_WAIT_RING, "and remembers nothing");
	w.timeout_ns = SECOND / 20;
	tap_eq(dev_ring_wait(fd, id, 2, &w), -ETIMEDOUT, "the same structure for another vector");
	tap_eq(dev_wait_vector(fd, 2, 5 * SECOND), 1, "rings it");
	tap_eq(dev_wait_vector(fd, 3, 0), -ETIMEDOUT, "and not the first again");
}

/* A container may have a different clock. */
static void test_other_clock(void)
{
	struct ivshmem_wait w = { .flags = IVSHMEM_WAIT_ABSTIME };
	int status = -1;
	pid_t pid;

	if (unshare(CLONE_NEWTIME)) {
		tap_skip("a time in a time namespace", "this kernel has none");
		return;
	}
	tap_eq(file_write("/proc/self/timens_offsets", "monotonic 86400 0"), 0,
	       "a clock that is a day ahead");
	pid = fork();
	if (!pid) {
		alarm(20);
		w.timeout_ns = now_ns() + SECOND / 10;
		if (dev_wait(fd, &w) != -ETIMEDOUT)
			_exit(1);
		_exit(now_ns() < w.timeout_ns);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "a time in a time namespace: neither too early nor a day late");
}

/* If the result cannot be written, nothing is taken: the next call reports it. */
static void test_read_only(void)
{
	const size_t page = getpagesize();
	struct ivshmem_wait *read_only = mmap(NULL, page, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t set = 0x6;
	struct ivshmem_wait w = dev_set_wait(&set, 0);

	if (read_only == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	w.counts = (uintptr_t)read_only;
	*read_only = (struct ivshmem_wait){
		.flags = IVSHMEM_WAIT_RING, .ring_peer = dev_info(fd).id, .ring_vector = 3,
		.vector = 1,
	};
	mprotect(read_only, page, PROT_READ);
	dev_wait_vector(fd, 1, 0);	/* doorbells of earlier points */
	ring_apart(1);
	tap_eq(dev_wait(fd, read_only), -EFAULT, "a structure that is read-only");
	tap_eq(dev_wait_vector(fd, 1, 0), 1, "it loses no doorbell");
	tap_eq(dev_wait_vector(fd, 3, SECOND), 1, "and rings once");
	ring_apart(1);
	ring_apart(2);
	tap_eq(dev_wait(fd, &w), -EFAULT, "a set with counts that are read-only");
	tap_eq(dev_wait_vector(fd, 1, 0), 1, "it loses no doorbell of the first vector");
	tap_eq(dev_wait_vector(fd, 2, 0), 1, "and none of the second");
	munmap(read_only, page);
}

int main(void)
{
	fd = dev_open();
	if (!dev_interrupts(fd, "WAIT"))
		return tap_done();
	witness = dev_open();
	word = (uint32_t *)((char *)dev_map(fd, 1 << 20) + 4096);
	test_events();
	test_set();
	test_word();
	test_read_only();
	test_timeouts();
	test_longest_timeouts();
	test_signals();
	test_interrupted_ring();
	test_other_clock();
	return tap_done();
}
