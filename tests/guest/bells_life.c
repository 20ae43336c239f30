// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever happens to a device while programs wait for polled doorbells, they wake: its label
 * changes or goes, its slot is taken, it is reset or unbound. A stranger who writes what he
 * likes to the peer area causes spurious wake-ups at most.
 */
/* rig: devices=plain,plain size=1M bridges=yes alone=yes timeout=120 */
#include <poll.h>
#include <sys/eventfd.h>

#include "bells.h"
#include "module.h"

#define CLASS "/sys/class/ivshmem/"
#define CHARDEV "/sys/bus/ivshmem/drivers/ivshmem_chardev/"
#define NOISE_MS 5000

static struct bells b;

/* One task that sleeps. */
static struct {
	int fd;
	uint32_t vector;
	volatile bool sleeps;
} task;

static void *sleeper(void *arg)
{
	(void)arg;
	long ret = dev_wait_vector(task.fd, task.vector, -1);

	task.sleeps = false;
	return (void *)ret;
}

static pthread_t sleep_on(int fd, uint32_t vector)
{
	pthread_t thread;

	dev_wait_vector(fd, vector, 0);
	task.fd = fd;
	task.vector = vector;
	task.sleeps = true;
	pthread_create(&thread, NULL, sleeper, NULL);
	sleep_ms(100);
	return thread;
}

/* What WAIT gave it in the end. */
static long woken(pthread_t thread)
{
	void *ret;

	pthread_join(thread, &ret);
	return (long)ret;
}

/* Both see each other, and the second device hears the first one. */
static void is_heard(const char *when)
{
	bells_reopen(&b);
	bells_ring(&b, 1);
	tap_eq(dev_wait_vector(b.fds[1], 1, BELLS_PATIENCE), 1, "%s: a doorbell is heard", when);
}

static void test_same_label(void)
{
	pthread_t thread = sleep_on(b.fds[1], 0);

	label_store(b.region, &b.label);
	tap_eq(bells_rescan(0) | bells_rescan(1), 0, "the same label again, as it was changed");
	sleep_ms(50);
	tap_ok(task.sleeps, "a sleeper sleeps on");
	tap_eq(dev_info(b.fds[1]).id, b.ids[1], "in the same slot");
	bells_ring(&b, 0);
	tap_eq(woken(thread), 1, "and hears a doorbell");
}

static void test_other_label(void)
{
	int part = dev_open_at("/dev/ivshmem1p1", O_RDWR), old = dev_open_at("/dev/ivshmem1", O_RDWR);
	pthread_t thread = sleep_on(part, 0);

	bells_relabel(&b, 6);
	tap_eq(woken(thread), -ENODEV, "with another label the partition ends");
	close(part);
	thread = sleep_on(old, 0);
	bells_ring(&b, 0);
	tap_ok(woken(thread) > 0, "a file of the whole device hears doorbells of the new one");
	tap_eq(dev_info(old).vectors, BELLS_VECTORS, "it has as many vectors as before");
	tap_eq(dev_info(b.fds[1]).vectors, 6, "a new file has those of the label");
	tap_ok(!access(CLASS "ivshmem1/interrupts/5", F_OK), "and there is a count for each");
	bells_ring(&b, 5);
	tap_eq(dev_wait_vector(b.fds[1], 5, BELLS_PATIENCE), 1, "the last one is heard");
	bells_relabel(&b, 2);
	tap_ok(access(CLASS "ivshmem1/interrupts/2", F_OK) &&
	       !access(CLASS "ivshmem1/interrupts/1", F_OK), "two vectors have two counts");
	dev_wait_vector(old, 3, 0);
	tap_eq(dev_ring(b.fds[0], b.ids[1], 3), 0, "ring one that has gone");
	tap_eq(dev_wait_vector(old, 3, SECOND / 5), -ETIMEDOUT, "it is not heard");
	close(old);
	part = dev_open_at("/dev/ivshmem1p1", O_RDWR);
	tap_eq(dev_info(part).vectors, 1, "the partition has those that exist");
	close(part);
}

static void test_no_label(void)
{
	int old = dev_open_at("/dev/ivshmem1", O_RDWR), fd;

	memset(b.region, 0, 8);
	tap_eq(bells_rescan(0) | bells_rescan(1), 0, "the label is wiped");
	fd = dev_open_at("/dev/ivshmem1", O_RDWR);
	tap_eq(dev_info(fd).vectors, 0, "there are no vectors");
	tap_eq(access(CLASS "ivshmem1/interrupts", F_OK), -1, "and no counts");
	refused(dev_ring(fd, b.ids[1], 0), EOPNOTSUPP, "nor RING");
	tap_eq(dev_wait_vector(old, 0, SECOND / 20), -ETIMEDOUT, "a file from before can wait");
	tap_eq(bells_looks(1, 200), 0, "but nobody looks");
	close(fd);
	bells_relabel(&b, BELLS_VECTORS);
	bells_ring(&b, 0);
	tap_eq(dev_wait_vector(old, 0, BELLS_PATIENCE), 1, "when a label comes it hears again");
	close(old);
}

/* A slot that is lost may have cost doorbells, so who sleeps looks at the memory. */
static void test_stolen_slot(void)
{
	unsigned int slot = b.ids[1] - 0xff00;
	pthread_t thread = sleep_on(b.fds[1], 2);

	peers_section(b.region, &b.label, slot)->owner = 0x5707e4;
	tap_ok(woken(thread) > 0, "who sleeps wakes when another slot is taken");
	tap_ok(dev_info(b.fds[1]).id != b.ids[1], "the id is another one");
	peers_section(b.region, &b.label, slot)->state = 0;
	peers_section(b.region, &b.label, slot)->owner = 0;
	is_heard("in another slot");
}

/* A machine that has lost its slot does not count there. */
static void test_ring_without_slot(void)
{
	volatile struct ivshmem_peer_section *own =
		peers_section(b.region, &b.label, b.ids[0] - 0xff00);
	uint32_t before = own->counters[b.ids[1] - 0xff00], rung;
	uint64_t owner = own->owner;

	own->owner = 0x5707e4;
	dev_ring(b.fds[0], b.ids[1], 0);
	rung = own->counters[b.ids[1] - 0xff00];
	own->owner = owner;
	tap_eq(rung, before, "nobody writes to a slot that he has lost");
	is_heard("with it again");
}

static volatile bool stop;
static volatile unsigned long words;

static void *noise(void *arg)
{
	volatile uint32_t *area = (void *)(b.region + b.label.peers_offset);
	size_t n = b.label.peer_size * BELLS_SLOTS / sizeof(*area);
	uint64_t state = 1;

	for (; !stop; words++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		area[(state >> 33) % n] = state >> 16;
		if (!(words % 64))
			usleep(100);
	}
	return arg;
}

static void *listener(void *arg)
{
	struct pollfd p = { .fd = b.fds[1], .events = POLLIN };
	const uint64_t set = 0xf;
	long calls = 0;

	for (; !stop; calls++) {
		struct ivshmem_wait w = dev_set_wait(&set, SECOND / 10);

		if (calls % 2)
			poll(&p, 1, 100);
		else if (dev_wait(b.fds[(long)arg % 2], &w) < 0 && errno != ETIMEDOUT)
			return (void *)-1;
	}
	return (void *)calls;
}

static void test_noise(void)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	pthread_t threads[5];
	void *calls;
	long bad = 0;

	dev_eventfd(b.fds[1], 1, efd);
	for (long i = 0; i < 5; i++)
		pthread_create(&threads[i], NULL, i ? listener : noise, (void *)i);
	for (int i = 0; i < NOISE_MS / 10; i++, sleep_ms(10)) {
		bells_ring(&b, i % BELLS_VECTORS);
		dev_ring(b.fds[1], b.ids[0], i % BELLS_VECTORS);
	}
	stop = true;
	for (int i = 0; i < 5; i++) {
		pthread_join(threads[i], &calls);
		bad += i && (long)calls <= 0;
	}
	tap_note("%lu words", words);
	tap_eq(bad, 0, "a stranger writes to the peer area, and everybody who waits wakes");
	close(efd);
	memset(b.region + b.label.peers_offset, 0, b.label.peer_size * BELLS_SLOTS);
	is_heard("after that");
}

static void test_reset(void)
{
	pthread_t thread = sleep_on(b.fds[1], 3);
	char path[128];

	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", dev_pci(1));
	tap_eq(file_write(path, "1"), 0, "reset");
	tap_ok(woken(thread) > 0, "a sleeper looks at the memory");
	is_heard("after a reset");
}

static void test_node(void)
{
	pthread_t thread = sleep_on(b.fds[1], 3);

	tap_eq(file_write(CHARDEV "unbind", "ivshmem1"), 0, "unbind the node");
	tap_eq(woken(thread), -ENODEV, "a sleeper sees it");
	sleep_ms(300);
	tap_eq(file_write(CHARDEV "bind", "ivshmem1"), 0, "bind it");
	is_heard("after that");
}

static void test_unbind(void)
{
	struct pollfd p = { .fd = b.fds[1], .events = POLLIN };
	pthread_t thread = sleep_on(b.fds[1], 3);
	char pci[32];

	snprintf(pci, sizeof(pci), "%s", dev_pci(1));
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "unbind the device");
	tap_eq(woken(thread), -ENODEV, "a sleeper sees it");
	tap_ok(poll(&p, 1, 0) == 1 && p.revents & POLLHUP, "poll as well");
	close(b.fds[1]);
	b.fds[1] = -1;
	bells_ring(&b, 0);
	tap_eq(file_write(PCI_DRIVER "bind", pci), 0, "bind it");
	is_heard("after that");
}

int main(void)
{
	bells_open(&b);
	bells_relabel(&b, BELLS_VECTORS);
	test_same_label();
	test_other_label();
	test_no_label();
	test_stolen_slot();
	test_ring_without_slot();
	test_noise();
	test_reset();
	test_node();
	test_unbind();
	munmap(b.region, BELLS_SIZE);
	for (int i = 0; i < 2; i++)
		close(b.fds[i]);
	module_clean();
	return tap_done();
}
