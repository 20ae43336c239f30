// SPDX-License-Identifier: GPL-2.0-only
/*
 * Polled doorbells: what interrupts do for a doorbell device, counters in memory do for plain
 * ones with a label. All ways to wait for one work, nothing that was rung is lost, and nobody
 * looks at the counters while nobody waits.
 */
/* rig: devices=plain,plain size=1M over=pci,window timeout=240 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "bells.h"

#define CLASS "/sys/class/ivshmem/"
#define TURNS 1000
/* The driver looks less often after ten seconds without a doorbell. */
#define CALM_MS 11000
/* The beat, which notices that nobody polls any more, comes each 100 ms. */
#define BEATS_MS 1000

static struct bells b;
static int parts[2];	/* partition 1 of both devices */

/* Take what came before. */
static void drain(void)
{
	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int v = 0; v < BELLS_VECTORS; v++) {
			dev_wait_vector(b.fds[i], v, 0);
			dev_wait_vector(parts[i], v, 0);
		}
}

static void test_label_comes(void)
{
	const uint64_t doorbells = IVSHMEM_FEATURE_DOORBELL | IVSHMEM_FEATURE_INTERRUPTS |
				   IVSHMEM_FEATURE_POLLED;
	int old = dev_open();

	tap_eq(dev_info(old).features & doorbells, 0, "without a label: no doorbells");
	tap_eq(dev_info(old).vectors, 0, "no vectors");
	tap_eq(dev_info(old).id, IVSHMEM_ID_UNKNOWN, "no id");
	refused(dev_ring(old, 0, 0), EOPNOTSUPP, "no RING");
	dev_attribute_is("ivshmem0", "vectors", "0");
	dev_attribute_is("ivshmem0", "looks", "0");
	tap_eq(access(CLASS "ivshmem0/interrupts", F_OK), -1, "no counts");
	bells_relabel(&b, BELLS_VECTORS);
	tap_eq(dev_info(b.fds[0]).features & doorbells, doorbells, "with a label there are");
	tap_eq(dev_info(b.fds[0]).vectors, BELLS_VECTORS, "as many vectors as it says");
	tap_ok(b.ids[0] >= 0xff00 && b.ids[1] >= 0xff00 && b.ids[0] != b.ids[1],
	       "the ids tell the slots");
	dev_attribute_is("ivshmem0", "vectors", "4");
	tap_ok(!access(CLASS "ivshmem0/interrupts/3", F_OK) &&
	       access(CLASS "ivshmem0/interrupts/4", F_OK), "with a count for each");
	tap_eq(dev_info(old).vectors, 0, "a file that was open before has none");
	tap_ok(!(dev_info(old).features & IVSHMEM_FEATURE_INTERRUPTS), "which its features say");
	refused(dev_wait_vector(old, 0, 0), EOPNOTSUPP, "and WAIT");
	tap_eq(dev_ring(old, b.ids[1], 3), 0, "but it can ring");
	tap_eq(dev_wait_vector(b.fds[1], 3, BELLS_PATIENCE), 1, "and is heard");
	close(old);
}

/* The second device waits; the first rings vector 2 meanwhile. */
static int wait_while_rung(struct ivshmem_wait *w)
{
	struct bells_later later;
	int ret;

	bells_ring_later(&later, b.fds[0], b.ids[1], 2, 50);
	ret = dev_wait(b.fds[1], w);
	pthread_join(later.thread, NULL);
	return ret;
}

static void test_wait(void)
{
	const uint64_t set = 0xe;
	struct ivshmem_wait w = { .vector = 2, .timeout_ns = BELLS_PATIENCE };

	tap_eq(wait_while_rung(&w), 0, "WAIT for a vector");
	tap_eq(w.count, 1, "one doorbell");
	w = dev_set_wait(&set, BELLS_PATIENCE);
	tap_eq(wait_while_rung(&w), 0, "WAIT for a set");
	tap_eq(w.signalled_vector, 2, "which vector");
	w = (struct ivshmem_wait){ .vector = 2, .timeout_ns = IVSHMEM_MAX_SPIN_NS,
				   .spin_ns = IVSHMEM_MAX_SPIN_NS };
	tap_eq(wait_while_rung(&w), 0, "WAIT that spins");
	w = (struct ivshmem_wait){ .vector = 1, .timeout_ns = SECOND / 5 };
	tap_eq(wait_while_rung(&w), -ETIMEDOUT, "another vector does not end it");
	tap_eq(dev_wait_vector(b.fds[1], 2, 0), 1, "and is not lost");
	w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_WORD, .vector = 2,
				   .offset = BELLS_OFFSET, .timeout_ns = BELLS_PATIENCE };
	b.region[BELLS_OFFSET] = 0;
	tap_eq(wait_while_rung(&w), 0, "WAIT for a word that is as expected");
	tap_eq(w.result, IVSHMEM_RESULT_SIGNALLED, "a doorbell ends it");
	tap_eq(dev_ring(b.fds[0], b.ids[1], BELLS_VECTORS), 0, "a vector that nobody has");
	tap_eq(dev_ring(b.fds[0], 0xff00 + BELLS_SLOTS - 1, 0), 0, "a slot that nobody has");
	tap_eq(dev_ring(b.fds[0], 0xff00 + BELLS_SLOTS, 0), 0, "a slot that does not exist");
	tap_eq(dev_ring(b.fds[0], 7, 0), 0, "an id that nobody has");
}

static int wait_for_news(int fd, int64_t timeout_ns, uint32_t *result)
{
	struct ivshmem_wait w = { .flags = IVSHMEM_WAIT_NEWS, .timeout_ns = timeout_ns };
	int ret = dev_wait(fd, &w);

	*result = w.result;
	return ret;
}

/* The machine has another name, so each device is another peer to see. */
static void test_news(void)
{
	static struct peers seen;
	int deaf = dev_open();
	uint32_t result;

	peers_get(b.fds[1], &seen, false, 0);
	while (!peers_get(b.fds[1], &seen, true, SECOND / 2))
		;
	tap_eq(wait_for_news(b.fds[1], 0, &result), -ETIMEDOUT, "WAIT for peers: nothing new");
	sethostname("another", 7);
	tap_eq(wait_for_news(b.fds[1], BELLS_PATIENCE, &result), 0, "it ends with a change");
	tap_eq(result, IVSHMEM_RESULT_NEWS, "and says so");
	tap_eq(wait_for_news(b.fds[1], 0, &result), 0, "again, as long as nobody asks who");
	tap_eq(dev_wait_vector(b.fds[1], 0, 0), -ETIMEDOUT, "others do not hear of it");
	tap_eq(wait_for_news(deaf, SECOND, &result), -EINVAL, "and who has never asked is refused");
	while (!peers_get(b.fds[1], &seen, true, SECOND / 2))
		;
	tap_eq(wait_for_news(b.fds[1], 0, &result), -ETIMEDOUT, "who asks knows");
	close(deaf);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

static volatile sig_atomic_t sigios;

static void on_sigio(int signal)
{
	(void)signal;
	sigios++;
}

static void test_poll(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	int fd = b.fds[1], efd = eventfd(0, EFD_NONBLOCK), ep = epoll_create1(0);
	struct bells_later later;
	eventfd_t value = 0;

	tap_ok(!readable(fd, 20), "poll: nothing rang");
	bells_ring_later(&later, b.fds[0], b.ids[1], 1, 50);
	tap_ok(readable(fd, 30000), "poll: a doorbell");
	pthread_join(later.thread, NULL);
	dev_wait_vector(fd, 1, 0);
	bells_ring(&b, 1);
	tap_ok(readable(fd, 0), "poll: at once");
	dev_wait_vector(fd, 1, 0);
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
	bells_ring_later(&later, b.fds[0], b.ids[1], 1, 50);
	tap_eq(epoll_wait(ep, &got, 1, 30000), 1, "epoll: a doorbell");
	pthread_join(later.thread, NULL);
	tap_eq(epoll_wait(ep, &got, 1, 20), 0, "epoll: edge-triggered, so once");
	bells_ring(&b, 1);
	tap_eq(epoll_wait(ep, &got, 1, 30000), 1, "epoll: the next one");
	close(ep);
	dev_wait_vector(fd, 1, 0);
	tap_eq(dev_eventfd(fd, 3, efd), 0, "bind an eventfd");
	bells_ring(&b, 3);
	tap_ok(readable(efd, 30000) && !eventfd_read(efd, &value) && value == 1,
	       "eventfd: a doorbell");
	tap_eq(dev_eventfd(fd, 3, -1), 0, "unbind it");
	dev_wait_vector(fd, 3, 0);
	close(efd);
	signal(SIGIO, on_sigio);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, O_RDWR | O_ASYNC);
	bells_ring(&b, 1);
	for (int i = 0; i < 3000 && !sigios; i++)
		sleep_ms(10);
	tap_ok(sigios > 0, "SIGIO: a doorbell");
	fcntl(fd, F_SETFL, O_RDWR);
	dev_wait_vector(fd, 1, 0);
}

static void test_self(void)
{
	long before = atol(dev_attribute("ivshmem1", "interrupts/2"));

	tap_eq(dev_ring_self(b.fds[1], 2), 0, "ring oneself");
	tap_eq(dev_wait_vector(b.fds[1], 2, 0), 1, "which is heard at once");
	tap_eq(dev_wait_vector(parts[1], 1, 0), 1, "by the partition, too");
	tap_eq(dev_ring_self(parts[1], 1), 0, "the partition rings itself");
	tap_eq(dev_wait_vector(parts[1], 1, 0), 1, "and hears it");
	tap_eq(dev_wait_vector(b.fds[1], 2, 0), 1, "as the device does");
	tap_eq(atol(dev_attribute("ivshmem1", "interrupts/2")) - before, 2, "both are counted");
	tap_eq(dev_ring_self(b.fds[1], BELLS_VECTORS), 0, "a vector that it does not have");
}

static void test_partition(void)
{
	const uint64_t both = 3;
	struct ivshmem_wait w = dev_set_wait(&both, BELLS_PATIENCE);

	tap_eq(dev_info(parts[1]).vectors, 2, "the partition has two vectors");
	tap_eq(dev_info(parts[1]).id, b.ids[1], "and the id of the device");
	bells_ring(&b, 0);
	bells_ring(&b, 3);
	tap_ok(dev_wait_vector(b.fds[1], 0, BELLS_PATIENCE) == 1 &&
	       dev_wait_vector(b.fds[1], 3, BELLS_PATIENCE) == 1, "vectors beside them are rung");
	tap_ok(!readable(parts[1], 0), "it does not see them");
	bells_ring(&b, 2);
	tap_eq(dev_wait_vector(parts[1], 1, BELLS_PATIENCE), 1, "vector 2 is its vector 1");
	tap_eq(dev_wait_vector(b.fds[1], 2, 0), 1, "the device has it, too");
	tap_eq(dev_ring(parts[0], b.ids[1], 0), 0, "another partition rings vector 0");
	tap_eq(dev_wait(parts[1], &w), 0, "WAIT for both");
	tap_eq(w.signalled_vector, 0, "hears it as 0");
	tap_eq(dev_wait_vector(b.fds[1], 1, 0), 1, "and the device as 1");
	refused(dev_ring(parts[0], b.ids[1], 2), EINVAL, "it cannot ring other vectors");
}

static void test_missed(void)
{
	sleep_ms(BEATS_MS);	/* the timer looks once more after the last WAIT */
	for (int i = 0; i < 3; i++)
		bells_ring(&b, 1);
	sleep_ms(BEATS_MS);
	tap_eq(dev_wait_vector(b.fds[1], 1, 0), 1, "three rings that nobody waited for are one");
	tap_eq(dev_wait_vector(b.fds[1], 1, 0), -ETIMEDOUT, "which is reported once");
	for (int i = 0; i < 2; i++)
		close(i ? parts[1] : b.fds[1]);
	bells_ring(&b, 1);
	sleep_ms(BEATS_MS);
	b.fds[1] = dev_open_at("/dev/ivshmem1", O_RDWR);
	parts[1] = dev_open_at("/dev/ivshmem1p1", O_RDWR);
	tap_eq(dev_wait_vector(b.fds[1], 1, 0), 1,
	       "one that came while nobody had it open may mean something to the next one");
	tap_ok(readable(parts[1], 0), "in the partition, too");
	dev_wait_vector(parts[1], 0, 0);
}

static void *wait_for_ever(void *arg)
{
	return (void *)(long)dev_wait_vector(*(int *)arg, 0, -1);
}

static struct peers present;

static void *poll_news(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLPRI };

	poll(&p, 1, 2000);
	return NULL;
}

static void *sleep_in_peers(void *arg)
{
	peers_get(*(int *)arg, &present, true, 3 * SECOND);
	return NULL;
}

static void test_quiet(void)
{
	int efd = eventfd(0, 0), fd = b.fds[1];
	struct bells_later later;
	pthread_t thread;

	sleep_ms(BEATS_MS);
	tap_eq(bells_looks(1, 200), 0, "nobody looks while nobody waits, though files are open");
	pthread_create(&thread, NULL, wait_for_ever, &fd);
	sleep_ms(100);
	tap_ok(bells_looks(1, 200) > 1, "for a task in WAIT it looks");
	tap_eq(bells_looks(0, 200), 0, "the other device need not");
	bells_ring(&b, 0);
	pthread_join(thread, NULL);
	sleep_ms(100);
	tap_eq(bells_looks(1, 200), 0, "when the task is awake it does not");
	dev_eventfd(fd, 0, efd);
	tap_ok(bells_looks(1, 200) > 1, "for an eventfd it looks");
	dev_eventfd(fd, 0, -1);
	sleep_ms(100);
	tap_eq(bells_looks(1, 200), 0, "when it is unbound it does not");
	bells_ring_later(&later, b.fds[0], b.ids[1], 0, 300);
	tap_ok(readable(fd, 30000), "poll waits");
	pthread_join(later.thread, NULL);
	dev_wait_vector(fd, 0, 0);
	sleep_ms(BEATS_MS);
	tap_eq(bells_looks(1, 200), 0, "when poll is over it does not look");
	pthread_create(&thread, NULL, poll_news, &fd);
	sleep_ms(100);
	tap_eq(bells_looks(1, 1000), 0, "for a poll for news it does not");
	pthread_join(thread, NULL);
	peers_get(fd, &present, false, 0);
	pthread_create(&thread, NULL, sleep_in_peers, &fd);
	sleep_ms(100);
	readable(fd, 0);
	sleep_ms(BEATS_MS);
	tap_eq(bells_looks(1, 1000), 0, "nor for a task asleep in PEERS");
	pthread_join(thread, NULL);
	fcntl(fd, F_SETFL, O_RDWR | O_ASYNC);
	tap_ok(bells_looks(1, 200) > 1, "for O_ASYNC it looks");
	fcntl(fd, F_SETFL, O_RDWR);
	sleep_ms(BEATS_MS);
	tap_eq(bells_looks(1, 200), 0, "without it it does not");
	fcntl(fd, F_SETFL, O_RDWR | O_ASYNC);
	close(fd);
	sleep_ms(100);
	tap_eq(bells_looks(1, 200), 0, "a file that is closed wants nothing");
	b.fds[1] = dev_open_at("/dev/ivshmem1", O_RDWR);
	close(efd);
}

/* Two threads of each device hand a word over, beside those of other vectors. */
struct turns {
	pthread_t thread;
	unsigned int vector, me, lost;
};

static void *take_turns(void *arg)
{
	struct turns *t = arg;
	volatile uint32_t *turn = (void *)(b.region + BELLS_OFFSET + 64 * t->vector);
	int fd = dev_open_at(t->me ? "/dev/ivshmem1" : "/dev/ivshmem0", O_RDWR);
	uint32_t now;

	while ((now = __atomic_load_n(turn, __ATOMIC_ACQUIRE)) < TURNS && !t->lost) {
		struct ivshmem_wait w = {
			.flags = IVSHMEM_WAIT_WORD, .vector = t->vector, .expected = now,
			.offset = (char *)turn - b.region, .timeout_ns = BELLS_PATIENCE,
		};

		if (now % 2 != t->me) {
			t->lost = dev_wait(fd, &w) < 0;
			continue;
		}
		__atomic_store_n(turn, now + 1, __ATOMIC_RELEASE);
		dev_ring(fd, b.ids[!t->me], t->vector);
	}
	close(fd);
	return NULL;
}

static void test_turns(void)
{
	struct turns turns[2 * BELLS_VECTORS];
	unsigned int lost = 0;

	memset(b.region + BELLS_OFFSET, 0, BELLS_PART_SIZE);
	for (unsigned int i = 0; i < 2 * BELLS_VECTORS; i++) {
		turns[i] = (struct turns){ .vector = i / 2, .me = i % 2 };
		pthread_create(&turns[i].thread, NULL, take_turns, &turns[i]);
	}
	for (unsigned int i = 0; i < 2 * BELLS_VECTORS; i++) {
		pthread_join(turns[i].thread, NULL);
		lost += turns[i].lost;
	}
	tap_eq(lost, 0, "%u times %u hand-overs at once, and no wake-up is lost", BELLS_VECTORS,
	       TURNS);
}

/* The timer may be late, never early. */
static void looks_are_apart(unsigned int us, const char *when)
{
	int64_t start = now_ns();
	long looks = bells_looks(1, 300), most;

	most = (now_ns() - start) / 1000 / us + 2;
	tap_ok(looks && looks <= most, "%s it looks, at most each %u us (%ld, at most %ld)", when,
	       us, looks, most);
}

static void test_interval(void)
{
	const char *path = "/sys/module/ivshmem/parameters/poll_us";
	static const char * const bad[] = { "199", "10001", "-1", "x" };
	struct bells_later later;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		tap_eq(file_write(path, bad[i]), -EINVAL, "poll_us=%s is refused", bad[i]);
	bells_ring_later(&later, b.fds[0], b.ids[1], 0, CALM_MS + 3000);
	fcntl(b.fds[1], F_SETFL, O_RDWR | O_ASYNC);
	sleep_ms(100);
	looks_are_apart(1000, "when something came not long ago");
	sleep_ms(CALM_MS - 400);
	looks_are_apart(4000, "when nothing came for long");
	tap_eq(dev_wait_vector(b.fds[1], 0, BELLS_PATIENCE), 1, "then a doorbell is found as well");
	pthread_join(later.thread, NULL);
	tap_eq(file_write(path, "10000"), 0, "an interval of 10 ms");
	sleep_ms(100);
	looks_are_apart(10000, "with that");
	tap_eq(file_write(path, "1000"), 0, "1 ms again");
	fcntl(b.fds[1], F_SETFL, O_RDWR);
}

int main(void)
{
	bells_open(&b);
	test_label_comes();
	for (int i = 0; i < 2; i++)
		parts[i] = dev_open_at(i ? "/dev/ivshmem1p1" : "/dev/ivshmem0p1", O_RDWR);
	test_wait();
	drain();
	test_news();
	test_poll();
	drain();
	test_self();
	drain();
	test_partition();
	drain();
	test_missed();
	test_quiet();
	test_turns();
	drain();
	/* The interval does not depend on the memory, and to calm down takes long. */
	if (!rig_over("window"))
		test_interval();
	return tap_done();
}
