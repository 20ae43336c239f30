/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of ivshmemctl net: a port of a segment, and a tap device.
 */
#ifndef CTL_NET_H
#define CTL_NET_H

#include <stdint.h>

#include "ctl.h"
#include "net_learn.h"
#include "net_port.h"
#include "net_tap.h"

struct net {
	struct device device;		/* opened on the partition */
	char partition[32];
	struct mapping mapping;		/* all of it */
	uint8_t address[6];		/* of the interface; the last byte is the port */
	struct net_seat seat;
	struct port port;
	struct tap tap;
	struct learn learn;
	unsigned int up;		/* ports that can be sent to */
};

/* Move frames between them until the user stops it. Complains on failure. */
enum exit_code net_loop(struct net *net);

#endif /* CTL_NET_H */
