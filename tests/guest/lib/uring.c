// SPDX-License-Identifier: GPL-2.0-only
/* One request at a time through io_uring: see uring.h. */
#include <sys/syscall.h>

#include "../uring.h"

static volatile uint32_t *uring_word(char *ring, uint32_t offset)
{
	return (volatile uint32_t *)(ring + offset);
}

static void *uring_map(int fd, uint64_t offset, size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
}

static size_t uring_sq_size(const struct io_uring_params *p)
{
	return p->sq_off.array + p->sq_entries * sizeof(uint32_t);
}

static size_t uring_cq_size(const struct io_uring_params *p)
{
	return p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
}

static size_t uring_sqes_size(const struct io_uring_params *p)
{
	return p->sq_entries * sizeof(struct io_uring_sqe);
}

int uring_open(struct uring *ring, uint32_t flags, uint32_t idle_ms)
{
	struct io_uring_params *p = &ring->params;

	*p = (struct io_uring_params){ .flags = flags, .sq_thread_idle = idle_ms };
	ring->fd = syscall(SYS_io_uring_setup, URING_ENTRIES, p);
	if (ring->fd < 0)
		return -errno;
	ring->sq = uring_map(ring->fd, IORING_OFF_SQ_RING, uring_sq_size(p));
	ring->cq = uring_map(ring->fd, IORING_OFF_CQ_RING, uring_cq_size(p));
	ring->sqes = uring_map(ring->fd, IORING_OFF_SQES, uring_sqes_size(p));
	if (ring->sq == MAP_FAILED || ring->cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -ENOMEM;
	return 0;
}

void uring_close(struct uring *ring)
{
	munmap(ring->sq, uring_sq_size(&ring->params));
	munmap(ring->cq, uring_cq_size(&ring->params));
	munmap(ring->sqes, uring_sqes_size(&ring->params));
	close(ring->fd);
}

int uring_register(struct uring *ring, const struct iovec *memory)
{
	return result(syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, memory, 1));
}

int uring_submit(struct uring *ring, const struct io_uring_sqe *sqe)
{
	volatile uint32_t *tail = uring_word(ring->sq, ring->params.sq_off.tail);
	uint32_t slot = *tail % ring->params.sq_entries;

	ring->sqes[slot] = *sqe;
	uring_word(ring->sq, ring->params.sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	return result(syscall(SYS_io_uring_enter, ring->fd, 1, 0,
			      ring->params.flags & IORING_SETUP_SQPOLL ?
			      IORING_ENTER_SQ_WAKEUP : 0, NULL, 0));
}

bool uring_done(struct uring *ring, int *res)
{
	volatile uint32_t *head = uring_word(ring->cq, ring->params.cq_off.head);
	volatile uint32_t *tail = uring_word(ring->cq, ring->params.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(ring->cq + ring->params.cq_off.cqes);

	if (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head)
		return false;
	*res = cqes[*head % ring->params.cq_entries].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

int uring_wait(struct uring *ring)
{
	int64_t end = now_ns() + URING_PATIENCE * SECOND;
	int res = -ETIME;

	while (!uring_done(ring, &res) && now_ns() < end) {
		sleep_ms(1);
		syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
	}
	return res;
}

struct io_uring_sqe uring_request(int opcode, int fd, void *buffer, uint32_t size, off_t offset)
{
	return (struct io_uring_sqe){ .opcode = opcode, .fd = fd, .len = size,
				      .addr = (uintptr_t)buffer, .off = offset };
}

int uring_do(struct uring *ring, struct io_uring_sqe sqe)
{
	int ret = uring_submit(ring, &sqe);

	return ret < 0 ? ret : uring_wait(ring);
}
