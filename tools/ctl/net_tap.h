/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tap device: the Ethernet interface whose other end is this program.
 */
#ifndef CTL_NET_TAP_H
#define CTL_NET_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"

/* struct virtio_net_hdr, little-endian: what is before each frame that is read or written. */
#define TAP_HEADER	10

struct tap {
	int fd;
	char name[IFNAMSIZ];
	bool made;	/* it was not there before */
	bool uso;	/* it takes UDP of many packets */
	bool carrier;
};

/*
 * Make one, or join one that is there and has no program. @name may be NULL, or end with %d. It has
 * no carrier yet. If @large, frames of up to 64 KiB are read, which nobody has divided or summed
 * up yet. Complains on failure.
 */
enum exit_code tap_open(struct tap *tap, const char *name, bool large);
void tap_close(struct tap *tap);

/* Or has somebody deleted it? */
bool tap_is_there(const struct tap *tap);

/*
 * Give it an address, of which the last byte is the port, unless the user has. Returns 0 or a
 * negative errno.
 */
int tap_set_address(const struct tap *tap, const uint8_t address[6]);

void tap_set_carrier(struct tap *tap, bool carrier);

#endif /* CTL_NET_TAP_H */
