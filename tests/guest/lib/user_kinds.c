// SPDX-License-Identifier: GPL-2.0-only
/* The kinds of user in users.h. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../uring.h"
#include "../users.h"

#define USER_FILES 200		/* of a user that has many */

/* Wait until all users are ready, as users that never sleep would delay the start of others. */
static void user_ready(struct user *u)
{
	char byte;

	if (write(u->ready, "", 1) != 1 || read(u->go, &byte, 1))
		_exit(100);
	close(u->ready);
	close(u->go);
}

/* The mapping ended in SIGBUS, so the file must say ENODEV, and munmap must succeed. */
static int user_unmap(struct user *u)
{
	if (!user_gone(u->fd))
		return 1;
	return munmap((void *)u->map, u->size) ? 2 : 0;
}

static int user_toucher(struct user *u, bool write)
{
	user_ready(u);
	while (user_touch(u->map, u->size, write))
		u->seat->turns++;
	return user_unmap(u);
}

static int user_write_toucher(struct user *u)
{
	return user_toucher(u, true);
}

static int user_read_toucher(struct user *u)
{
	return user_toucher(u, false);
}

/* Touches a mapping with a hole, a read-only page and a page that was moved. */
static int user_pieces(struct user *u)
{
	size_t page = getpagesize(), quarter = u->size / 4;
	char *map = (char *)u->map, *moved = mmap(NULL, page, PROT_NONE,
						  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct { char *map; size_t length; bool write; } pieces[] = {
		{ map, quarter, true },
		{ map + quarter + page, quarter - page, true },
		{ map + 2 * quarter, page, false },
		{ map + 2 * quarter + page, quarter - page, true },
		{ moved, page, true },
		{ map + 3 * quarter + page, quarter - page, true },
	};
	const int nr = sizeof(pieces) / sizeof(pieces[0]);
	int i, alive;

	if (munmap(map + quarter, page) ||
	    mprotect(map + 2 * quarter, page, PROT_READ) ||
	    mremap(map + 3 * quarter, page, page, MREMAP_MAYMOVE | MREMAP_FIXED,
		   moved) != moved)
		return 1;
	user_ready(u);
	do {
		for (i = alive = 0; i < nr; i++)
			alive += user_touch(pieces[i].map, pieces[i].length,
					    pieces[i].write);
		u->seat->turns++;
	} while (alive == nr);
	/* The other pieces are zapped too, perhaps a moment later. */
	for (i = 0; i < nr; i++) {
		while (user_touch(pieces[i].map, page, pieces[i].write))
			;
		munmap(pieces[i].map, pieces[i].length);
	}
	return !user_gone(u->fd);
}

/*
 * Splits its mapping and moves a part away and back all the time. The device may be
 * unregistered while the part is at either place.
 */
static int user_mover(struct user *u)
{
	const size_t page = getpagesize(), half = u->size / 2;
	char *map = (char *)u->map, *away = mmap(NULL, half, PROT_NONE,
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const int move = MREMAP_MAYMOVE | MREMAP_FIXED;
	bool alive;

	if (away == MAP_FAILED)
		return 1;
	user_ready(u);
	do {
		if (mprotect(map + page, page, PROT_READ) ||
		    mremap(map + half, half, half, move, away) != away)
			return 2;
		alive = user_touch(map, half, false) && user_touch(away, half, true);
		if (mremap(away, half, half, move, map + half) != map + half ||
		    mprotect(map + page, page, PROT_READ | PROT_WRITE))
			return 3;
		u->seat->turns++;
	} while (alive && user_touch(map, u->size, true));
	return user_unmap(u);
}

/* Allow and forbid transparent huge pages in this process, all the time. */
static void *user_toggle(void *arg)
{
	for (unsigned long off = 0;; off = !off)
		prctl(PR_SET_THP_DISABLE, off, 0, 0, 0);
	return arg;
}

static int user_thp_toucher(struct user *u)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, user_toggle, NULL))
		return 1;
	return user_write_toucher(u);
}

/* Touches a mapping of the file in sysfs. */
static int user_sysfs_toucher(struct user *u)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/region", basename(u->path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	munmap((void *)u->map, u->size);
	u->map = mmap(NULL, u->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (u->map == MAP_FAILED)
		return 3;
	close(fd);
	return user_write_toucher(u);
}

/* Rings through the register page: a peer that does not exist, so that nobody wakes. */
static int user_registers(struct user *u)
{
	volatile uint32_t *page;

	if (!(u->info.features & IVSHMEM_FEATURE_REGISTERS))
		return user_read_toucher(u);
	page = dev_map_registers(u->fd);
	user_ready(u);
	while (put_word(&page[IVSHMEM_REG_DOORBELL / 4],
			IVSHMEM_DOORBELL(MAX_PEER, NOISY_VECTOR)))
		u->seat->turns++;
	return !user_gone(u->fd);
}

/* Forks all the time. Its children inherit the mapping and must see the end too. */
static int user_forker(struct user *u)
{
	int status = 0;

	user_ready(u);
	while (!status && user_touch(u->map, getpagesize(), true)) {
		pid_t pid = fork();

		if (!pid) {
			do {
				if (!user_touch(u->map, u->size, false))
					_exit(!user_gone(u->fd));
			} while (user_gone(u->fd));
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			status = 1;
		u->seat->turns++;
	}
	return status ? 3 : user_unmap(u);
}

/* Inherited its file and mapping from a parent that has exited. */
static int user_orphan(struct user *u)
{
	pid_t parent = getpid();

	if (fork())
		_exit(0);
	u->seat->pid = getpid();
	while (getppid() == parent)
		sleep_ms(1);
	return user_write_toucher(u);
}

/* Reads or writes more than the driver copies at once: the device may go in the middle. */
static int user_file(struct user *u, bool write)
{
	static char buffer[128 << 10];
	const off_t place = u->size / 2;
	ssize_t ret;

	user_ready(u);
	for (;; u->seat->turns++) {
		if (write)
			ret = result(pwrite(u->fd, buffer, sizeof(buffer), place));
		else
			ret = result(pread(u->fd, buffer, sizeof(buffer), place));
		if (ret <= 0)
			break;
	}
	if (ret != -ENODEV)
		return 1;
	return mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, u->fd, 0) != MAP_FAILED;
}

static int user_reader(struct user *u)
{
	return user_file(u, false);
}

static int user_writer(struct user *u)
{
	return user_file(u, true);
}

/* Reads by io_uring, if the kernel has it. */
static int user_uring_reader(struct user *u)
{
	static char buffer[128 << 10];
	struct uring ring;
	int ret;

	if (uring_open(&ring, 0, 0))
		return user_reader(u);
	user_ready(u);
	for (;; u->seat->turns++) {
		ret = uring_submit(&ring, &(struct io_uring_sqe){
			.opcode = IORING_OP_READ, .fd = u->fd, .len = sizeof(buffer),
			.addr = (uintptr_t)buffer, .off = u->size / 2 });
		/* During a reset the request waits until the reset is done. */
		while (ret == 1 && !uring_done(&ring, &ret))
			syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS,
				NULL, 0);
		if (ret <= 0 && ret != -EINTR)
			break;
	}
	return ret != -ENODEV;
}

/* Moves bytes to a pipe and back. */
static int user_splicer(struct user *u)
{
	int ends[2], ret;

	if (pipe(ends))
		return 1;
	user_ready(u);
	for (;; u->seat->turns++) {
		off_t from = u->size / 4, to = u->size / 2;

		ret = result(splice(u->fd, &from, ends[1], NULL, 32 << 10, 0));
		while (ret > 0 && to - u->size / 2 < from - u->size / 4)
			ret = result(splice(ends[0], NULL, u->fd, &to, 32 << 10, 0));
		if (ret <= 0)
			break;
	}
	return ret != -ENODEV;
}

/* Opens, maps, touches and closes until there is no node to open. */
static int user_opener(struct user *u)
{
	const size_t page = getpagesize();

	user_ready(u);
	for (;; u->seat->turns++) {
		int fd = open(u->path, O_RDWR | O_CLOEXEC);
		char *p;

		if (fd < 0)
			return errno != ENOENT && errno != ENXIO && errno != ENODEV;
		p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED) {
			user_touch(p, page, true);
			munmap(p, page);
		}
		close(fd);
	}
}

static int user_ringer(struct user *u)
{
	int ret;

	user_ready(u);
	do {
		ret = dev_ring(u->fd, u->info.id, NOISY_VECTOR);
		u->seat->turns++;
		sleep_ms(1);
	} while (!ret || (ret == -EOPNOTSUPP && !u->info.vectors));
	return ret != -ENODEV;
}

/*
 * Take the vectors that fired; count a turn if one was not the noisy vector. Without
 * vectors poll() always gives POLLIN, so sleep instead.
 */
static void user_take(struct user *u)
{
	const uint64_t all = 0xf;
	uint64_t signalled = 0;
	struct ivshmem_wait w = dev_set_wait(&all, 0);

	w.signalled_set = (uintptr_t)&signalled;

	if (!u->info.vectors)
		sleep_ms(1);
	else if (!dev_wait(u->fd, &w) && signalled & ((1 << USER_VECTORS) - 1))
		u->seat->turns++;
}

/* Sleep in poll; gives its events. */
static int user_poll(struct user *u)
{
	struct pollfd p = { .fd = u->fd, .events = POLLIN };

	return poll(&p, 1, -1) == 1 ? p.revents : 0;
}

static int user_poller(struct user *u)
{
	int events;

	user_ready(u);
	while ((events = user_poll(u)) == POLLIN)
		user_take(u);
	return events != (POLLHUP | POLLERR);
}

static int user_epoller(struct user *u)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (epoll_ctl(ep, EPOLL_CTL_ADD, u->fd, &e))
		return 1;
	user_ready(u);
	do {
		user_take(u);
		/* Suspend interrupts epoll_wait. */
		while (epoll_wait(ep, &e, 1, -1) < 0 && errno == EINTR)
			;
	} while (e.events == EPOLLIN);
	return e.events != (EPOLLHUP | EPOLLERR);
}

static int user_sigio(struct user *u)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (fcntl(u->fd, F_SETOWN, getpid()) || fcntl(u->fd, F_SETFL, O_RDWR | O_ASYNC))
		return 1;
	user_ready(u);
	while (!user_gone(u->fd)) {
		sigwaitinfo(&set, NULL);
		user_take(u);
	}
	return 0;
}

/* The end of the device signals an eventfd too; INFO tells that from a doorbell. */
static int user_eventfd(struct user *u)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	eventfd_t value;

	if (!u->info.vectors)
		return user_poller(u);
	if (dev_eventfd(u->fd, 1, efd))
		return 1;
	user_ready(u);
	while (!user_gone(u->fd)) {
		if (eventfd_read(efd, &value))
			return 2;
		u->seat->turns++;
	}
	return 0;
}

/* Has many files, each with an eventfd on the same vector, signalled in any order. */
static int user_many_eventfds(struct user *u)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	eventfd_t value;

	if (!u->info.vectors)
		return user_poller(u);
	for (int i = 0; i < USER_FILES; i++) {
		e.data.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (e.data.fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e) ||
		    dev_eventfd(dev_open_at(u->path, O_RDWR), 2, e.data.fd))
			return 1;
	}
	user_ready(u);
	while (!user_gone(u->fd)) {
		if (epoll_wait(ep, &e, 1, -1) == 1 && !eventfd_read(e.data.fd, &value))
			u->seat->turns++;
	}
	return 0;
}

/* Asks who is present; of a device without a label nobody says that. */
static int user_ask(struct user *u, int64_t timeout_ns)
{
	struct ivshmem_peer_info infos[4];
	struct ivshmem_peers p = {
		.peers = (uintptr_t)infos, .room = 4, .info_size = sizeof(infos[0]),
	};
	int ret = result(ioctl(u->fd, IVSHMEM_IOC_PEERS, &p));

	if (ret || !timeout_ns)
		return ret;
	p.flags = IVSHMEM_PEERS_WAIT;
	p.timeout_ns = timeout_ns;
	return result(ioctl(u->fd, IVSHMEM_IOC_PEERS, &p));
}

/*
 * Call WAIT all the time, and ring first if asked. Without vectors it gives EOPNOTSUPP until the
 * device is unregistered.
 */
static int user_waits(struct user *u, const struct ivshmem_wait *wait, bool ring)
{
	int ret;

	user_ready(u);
	do {
		struct ivshmem_wait w = *wait;

		ret = ring ? dev_ring_wait(u->fd, u->info.id, NOISY_VECTOR, &w) :
			     dev_wait(u->fd, &w);
		u->seat->turns += !ret;
		if (!ret && w.result & IVSHMEM_RESULT_NEWS)
			user_ask(u, 0);
		if (ret == -EOPNOTSUPP && !u->info.vectors)
			sleep_ms(1);
		else if (ret && ret != -EINTR && (ret != -ETIMEDOUT || wait->timeout_ns < 0))
			break;	/* EINTR: it was stopped or frozen */
	} while (true);
	return ret != -ENODEV;
}

static int user_waiter(struct user *u)
{
	const struct ivshmem_wait w = { .vector = 2, .timeout_ns = -1 };

	return user_waits(u, &w, false);
}

static int user_set_waiter(struct user *u)
{
	const uint64_t set = 0x7;
	const struct ivshmem_wait w = dev_set_wait(&set, -1);

	return user_waits(u, &w, false);
}

static int user_hasty_waiter(struct user *u)
{
	const struct ivshmem_wait w = { .vector = 0, .timeout_ns = 3000000,
					.spin_ns = 100000 };

	return user_waits(u, &w, false);
}

static int user_patient_waiter(struct user *u)
{
	const struct ivshmem_wait w = { .vector = 1, .timeout_ns = 3600 * SECOND };

	return user_waits(u, &w, false);
}

/* Waits for a word that nobody changes, so only a doorbell ends the wait. */
static int user_word_waiter(struct user *u)
{
	const struct ivshmem_wait w = {
		.flags = IVSHMEM_WAIT_WORD, .vector = 0, .offset = 128,
		.expected = *(volatile uint32_t *)(u->map + 128), .timeout_ns = -1,
	};

	return user_waits(u, &w, false);
}

static int user_ring_waiter(struct user *u)
{
	const struct ivshmem_wait w = { .vector = 1, .timeout_ns = -1 };

	return user_waits(u, &w, true);
}

/* Sleeps until peers come and go, or for a moment. */
static int user_asker(struct user *u)
{
	int ret;

	user_ready(u);
	while (!user_gone(u->fd)) {
		ret = user_ask(u, 3000000);
		if (ret && ret != -ETIMEDOUT && ret != -EINTR && ret != -EOPNOTSUPP &&
		    ret != -ENODEV)
			return 1;
		u->seat->turns++;
		sleep_ms(1);
	}
	return 0;
}

/* A doorbell ends the wait, and so do peers that come and go. */
static int user_news_waiter(struct user *u)
{
	struct ivshmem_wait w = { .vector = 0, .timeout_ns = -1 };

	if (!user_ask(u, 0))
		w.flags = IVSHMEM_WAIT_NEWS;
	return user_waits(u, &w, false);
}

static bool user_send(int sock, int fd)
{
	union { char room[CMSG_SPACE(sizeof(fd))]; struct cmsghdr align; } control;
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	struct msghdr m = { .msg_iov = &byte, .msg_iovlen = 1,
			    .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1;
}

/* Receive a descriptor; -1 if none was sent. */
static int user_receive(int sock)
{
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	char data;
	struct iovec byte = { .iov_base = &data, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &byte, .msg_iovlen = 1,
			    .msg_control = &control, .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(sock, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* Received its descriptor over a socket from a process that has exited. */
static int user_receiver(struct user *u)
{
	int pair[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	pid = fork();
	if (!pid)
		_exit(!user_send(pair[0], dev_open_at(u->path, O_RDWR)));
	munmap((void *)u->map, u->size);
	close(u->fd);
	u->fd = user_receive(pair[1]);
	if (waitpid(pid, &status, 0) != pid || status)
		return 2;
	u->map = dev_map(u->fd, u->size);
	if (user_waiter(u))
		return 3;
	/* Waiters are woken before mappings are zapped. */
	while (user_touch(u->map, getpagesize(), true))
		;
	return user_unmap(u);
}

/* Keeps its descriptor in a socket's queue, and receives it only after an event. */
static int user_in_flight(struct user *u)
{
	int pair[2], fd = dev_open_at(u->path, O_RDWR), events;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	user_send(pair[0], fd);
	close(fd);
	user_ready(u);
	do {
		events = user_poll(u);
		fd = user_receive(pair[1]);
		if (events != POLLIN)
			break;
		user_take(u);
		user_send(pair[0], fd);
		close(fd);
	} while (true);
	if (events != (POLLHUP | POLLERR) || !user_gone(fd))
		return 2;
	return mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED;
}

const struct user_kind user_kinds[USERS] = {
	{ "write toucher", user_write_toucher },
	{ "read toucher", user_read_toucher },
	{ "toucher of a mapping in pieces", user_pieces },
	{ "mover of a mapping", user_mover },
	{ "toucher that toggles huge pages", user_thp_toucher },
	{ "toucher through sysfs", user_sysfs_toucher },
	{ "ringer through the register page", user_registers },
	{ "forker", user_forker },
	{ "orphan", user_orphan },
	{ "reader", user_reader },
	{ "writer", user_writer },
	{ "reader by io_uring", user_uring_reader },
	{ "splicer", user_splicer },
	{ "opener", user_opener },
	{ "ringer", user_ringer },
	{ "poller", user_poller },
	{ "epoller", user_epoller },
	{ "receiver of SIGIO", user_sigio },
	{ "reader of an eventfd", user_eventfd },
	{ "reader of many eventfds", user_many_eventfds },
	{ "waiter", user_waiter },
	{ "waiter for a set", user_set_waiter },
	{ "waiter with a short timeout", user_hasty_waiter },
	{ "waiter with a long timeout", user_patient_waiter },
	{ "waiter for a word", user_word_waiter },
	{ "ringing waiter", user_ring_waiter },
	{ "asker for peers", user_asker },
	{ "waiter for peers", user_news_waiter },
	{ "receiver of a descriptor", user_receiver },
	{ "receiver of a descriptor in flight", user_in_flight },
};
