/* SPDX-License-Identifier: GPL-2.0-only */
/* Polled doorbells of a device: see bell.c and slot.h. */
#ifndef IVSHMEM_BELL_H
#define IVSHMEM_BELL_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/spinlock.h>
#include "transport.h"

struct ivshmem_device;
struct ivshmem_file;

/**
 * struct ivshmem_bells - polled doorbells of a device
 * @lock: protects the rest, and what was seen of the slots. Taken in any context
 * @vectors: how many each peer has, as the label says; under @slots_lock of the device
 * @on: a look can find something; also read as a hint
 * @timer: looks
 * @running: it will look again
 * @last: when something was found, or the timer started
 * @claimed: this machine had a slot
 * @left_over: the last look may not have found all
 * @wanted: who wants doorbells, but for files that are polled
 * @pollers: these, struct ivshmem_file
 * @looks: how often the counters were looked at
 * @pending: vectors to signal
 */
struct ivshmem_bells {
	spinlock_t lock;	/* see above */
	unsigned int vectors;
	bool on;
	bool running;
	bool claimed;
	bool left_over;
	struct hrtimer timer;
	ktime_t last;
	atomic_t wanted;
	struct list_head pollers;
	atomic64_t looks;
	DECLARE_BITMAP(pending, IVSHMEM_MAX_VECTORS);
};

extern unsigned int ivshmem_poll_us;
extern const struct kernel_param_ops ivshmem_poll_us_ops;
void ivshmem_bells_init(struct ivshmem_bells *bells);
void ivshmem_bells_free(struct ivshmem_bells *bells);
void ivshmem_bells_end(struct ivshmem_device *idev);
void ivshmem_bells_stop(struct ivshmem_device *idev);
void ivshmem_bells_want(struct ivshmem_device *idev, int n);
void ivshmem_bells_poll(struct ivshmem_file *file);
void ivshmem_bells_forget(struct ivshmem_file *file);
void ivshmem_bells_tidy(struct ivshmem_device *idev);
bool ivshmem_bells_look(struct ivshmem_device *idev, bool spinning);
bool ivshmem_bells_ring(struct ivshmem_device *idev, u32 *peer, u32 vector);
u32 ivshmem_bells_id(struct ivshmem_device *idev);

#endif
