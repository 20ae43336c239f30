// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that drives a node in place of the character device (tests/sample): it owns
 * the node, gets doorbells in the interrupt, is told of peers, and is unbound, unloaded,
 * reset and unplugged while it rings itself without end.
 */
/* rig: devices=doorbell vectors=4 size=1M over=pci,memory bridges=yes timeout=400 */
#include <signal.h>
#include <sys/wait.h>

#include "dev.h"
#include "guarded.h"
#include "labels.h"
#include "module.h"
#include "peers.h"
#include "samples.h"

#define PARTITION "/dev/ivshmem0p1"
/* The device over memory. */
#define SOFT "/sys/kernel/config/ivshmem/ivshmem0/"

static bool vectors;
static char pci[32];	/* address of the device, empty if it is none of PCI */

/* Wait until the number in a file of the node is not less than this. */
static bool node_reaches(const char *attribute, int least)
{
	for (int i = 0; i < 3000; i++) {
		if (node_number(attribute) >= least)
			return true;
		sleep_ms(10);
	}
	return false;
}

/* A line in a file of the node; empty if there is none. */
static const char *node_line(const char *attribute)
{
	static char line[80];
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), NODE "%s", attribute);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		*line = 0;
	if (file)
		fclose(file);
	return line;
}

static int reset(void)
{
	char path[128];

	snprintf(path, sizeof(path), PCI_DEVICES "%s/reset", pci);
	return file_write(path, "1");
}

/* Files and mappings of the character device end when it loses the node. */
static void test_handover(void)
{
	int fd = dev_open();
	volatile char *map = dev_map(fd, 1 << 20);

	map[0] = 1;
	tap_ok(!access(CHARDEV "ivshmem0", F_OK), "the character device drives the node");
	tap_eq(file_write(SAMPLE "bind", "ivshmem0"), -ENODEV,
	       "a driver of no type gets the node by driver_override only");
	tap_eq(sample_take(), 0, "the sample takes the node");
	tap_ok(access(RIG_DEVICE, F_OK), "the node is gone from /dev");
	tap_eq(result(pread(fd, &(char){ 0 }, 1, 0)), -ENODEV, "an open file gives ENODEV");
	refused(ioctl(fd, IVSHMEM_IOC_INFO, &(struct ivshmem_info){}), ENODEV,
		"so does INFO");
	tap_eq(touch(map, false), SIGBUS, "a mapping gives SIGBUS");
	tap_eq(file_write(CHARDEV "bind", "ivshmem0"), -ENODEV,
	       "the character device cannot have it as well");
	close(fd);
	if (vectors)
		tap_ok(echoes_go_on(), "the sample gets its own doorbells");
	tap_eq(sample_give(), 0, "it gives the node back");
	fd = dev_open();
	tap_ok(dev_size(fd) == 1 << 20, "the device can be opened again");
	if (dev_interrupts(fd, "the doorbell works again"))
		tap_ok(!dev_ring_self(fd, 2) && dev_wait_vector(fd, 2, 20 * SECOND) > 0,
		       "the doorbell works again");
	close(fd);
}

static void test_override(void)
{
	tap_eq(file_write(NODE "driver_override", "nobody"), 0, "no driver has this name");
	tap_eq(file_write(CHARDEV "unbind", "ivshmem0"), 0, "unbind");
	file_write(BUS "drivers_probe", "ivshmem0");
	tap_ok(access(NODE "driver", F_OK), "then the node stays without a driver");
	tap_eq(file_write(NODE "driver_override", "\n"), 0, "end the override");
	tap_eq(file_write(BUS "drivers_probe", "ivshmem0"), 0, "probe again");
	tap_ok(!access(CHARDEV "ivshmem0", F_OK), "the type decides again");
}

/* The module goes and comes, and its node does so as well, under load. */
static void test_cycles(int cycles)
{
	int failed = 0;

	for (int i = 0; i < cycles; i++) {
		failed += sample_take() != 0;
		sleep_ms(i % 5);
		if (*pci && i % 3 == 1)
			failed += reset() != 0;
		if (i % 2) {
			failed += system("rmmod ivshmem_sample") != 0;
			failed += sample_load() != 0;
		}
		if (i % 3 == 2 && *pci) {
			failed += file_write(PCI_DRIVER "unbind", pci) != 0;
			failed += file_write(PCI_DRIVER "bind", pci) != 0;
		} else if (i % 3 == 2) {
			failed += file_write(SOFT "enable", "0") != 0;
			failed += file_write(SOFT "enable", "1") != 0;
		} else {
			failed += sample_give() != 0;
		}
		if (failed) {
			tap_note("cycle %d failed", i);
			break;
		}
	}
	tap_eq(failed, 0, "%d times bound, reset, unloaded, unplugged under load", cycles);
}

/* With an open file of a partition interrupts go on when the node has no driver. */
static int open_partition(void)
{
	struct ivshmem_label label = label_new(1 << 20);
	int fd = dev_open();

	label_add(&label, 1, "raw", "part", 512 << 10, 64 << 10, 1, 2);
	label_store(dev_map(fd, 1 << 20), &label);
	close(fd);
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label with a partition");
	file_comes(PARTITION, true);
	return dev_open_at(PARTITION, O_RDWR);
}

/* The sample leaves its handlers to the core, in the middle of a storm of doorbells. */
static void test_kept_handlers(int cycles)
{
	int fd = open_partition(), failed = 0;

	tap_eq(file_write(SAMPLE_PARAMETERS "keep_handlers", "1"), 0, "handlers are kept");
	for (int i = 0; i < cycles; i++) {
		failed += sample_take() != 0;
		sleep_ms(1 + i % 5);
		failed += sample_give() != 0;
	}
	tap_eq(failed, 0, "%d times unbound with handlers that run", cycles);
	tap_eq(file_write(SAMPLE_PARAMETERS "keep_handlers", "0"), 0, "handlers are freed again");
	close(fd);
	fd = dev_open();
	memset(dev_map(fd, 1 << 20), 0, 64 << 10);
	close(fd);
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "the label goes");
}

/* The sample is bound again and again, in particular while the device is being reset. */
static void test_bind_in_reset(void)
{
	int status = -1, n = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(reset() || reset());
	while (!waitpid(pid, &status, WNOHANG)) {
		file_write(SAMPLE "unbind", "ivshmem0");
		n += !file_write(SAMPLE "bind", "ivshmem0");
	}
	tap_eq(status, 0, "reset it while the sample comes and goes");
	tap_ok(n > 2, "which was bound often enough (%d times)", n);
	tap_ok(!system("grep -qx 0 /sys/module/ivshmem_sample/parameters/unprepared"),
	       "it knew of the beginning of each reset");
}

static void test_reset(void)
{
	int refusals;

	tap_eq(sample_take(), 0, "the sample takes the node");
	refusals = sample_count("refusals");
	tap_eq(reset(), 0, "reset the device");
	tap_eq(node_number("resets"), 1, "the sample is notified of the reset");
	tap_ok(sample_count("refusals") > refusals, "it was before, and then had no access");
	if (vectors)
		tap_ok(echoes_go_on(), "it goes on after it");
	test_bind_in_reset();
	tap_eq(module_unload(), -EWOULDBLOCK, "the driver cannot be unloaded before the sample");
	tap_eq(sample_give(), 0, "it gives the node back");
}

/* Is a line in a file? */
static bool has_line(const char *path, const char *wanted)
{
	char line[128];
	FILE *file = fopen(path, "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = !strcmp(line, wanted);
	if (file)
		fclose(file);
	return found;
}

/* By this udev finds the module, which has the same alias. */
static void test_alias(void)
{
	tap_ok(has_line(NODE "uevent", "MODALIAS=ivshmem:raw\n"), "the alias of the node's type");
	tap_ok(has_line(NODE "modalias", "ivshmem:raw\n"), "which is in a file, too");
	tap_ok(!system("grep -aq alias=ivshmem:sample /lib/ivshmem_sample.ko"),
	       "the sample has that of its own type");
}

/* A driver can access a device that ends a last time, but not one that stays. */
static void test_farewell(void)
{
	int before = sample_count("farewells");

	tap_eq(sample_take(), 0, "the sample takes the node");
	tap_eq(sample_give(), 0, "it gives the node back");
	tap_eq(sample_count("farewells"), before, "no end was announced");
	tap_eq(sample_take(), 0, "it takes the node again");
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "the device goes");
	tap_eq(sample_count("farewells"), before + 1, "the sample has accessed it a last time");
	tap_eq(file_write(PCI_DRIVER "bind", pci), 0, "the device is back");
}

/* The address of the MSI-X table. */
static unsigned long long table_address(void)
{
	unsigned long long start = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), PCI_DEVICES "%s/resource", pci);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*s %*s %*s %llx", &start) != 1)
		tap_bail("%s has no second line", path);
	fclose(file);
	return start;
}

/* How many vectors are not masked? The kernel lets no program look, but QEMU does. */
static int unmasked(unsigned int nr)
{
	const unsigned long long table = table_address();
	const char *answer, *value;
	int n = 0;

	for (unsigned int i = 0; i < nr; i++) {
		answer = rig_ask("qmp {\"execute\":\"human-monitor-command\",\"arguments\":"
				 "{\"command-line\":\"xp /1wx %#llx\"}}", table + 16 * i + 12);
		value = strstr(answer, ": 0x");
		if (!value)
			tap_bail("QEMU says %s", answer);
		n += !(strtoul(value + 2, NULL, 16) & 1);
	}
	return n;
}

/* The next kernel, booted by kexec, gets no interrupt from the device. */
static void test_shutdown(void)
{
	tap_eq(sample_take(), 0, "the sample takes the node");
	tap_eq(unmasked(4), 4, "no vector is masked");
	tap_eq(file_write(NODE "shutdown", "1"), 0, "shut the node down");
	tap_eq(unmasked(4), 0, "all vectors are masked");
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "the device goes");
	tap_eq(file_write(PCI_DRIVER "bind", pci), 0, "the device is back");
}

/* The host writes into a slot, as a peer whose heart stops at once. */
static void come_and_fall_silent(uint64_t section)
{
	const struct ivshmem_peer_section peer = {
		.owner = 77, .generation = 1, .heartbeat = 1, .id = IVSHMEM_PEER_NO_ID,
		.kind = IVSHMEM_PEER_HOST, .state = IVSHMEM_PEER_PRESENT, .name = "silent",
	};
	char digits[2 * sizeof(peer) + 1];

	for (size_t i = 0; i < sizeof(peer); i++)
		sprintf(digits + 2 * i, "%02x", ((const unsigned char *)&peer)[i]);
	rig_ask("memory-write %llu %s", (unsigned long long)section, digits);
}

static void test_peers(void)
{
	uint64_t second = sample_label(0);

	tap_eq(sample_take(), 0, "the sample takes the node");
	tap_eq(node_number("peers"), -EOPNOTSUPP, "without a label it has no peers");
	tap_ok(!*node_line("identity"), "nor an identity");
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label comes");
	tap_ok(node_reaches("peers", 1), "the sample finds this machine among the peers");
	tap_eq(node_number("slot"), 0, "it has the first slot");
	tap_ok(node_reaches("news", 1), "it is notified");
	tap_ok(!strcmp(node_line("identity"), "0 of 5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a\n"),
	       "it knows the label");
	tap_eq(node_number("silent"), 0, "nobody has fallen silent");
	come_and_fall_silent(second);
	tap_ok(node_reaches("peers", 2), "a second peer comes");
	tap_ok(node_reaches("silent", 1), "it falls silent");
	tap_eq(node_number("peers"), 1, "and is no peer any more");
	tap_eq(node_number("silent"), 1, "this machine is not silent");
	tap_eq(sample_give(), 0, "it gives the node back");
}

int main(void)
{
	int fd = dev_open();

	guard();
	vectors = dev_info(fd).vectors;
	if (!rig_over("memory"))
		snprintf(pci, sizeof(pci), "%s", dev_pci(0));
	close(fd);
	tap_eq(sample_load(), 0, "the sample loads");
	test_override();
	test_alias();
	test_handover();
	if (*pci) {
		test_peers();
		test_reset();
		test_farewell();
		if (vectors)
			test_shutdown();
	}
	test_kept_handlers(40);
	test_cycles(rig_cycles(60));
	tap_eq(system("rmmod ivshmem_sample"), 0, "the sample unloads");
	tap_ok(!access(RIG_DEVICE, F_OK), "the device is there in the end");
	return tap_done();
}
