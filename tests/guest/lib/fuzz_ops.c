// SPDX-License-Identifier: GPL-2.0-only
/* The operations of fuzz.c: see fuzz_ops.h. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../fuzz_ops.h"

#define BUFFER (128 << 10)

/* Shared by the threads of a process. */
static bool may_replace;
static int fds[SLOTS], eventfds[4], epoll, own_memory;
static int ends[2], file;	/* a pipe that delays nobody, and a file of SIZE */
static struct { char *address; size_t length; } maps[SLOTS];
static uint64_t registers_offset;

static __thread char *buffer;	/* between two guard pages */

/* Draw a number for an offset, length or field, often at an edge. */
uint64_t op_number(void)
{
	const uint64_t edges[] = {
		0, 1, 2, 3, 4, 63, 64, 255, 256, PAGE - 1, PAGE, PAGE + 1, 65535, 65536,
		SIZE / 2, SIZE - PAGE, SIZE - 4, SIZE - 1, SIZE, SIZE + PAGE,
		INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX,
	};

	switch (below(4)) {
	case 0:
		return edges[below(sizeof(edges) / sizeof(*edges))];
	case 1:
		return draw() >> below(64);
	default:
		return below(SIZE / PAGE) * PAGE;
	}
}

/*
 * An address for a system call: mostly that of the buffer, or so near its end that it is
 * too short, or in a mapping of a device, or invalid.
 */
static void *place(const struct op *o, unsigned int which)
{
	switch (which % 16) {
	case 0:
		return buffer + BUFFER - o->bits % 256;
	case 1:
	case 2:
		return maps[o->other].address;
	case 3:
		return which & 16 ? NULL : (void *)-PAGE;
	default:
		return buffer + which % 16;
	}
}

/*
 * Operations
 */

static void keep_fd(unsigned int slot, int fd)
{
	if (fd < 0)
		return;
	close(fds[slot]);
	fds[slot] = fd;
}

/* A node, or the same memory as a file of sysfs. */
static void op_open(const struct op *o)
{
	static const char * const paths[] = {
		"/dev/ivshmem%u", "/sys/class/ivshmem/ivshmem%u/region",
	};
	char path[64];

	snprintf(path, sizeof(path), paths[o->place % 8 == 7], o->other % DEVICES);
	keep_fd(o->slot, open(path, (o->bits & (O_ACCMODE | O_NONBLOCK | O_APPEND | O_SYNC |
						O_DIRECT | O_TRUNC | O_EXCL | O_PATH |
						O_ASYNC | O_NOFOLLOW)) | O_CLOEXEC));
}

static void op_dup(const struct op *o)
{
	keep_fd(o->other, fcntl(fds[o->slot], F_DUPFD_CLOEXEC, 0));
}

static void op_close(const struct op *o)
{
	close(fds[o->slot]);
	fds[o->slot] = -1;
}

/* Limit how long a WAIT lasts, and point its counts to harmless memory. */
static void tame_wait(const struct op *o, struct ivshmem_wait *w)
{
	if (w->flags & IVSHMEM_WAIT_ABSTIME && w->timeout_ns > SECOND)
		w->timeout_ns = now_ns() + SHORT_NS;
	else if (w->timeout_ns > SHORT_NS || (w->timeout_ns < 0 && !once_in(64)))
		w->timeout_ns = SHORT_NS;
	if (w->spin_ns > SHORT_NS && w->spin_ns <= IVSHMEM_MAX_SPIN_NS)
		w->spin_ns = SHORT_NS;
	if (w->set)
		w->set = (uintptr_t)place(o, w->set);
	if (w->signalled_set)
		w->signalled_set = (uintptr_t)place(o, w->signalled_set);
	if (w->counts)
		w->counts = (uintptr_t)place(o, w->counts);
}

/* Mostly good, as hardly any would be by chance; and no longer than a WAIT. */
static void tame_peers(const struct op *o, struct ivshmem_peers *p)
{
	if (p->peers)
		p->peers = (uintptr_t)place(o, p->peers);
	if (!once_in(8)) {
		p->flags &= IVSHMEM_PEERS_WAIT;
		p->room = p->peers ? 1 + p->room % 256 : 0;
		p->info_size = p->room ? 64 + p->info_size % 64 * 8 : 0;
		if (!p->flags)
			p->timeout_ns = 0;
	}
	if (p->timeout_ns > SHORT_NS || p->timeout_ns < 0)
		p->timeout_ns = SHORT_NS;
}

/* The ioctl of a program that knows another size of the structure. */
static unsigned long resized(unsigned long command, uint32_t bits)
{
	unsigned int size = _IOC_SIZE(command) + (bits >> 8) % 17 * 4;

	if (bits >> 16 & 1)
		size = _IOC_SIZE(command) - (bits >> 8) % 17 * 4;
	return (command & ~IOCSIZE_MASK) | (size << _IOC_SIZESHIFT & IOCSIZE_MASK);
}

static void op_ioctl(const struct op *o)
{
	static const unsigned long commands[] = {
		IVSHMEM_IOC_INFO, IVSHMEM_IOC_REGION, IVSHMEM_IOC_RING,
		IVSHMEM_IOC_WAIT, IVSHMEM_IOC_EVENTFD, IVSHMEM_IOC_DMABUF,
		IVSHMEM_IOC_PEERS,
	};
	unsigned int which = o->bits % 8;
	struct op tame = *o;
	void *to = place(o, o->place);
	int ret;

	if (which == 3) {
		put((void *)place(o, o->data.wait.set), &o->data.words[WORDS - 8],
		    8 * sizeof(uint32_t));
		tame_wait(o, &tame.data.wait);
	}
	if (which == 4 && tame.data.eventfd.fd >= 0 && tame.data.eventfd.fd < 4)
		tame.data.eventfd.fd = eventfds[tame.data.eventfd.fd];
	if (which == 5 && !once_in(8)) {
		tame.data.dmabuf.offset &= -(uint64_t)PAGE & (SIZE - 1);
		tame.data.dmabuf.size = PAGE << (o->bits >> 20) % 11;
		tame.data.dmabuf.flags = IVSHMEM_DMABUF_CLOEXEC;
		tame.data.dmabuf.reserved = 0;
	}
	if (which == 6)
		tame_peers(o, &tame.data.peers);
	put(to, &tame.data, sizeof(tame.data));
	if (which == 7)
		ret = ioctl(fds[o->slot], o->offset, to);
	else if (o->bits >> 17 & 7)
		ret = ioctl(fds[o->slot], commands[which], to);
	else
		ret = ioctl(fds[o->slot], resized(commands[which], o->bits), to);
	/* The file of a dma-buf takes part. */
	if (which == 5)
		keep_fd(o->other, ret);
}

static void op_unmap(const struct op *o)
{
	if (o->bits % 4) {
		munmap(maps[o->slot].address, maps[o->slot].length);
		maps[o->slot].length = 0;
	} else if (maps[o->slot].length) {
		munmap(maps[o->slot].address + o->offset % maps[o->slot].length / PAGE * PAGE,
		       PAGE);
	}
}

static void keep_map(unsigned int slot, void *address, size_t length)
{
	if (address == MAP_FAILED)
		return;
	if (maps[slot].length)
		munmap(maps[slot].address, maps[slot].length);
	maps[slot].address = address;
	maps[slot].length = length;
}

static void op_map(const struct op *o)
{
	static const int flags[] = {
		MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED | MAP_POPULATE,
		MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_SHARED | MAP_LOCKED,
		MAP_SHARED_VALIDATE | MAP_SYNC,
	};
	uint64_t offset = o->bits & 1 << 8 ? registers_offset : o->offset;
	uint64_t length = o->bits & 1 << 9 ? PAGE : o->length;
	void *hint = o->bits & 1 << 10 ? maps[o->other].address : NULL;

	keep_map(o->slot, mmap(hint, length, o->bits & 7, flags[o->place % 8],
			       fds[o->slot], offset), length);
}

/* Change a mapping, or a part of it. */
static void op_change(const struct op *o)
{
	char *p = maps[o->slot].address;
	size_t length = maps[o->slot].length;

	if (!length)
		return;
	if (o->bits & 1 << 8) {
		p += o->offset % length / PAGE * PAGE;
		length = PAGE;
	}
	switch (o->place % 8) {
	case 0:
	case 1:
		mprotect(p, length, o->bits & 7);
		break;
	case 2:
	case 3:
		/* All but MADV_HWPOISON and MADV_SOFT_OFFLINE, which take memory away. */
		madvise(p, length, o->bits % 26);
		break;
	case 4:
		msync(p, length, o->bits & 7);
		break;
	case 5:
		mlock(p, length);
		break;
	case 6:
		munlock(p, length);
		break;
	default:
		mincore(p, length > BUFFER ? BUFFER : length, (void *)buffer);
	}
}

static void op_move(const struct op *o)
{
	int flags = o->bits & (MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	bool copies = o->bits & 1 << 8 || flags & MREMAP_DONTUNMAP;
	size_t length = o->bits & 1 << 9 ? o->length : maps[o->slot].length;
	void *moved;

	if (!maps[o->slot].length)
		return;
	/* An old length of 0 makes a second mapping of the same memory. */
	moved = mremap(maps[o->slot].address, o->bits & 1 << 8 ? 0 : maps[o->slot].length,
		       length, flags);
	if (moved == MAP_FAILED)
		return;
	if (copies) {
		keep_map(o->other, moved, length);
	} else {
		maps[o->slot].address = moved;
		maps[o->slot].length = length;
	}
}

static void op_touch(const struct op *o)
{
	size_t length = maps[o->slot].length, step = PAGE << o->place % 10;
	uint64_t word = o->length;

	for (size_t at = length ? o->offset % length & ~7ULL : 0, i = 0;
	     at + 8 <= length && i < 16; at += step, i++) {
		if (o->bits & 1)
			put(maps[o->slot].address + at, &word, o->bits & 2 ? 4 : 8);
		else
			put(buffer, maps[o->slot].address + at, 8);
	}
}

static void op_transfer(const struct op *o)
{
	int fd = fds[o->slot];
	size_t length = o->bits & 1 << 8 ? o->length : o->length % BUFFER;
	char *p = place(o, o->place);
	struct iovec parts[] = { { p, length / 2 }, { buffer, o->bits >> 16 },
				 { place(o, o->bits >> 4), length } };
	ssize_t done;

	switch (o->bits % 8) {
	case 0:
		done = read(fd, p, length);
		break;
	case 1:
		done = write(fd, p, length);
		break;
	case 2:
		done = pread(fd, p, length, o->offset);
		break;
	case 3:
		done = pwrite(fd, p, length, o->offset);
		break;
	case 4:
		done = preadv(fd, parts, 3, o->offset);
		break;
	case 5:
		done = pwritev(fd, parts, 3, o->offset);
		break;
	case 6:
		done = preadv2(fd, parts, 3, o->offset, o->bits >> 9 & 0x7f);
		break;
	default:
		done = pwritev2(fd, parts, 3, o->offset, o->bits >> 9 & 0x7f);
	}
	(void)done;
}

/* Through the pipe, which may hold pages of the program's or of a mapping. */
static void op_splice(const struct op *o)
{
	size_t length = o->bits & 1 << 8 ? o->length : o->length % BUFFER;
	int flags = (o->bits >> 9 & 0xf) | SPLICE_F_NONBLOCK;
	struct iovec part = { place(o, o->place), length };
	off_t at = o->offset, *from = o->bits & 1 << 13 ? &at : NULL;
	ssize_t done;

	switch (o->bits % 8) {
	case 0:
	case 1:
		done = splice(fds[o->slot], from, ends[1], NULL, length, flags);
		break;
	case 2:
	case 3:
		done = splice(ends[0], NULL, fds[o->slot], from, length, flags);
		break;
	case 4:
		done = vmsplice(ends[o->bits >> 14 & 1], &part, 1, flags);
		break;
	case 5:
		done = sendfile(ends[1], fds[o->slot], from, length);
		break;
	case 6:
		done = read(ends[0], part.iov_base, length);
		break;
	default:
		done = write(ends[1], part.iov_base, length);
	}
	(void)done;
}

/* What works on files, to and from one, and from device to device. */
static void op_file(const struct op *o)
{
	off_t at = o->offset, to = o->bits >> 8 & (SIZE - 1);
	size_t length = o->length % (o->place % 8 ? BUFFER : 2 * SIZE);
	int fd = fds[o->slot];
	ssize_t done;

	switch (o->bits % 8) {
	case 0:
		lseek(file, to, SEEK_SET);
		done = sendfile(file, fd, &at, length);
		break;
	case 1:
		done = sendfile(fd, file, &to, length);
		break;
	case 2:
		done = sendfile(fds[o->other], fd, &at, length);
		break;
	case 3:
		done = copy_file_range(fd, &at, file, &to, length, 0);
		break;
	case 4:
		done = copy_file_range(file, &to, fd, &at, length, 0);
		break;
	case 5:
		done = copy_file_range(fd, &at, fds[o->other], &to, length, 0);
		break;
	case 6:
		done = fallocate(fd, o->place & 0x7f, o->offset, o->length);
		break;
	default:
		done = ftruncate(fd, o->length);
	}
	(void)done;
	/* It grows with what is written to it. */
	if (ftruncate(file, SIZE))
		tap_note("ftruncate: %s", strerror(errno));
}

static void op_seek(const struct op *o)
{
	lseek(fds[o->slot], o->offset, o->bits % 6);
}

static void op_poll(const struct op *o)
{
	struct timespec wait = { .tv_nsec = o->bits % 8 ? 0 : SHORT_NS };
	struct pollfd files[] = { { .fd = fds[o->slot], .events = o->bits >> 16 },
				  { .fd = fds[o->other], .events = o->bits } };

	ppoll(files, 1 + o->place % 2, &wait, NULL);
}

static void op_epoll(const struct op *o)
{
	struct epoll_event event = { .events = o->bits | (o->place & 1 ? EPOLLIN : 0) };

	if (o->place % 4)
		epoll_ctl(epoll, 1 + o->place % 3, fds[o->slot], &event);
	else
		epoll_wait(epoll, &event, 1, 0);
}

static void op_fcntl(const struct op *o)
{
	int fd = fds[o->slot];
	struct flock lock = { .l_type = o->place % 3, .l_start = o->offset,
			      .l_len = o->length };

	switch (o->bits % 4) {
	case 0:
		fcntl(fd, F_SETFL, o->offset & (O_ASYNC | O_NONBLOCK | O_APPEND | O_DIRECT));
		break;
	case 1:
		fcntl(fd, F_SETOWN, o->place & 1 ? getpid() : 0);
		break;
	case 2:
		fcntl(fd, F_SETLK, &lock);
		break;
	default:
		fcntl(fd, o->place & 1 ? F_GETFL : F_GETOWN);
	}
}

static void op_eventfd(const struct op *o)
{
	eventfd_t value = o->bits;

	if (o->place & 1)
		eventfd_read(eventfds[o->slot % 4], &value);
	else
		eventfd_write(eventfds[o->slot % 4], value);
}

/* Access a mapping as a debugger does. Stay inside: this way can write to any memory. */
static void op_peek(const struct op *o)
{
	size_t length = maps[o->slot].length, from, some;
	off_t at;

	if (!length)
		return;
	from = o->offset % length;
	at = (uintptr_t)maps[o->slot].address + from;
	some = o->length % BUFFER;
	if (some > length - from)
		some = length - from;
	if (o->bits & 1)
		length = pwrite(own_memory, buffer, some, at);
	else
		length = pread(own_memory, buffer, some, at);
}

/* Fork, but rarely: it takes as long as hundreds of other operations. */
static void op_fork(const struct op *o)
{
	pid_t child = once_in(64) ? fork() : -1;

	if (!child) {
		op_touch(o);
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static void op_attribute(const struct op *o)
{
	static const char * const files[] = {
		"/sys/class/ivshmem/ivshmem%u/size", "/sys/class/ivshmem/ivshmem%u/id",
		"/sys/class/ivshmem/ivshmem%u/vectors", "/sys/class/ivshmem/ivshmem%u/cache",
		"/sys/class/ivshmem/ivshmem%u/pages", "/sys/class/ivshmem/ivshmem%u/name",
		"/sys/class/ivshmem/ivshmem%u/uevent",
		"/sys/class/ivshmem/ivshmem%u/interrupts/0",
		"/sys/class/ivshmem/ivshmem%u/interrupts/3",
		"/sys/module/ivshmem/parameters/cache",
		CONFIG "idle/address", CONFIG "idle/size", CONFIG "idle/irq",
		CONFIG "idle/doorbell", CONFIG "idle/vectors", CONFIG "idle/enable",
		CONFIG "idle/device", CONFIG "idle/reason",
	};
	unsigned int which = o->bits % (sizeof(files) / sizeof(*files));
	char path[64], text[64];
	int fd, length;

	snprintf(path, sizeof(path), files[which], o->other % DEVICES);
	fd = open(path, (o->place & 1 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	length = snprintf(text, sizeof(text), o->place & 2 ? "0x%llx%c" : "%lld%c",
			  (long long)o->offset, o->bits >> 16 & 0x7f);
	/* The device described there is never enabled. */
	if (o->place & 1 && strcmp(files[which], CONFIG "idle/enable"))
		length = write(fd, text, length);
	else if (pread(fd, buffer, o->length % BUFFER, o->offset % 128) > 0)
		length = 0;
	close(fd);
}

/* Disable a device and enable it again. */
static void op_replace(const struct op *o)
{
	(void)o;
	if (may_replace && once_in(256)) {
		file_write(CONFIG "soft/enable", "0");
		file_write(CONFIG "soft/enable", "1");
	}
}

static const struct kind kinds[] = {
	{ op_open, 8 }, { op_dup, 2 }, { op_close, 2 }, { op_ioctl, 30 }, { op_map, 10 },
	{ op_unmap, 2 }, { op_change, 5 }, { op_move, 3 }, { op_touch, 8 },
	{ op_transfer, 12 }, { op_seek, 2 }, { op_poll, 4 }, { op_epoll, 4 },
	{ op_fcntl, 4 }, { op_eventfd, 2 }, { op_peek, 3 }, { op_fork, 1 },
	{ op_attribute, 3 }, { op_replace, 1 }, { op_splice, 8 }, { op_file, 6 },
};

void op_run(const struct op *o)
{
	kinds[o->kind].run(o);
}

unsigned int op_draw_kind(void)
{
	return draw_kind(kinds, sizeof(kinds) / sizeof(*kinds));
}

/*
 * New operations
 */

/* A request that is mostly valid. */
static void make_wait(struct op *o)
{
	struct ivshmem_wait *w = &o->data.wait;

	w->flags = below(32);
	if (w->flags & IVSHMEM_WAIT_SET) {
		w->set = 1 + below(32);
		w->nbits = 1 + (once_in(4) ? below(600) : below(6));
		w->signalled_set = below(2) * below(32);
		w->counts = below(2) * below(32);
		o->data.words[WORDS - 8] = below(16);
	} else {
		w->vector = below(4);
	}
	if (w->flags & IVSHMEM_WAIT_RING) {
		w->ring_peer = below(6);
		w->ring_vector = below(5);
	}
	if (w->flags & IVSHMEM_WAIT_WORD) {
		w->offset = below(SIZE / 4) * 4;
		w->expected = once_in(2) ? 0 : draw();
	}
	w->timeout_ns = once_in(4) ? SHORT_NS : 0;
	w->spin_ns = once_in(8) ? SHORT_NS / 2 : 0;
}

static void make_data(struct op *o)
{
	memset(&o->data, 0, sizeof(o->data));
	switch (o->bits % 6) {
	case 1:
		o->data.region.index = below(3);
		break;
	case 2:
		o->data.ring = (struct ivshmem_ring){ below(6), below(5), 0, 0 };
		break;
	case 3:
		make_wait(o);
		break;
	case 4:
		o->data.eventfd = (struct ivshmem_eventfd){ below(4), (int)below(6) - 1, 0, 0 };
		break;
	}
	if (once_in(6))
		o->data.words[below(WORDS)] = op_number();
}

void op_make(struct op *o, unsigned int kind)
{
	o->kind = kind;
	o->slot = below(3) ? 0 : below(SLOTS);
	o->other = below(SLOTS);
	o->place = draw() >> 24;
	o->bits = draw() >> 16;
	o->offset = op_number();
	o->length = op_number();
	make_data(o);
	/* Mostly open for reading and writing, and map the whole region. */
	if (kinds[kind].run == op_open && below(4))
		o->bits = O_RDWR;
	if (kinds[kind].run == op_map && below(4)) {
		o->bits = PROT_READ | PROT_WRITE;
		o->place = 0;
		if (below(2))
			o->offset = 0, o->length = SIZE;
	}
}

/*
 * Begin and end
 */

void ops_begin(bool replace, uint64_t registers)
{
	may_replace = replace;
	registers_offset = registers;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	own_memory = dev_open_at("/proc/self/mem", O_RDWR);
	file = memfd_create("file", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, SIZE) || pipe2(ends, O_NONBLOCK | O_CLOEXEC))
		tap_bail("no file or pipe: %s", strerror(errno));
	for (int i = 0; i < 4; i++)
		eventfds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (int i = 0; i < SLOTS; i++)
		fds[i] = -1;
}

void ops_begin_thread(void)
{
	buffer = mmap(NULL, BUFFER + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0) + PAGE;
	mprotect(buffer, BUFFER, PROT_READ | PROT_WRITE);
}

void ops_clean_up(void)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		op_close(&(struct op){ .slot = i });
		op_unmap(&(struct op){ .slot = i, .bits = 1 });
	}
	while (read(ends[0], buffer, BUFFER) > 0)
		;
}
