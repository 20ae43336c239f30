// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the table of docs/mapping.md that says what works on a mapping of which kind of device,
 * and looks whether the document has each row. Here all is tried once only; pages.c looks whether
 * it does what it should.
 */
/*
 * rig: devices=plain,plain size=4M mem=1024 modargs=pages=yes
 * rig: modules=configfs,virtio_pci?,virtio_blk?
 * rig: qemu='-drive if=virtio,snapshot=on,driver=raw,file.driver=null-co,file.size=64M'
 */
#include <linux/futex.h>
#include <linux/if_xdp.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "guarded.h"
#include "hardware.h"
#include "uring.h"

#define SIZE (4UL << 20)
#define CONFIG "/sys/kernel/config/ivshmem/"
#define PARAMETER "/sys/module/ivshmem/parameters/pages"
#define LACKS (-ENOPKG)	/* the kernel of this machine has no such thing */

static int fd;
static char *map;

/*
 * Each gives a negative errno, LACKS among them, if it does not work.
 */

/* The word has another value, so the call returns at once if the kernel accepts the address. */
static int try_futex(void)
{
	int ret;

	*(uint32_t *)map = 1;
	ret = result(syscall(SYS_futex, map, FUTEX_WAIT, 2, NULL, NULL, 0));

	return ret == -EAGAIN ? 0 : ret;
}

static int try_direct(void)
{
	int disk = open("/dev/vda", O_RDWR | O_DIRECT), ret;

	if (disk < 0 && !disk_should_be())
		return LACKS;
	ret = result(pwrite(disk, map, PAGE, 0));
	if (ret >= 0)
		ret = result(pread(disk, map, PAGE, 0));
	close(disk);
	return ret;
}

static int try_remote(void)
{
	char there[PAGE];
	struct iovec own = { there, PAGE }, other = { map, PAGE };
	int ret = result(process_vm_readv(getpid(), &own, 1, &other, 1, 0));

	return ret < 0 ? ret : result(process_vm_writev(getpid(), &own, 1, &other, 1, 0));
}

static int try_debugger(void)
{
	int mem = dev_open_at("/proc/self/mem", O_RDWR), ret;
	char there[PAGE];

	ret = result(pread(mem, there, PAGE, (uintptr_t)map));
	if (ret >= 0)
		ret = result(pwrite(mem, there, PAGE, (uintptr_t)map));
	close(mem);
	return ret;
}

static int try_vmsplice(void)
{
	struct iovec part = { map, PAGE };
	int ends[2], ret;

	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	ret = result(vmsplice(ends[1], &part, 1, 0));
	close(ends[0]);
	close(ends[1]);
	return ret;
}

static int try_xdp(void)
{
	const struct xdp_umem_reg memory = {
		.addr = (uintptr_t)map, .len = SIZE, .chunk_size = PAGE,
	};
	int s = socket(AF_XDP, SOCK_RAW, 0), ret;

	if (s < 0)
		return errno == EAFNOSUPPORT ? LACKS : -errno;
	ret = result(setsockopt(s, SOL_XDP, XDP_UMEM_REG, &memory, sizeof(memory)));
	close(s);
	return ret;
}

static int try_mlock(void)
{
	return result(mlock(map, SIZE));
}

static int try_uring(void)
{
	const struct iovec all = { map, SIZE };
	struct uring ring;
	int ret = uring_open(&ring, 0, 0);

	if (ret)
		return ret == -ENOSYS || ret == -EPERM ? LACKS : ret;
	ret = uring_register(&ring, &all);
	uring_close(&ring);
	return ret;
}

static int try_huge(void)
{
	long before = huge_entries_kb();

	if (!huge_pages_exist())
		return LACKS;
	touch(map, true);
	return huge_entries_kb() > before ? 0 : -ENOENT;
}

static int try_buffer(void)
{
	int ret = buffer_export(fd, 0, SIZE);

	if (ret >= 0)
		close(ret);
	return hardware_exists() ? ret : LACKS;
}

/* A row of the table; its name may depend on the kernel. */
static const struct {
	const char *name;
	int (*try)(void);
	int major, minor;	/* from this kernel on it is another row */
} rows[] = {
	{ "`FUTEX_WAIT` without `PRIVATE`, and so process-shared pthread objects", try_futex, 0, 0 },
	{ "`O_DIRECT` from and to a mapping", try_direct, 0, 0 },
	{ "`process_vm_readv`, `process_vm_writev`", try_remote, 0, 0 },
	{ "`/proc/PID/mem`, ptrace", try_debugger, 0, 0 },
	{ "`vmsplice`", try_vmsplice, 0, 0 },
	{ "memory for AF_XDP (`XDP_UMEM_REG`)", try_xdp, 0, 0 },
	{ "`mlock`", try_mlock, 0, 0 },
	{ "fixed buffers of io_uring", try_uring, 6, 12 },
	{ "huge entries", try_huge, 5, 17 },
	{ "[dma-bufs](interface.md#dma-bufs)", try_buffer, 0, 0 },
};

#define ROWS (sizeof(rows) / sizeof(*rows))

/*
 * The devices
 */

static char pci[2][16], address[32];

static void pci_bind(const char *pages)
{
	file_write(PCI_DRIVER "unbind", pci[0]);
	file_write(PARAMETER, pages);
	if (file_write(PCI_DRIVER "bind", pci[0]))
		tap_bail("the device is not bound again");
}

static void with_pages(void)
{
	pci_bind("yes");
}

static void without_pages(void)
{
	pci_bind("no");
}

static void soft_make(const char *name, const char *where)
{
	char path[80];

	snprintf(path, sizeof(path), CONFIG "%s", name);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), CONFIG "%s/size", name);
	file_write(path, "4M");
	snprintf(path, sizeof(path), CONFIG "%s/address", name);
	if (where)
		file_write(path, where);
	snprintf(path, sizeof(path), CONFIG "%s/enable", name);
	if (file_write(path, "1"))
		tap_bail("%s cannot be made", name);
}

static void make_memory(void)
{
	soft_make("memory", NULL);
}

static void make_window(void)
{
	soft_make("window", address);
}

/* The columns of the table. */
static const struct {
	void (*make)(void);
	const char *path;
	bool pages;
} columns[] = {
	{ make_memory, "/dev/ivshmem1", true },
	{ with_pages, "/dev/ivshmem0", true },
	{ make_window, "/dev/ivshmem2", true },
	{ without_pages, "/dev/ivshmem0", false },
};

#define COLUMNS (sizeof(columns) / sizeof(*columns))

/* The second PCI device gives its memory to the window. */
static void take_address(void)
{
	char path[80];
	FILE *file;

	file_write(PCI_DRIVER "unbind", pci[1]);
	snprintf(path, sizeof(path), PCI_DEVICES "%s/enable", pci[1]);
	file_write(path, "1");
	snprintf(path, sizeof(path), PCI_DEVICES "%s/resource", pci[1]);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*s %*s %*s %*s %*s %*s %31s", address) != 1)
		tap_bail("the device has no address");
	fclose(file);
}

static int results[ROWS][COLUMNS];

static void try_all(size_t column)
{
	columns[column].make();
	if (!file_comes(columns[column].path, true))
		tap_bail("%s does not appear", columns[column].path);
	for (size_t i = 0; i < ROWS; i++) {
		fd = dev_open_at(columns[column].path, O_RDWR);
		map = dev_map(fd, SIZE);
		results[i][column] = rows[i].try();
		munmap(map, SIZE);
		close(fd);
	}
	fd = dev_open_at(columns[column].path, O_RDONLY);
	tap_eq(dev_has_pages(fd), columns[column].pages, "%s has struct pages, or not",
	       columns[column].path);
	close(fd);
}

/* One row as the document has it. */
static void print(size_t row)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "| %s", rows[row].name);

	if (rows[row].major)
		n += snprintf(line + n, sizeof(line) - n, ", %s %d.%d",
			      kernel_since(rows[row].major, rows[row].minor) ? "from" : "before",
			      rows[row].major, rows[row].minor);
	for (size_t i = 0; i < COLUMNS; i++) {
		int ret = results[row][i];

		if (ret == LACKS) {
			tap_skip(rows[row].name, "this kernel has no such thing");
			return;
		}
		n += snprintf(line + n, sizeof(line) - n, " | %s",
			      ret >= 0 ? "yes" : ret == -ENOENT ? "no" : strerrorname_np(-ret));
	}
	snprintf(line + n, sizeof(line) - n, " |");
	tap_ok(rig_try("documented mapping.md %s", line), "%s", line);
}

int main(void)
{
	guard();
	fd = dev_open();
	if (!dev_pages(fd, "what struct pages are for"))
		return tap_done();
	close(fd);
	for (int i = 0; i < 2; i++)
		snprintf(pci[i], sizeof(pci[i]), "%s", dev_pci(i));
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	if (system("insmod /lib/ivshmem_soft.ko"))
		tap_bail("ivshmem_soft cannot be loaded");
	take_address();
	for (size_t i = 0; i < COLUMNS; i++)
		try_all(i);
	for (size_t i = 0; i < ROWS; i++)
		print(i);
	rmdir(CONFIG "memory");
	rmdir(CONFIG "window");
	tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded");
	return tap_done();
}
