// SPDX-License-Identifier: GPL-2.0-only
/* The driver's interface and a few files: see dev.h. */
#include <sys/klog.h>
#include <sys/utsname.h>

#include "../dev.h"

int dev_open_at(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		tap_bail("open %s: %s", path, strerror(errno));
	return fd;
}

struct ivshmem_info dev_info(int fd)
{
	struct ivshmem_info info = {};

	if (ioctl(fd, IVSHMEM_IOC_INFO, &info))
		tap_bail("INFO: %s", strerror(errno));
	return info;
}

struct ivshmem_region dev_region(int fd, uint32_t index)
{
	struct ivshmem_region region = { .index = index };

	if (ioctl(fd, IVSHMEM_IOC_REGION, &region))
		tap_bail("REGION %u: %s", index, strerror(errno));
	return region;
}

void dev_each_size(unsigned int count, void (*run)(const char *path, size_t size))
{
	char path[32], subject[32];
	size_t size;
	int fd;

	for (unsigned int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/dev/ivshmem%u", i);
		fd = dev_open_at(path, O_RDWR);
		size = dev_size(fd);
		close(fd);
		snprintf(subject, sizeof(subject), "%zu KiB", size >> 10);
		tap_about(subject);
		run(path, size);
	}
	tap_about("");
}

bool dev_interrupts(int fd, const char *what)
{
	bool has = dev_info(fd).vectors;

	if (!has)
		tap_skip(what, "the device has no vectors");
	return has;
}

void *dev_map_at(int fd, off_t offset, size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       offset);

	if (p == MAP_FAILED)
		tap_bail("mmap of %zu at %lld: %s", length, (long long)offset,
			 strerror(errno));
	return p;
}

volatile uint32_t *dev_map_registers(int fd)
{
	struct ivshmem_region region = dev_region(fd, IVSHMEM_REGION_REGISTERS);

	return dev_map_at(fd, region.offset, region.size);
}

void dev_ring_files(int fd, uint32_t vector)
{
	dev_ring_self(fd, vector);	/* its number may be a large one */
	for (uint32_t peer = 0; peer < DEV_PEERS; peer++)
		if (peer != dev_info(fd).id)
			dev_ring(fd, peer, vector);
}

int dev_number_of(const char *pci)
{
	char path[128];

	for (int n = 0; n < 10; n++) {
		snprintf(path, sizeof(path), PCI_DEVICES "%s/ivshmem/ivshmem%d", pci, n);
		if (!access(path, F_OK))
			return n;
	}
	return -1;
}

const char *dev_pci(int number)
{
	static char link[256];
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/ivshmem/ivshmem%d/device", number);
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = 0;
	return basename(link);
}

const char *dev_attribute(const char *node, const char *name)
{
	static char text[128];
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/%s", node, name);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		snprintf(text, sizeof(text), "(%s)", strerror(errno));
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = 0;
	return text;
}

void dev_attribute_is(const char *node, const char *name, const char *expected)
{
	const char *value = dev_attribute(node, name);

	if (strcmp(value, expected))
		tap_note("it is \"%s\"", value);
	tap_ok(!strcmp(value, expected), "%s of %s is \"%s\"", name, node, expected);
}

const char *dev_window_address(void)
{
	static char address[32];
	FILE *file;

	if (!rig_over("window"))
		return "";
	file = fopen("/sys/kernel/config/ivshmem/ivshmem0/address", "r");
	if (!file || fscanf(file, "%31s", address) != 1)
		tap_bail("the window has no address");
	fclose(file);
	return address;
}

bool kernel_said(const char *what)
{
	static char log[1 << 20];
	int length = klogctl(3, log, sizeof(log) - 1);

	if (length < 0)
		tap_bail("klogctl: %s", strerror(errno));
	log[length] = '\0';
	return strstr(log, what);
}

bool dev_pages(int fd, const char *what)
{
	if (dev_has_pages(fd) || !kernel_said("none for devices (CONFIG_ZONE_DEVICE)"))
		return true;
	tap_skip(what, "this kernel has no struct pages for devices");
	return false;
}

bool kernel_since(int major, int minor)
{
	struct utsname name;
	int first, second;

	if (uname(&name) || sscanf(name.release, "%d.%d", &first, &second) != 2)
		tap_bail("the kernel does not say which one it is");
	return first > major || (first == major && second >= minor);
}

bool huge_pages_exist(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "r");
	unsigned long huge = 0;

	if (file && fscanf(file, "%lu", &huge) != 1)
		huge = 0;
	if (file)
		fclose(file);
	return huge == 2 << 20;
}

bool dev_huge_entries(const char *what)
{
	if (!huge_pages_exist()) {
		tap_skip(what, "there are no huge pages, or only larger ones");
		return false;
	}
	if (rig_over("memory") || kernel_since(5, 17))
		return true;
	tap_skip(what, "this kernel has no page maps of huge pages");
	return false;
}

int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

long file_kb(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	const size_t length = strlen(name);
	char line[128];
	long kb = -1;

	while (file && kb < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, length) && line[length] == ':')
			kb = strtol(line + length + 1, NULL, 10);
	if (file)
		fclose(file);
	return kb;
}

long map_huge_kb(const char *p)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long start = 0, end;
	char line[256];
	long kb = 0, part;

	while (file && fgets(line, sizeof(line), file)) {
		unsigned long first;

		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			start = first;
		else if (start == (uintptr_t)p &&
			 (sscanf(line, "ShmemPmdMapped: %ld", &part) == 1 ||
			  sscanf(line, "FilePmdMapped: %ld", &part) == 1))
			kb += part;
	}
	if (file)
		fclose(file);
	return kb;
}

long huge_entries_kb(void)
{
	/* 5.10 counts entries, and first by processor. */
	file_write("/proc/sys/vm/stat_refresh", "1");
	return meminfo_kb("ShmemPmdMapped") + meminfo_kb("FilePmdMapped");
}

int file_mentions(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char line[1024];
	int found = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, word)) {
			tap_note("%s: %.*s", path, (int)strcspn(line, "\n"), line);
			found++;
		}
	if (file)
		fclose(file);
	return found;
}

bool file_comes(const char *path, bool come)
{
	for (int i = 0; i < 1000; i++) {
		if (!access(path, F_OK) == come)
			return true;
		sleep_ms(10);
	}
	return false;
}

bool memory_comes_back(long kb)
{
	int64_t end = now_ns() + 10 * SECOND;

	while (meminfo_kb("MemFree") <= kb && now_ns() < end)
		sleep_ms(100);
	return meminfo_kb("MemFree") > kb;
}
