// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tap device: see net_tap.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net_tap.h"
#include "textfile.h"

#define NODE		"/dev/net/tun"
#define DEFAULT_NAME	"ivs%d"

/* Linux 6.2 */
#ifndef TUN_F_USO4
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

static enum exit_code complain_node(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return complain(EXIT_FAILED,
				"this machine has no tap devices, as there is no " NODE ": try 'sudo modprobe tun'");
	case EACCES:
	case EPERM:
		return complain(EXIT_DENIED, "no permission to use " NODE ": see 'ls -l " NODE "'");
	default:
		return complain(EXIT_FAILED, "cannot open " NODE ": %s", strerror(error));
	}
}

static enum exit_code complain_interface(const char *name, int error)
{
	switch (error) {
	case EPERM:
		return complain(EXIT_DENIED,
				"no permission to use the interface %s: run this as root, or have root make it for you with 'ip tuntap add %s mode tap user NAME'",
				name, name);
	case EBUSY:
		return complain(EXIT_FAILED, "another program has the interface %s: choose another one with --tap",
				name);
	case EINVAL:
		return complain(EXIT_FAILED,
				"the interface %s is no tap device, or one of another kind: choose another name with --tap",
				name);
	default:
		return complain(EXIT_FAILED, "cannot make the interface %s: %s", name,
				strerror(error));
	}
}

static bool try_offload(const struct tap *tap, unsigned long offload)
{
	return !ioctl(tap->fd, TUNSETOFFLOAD, offload);
}

/*
 * What the kernel leaves undone for what is read, others have to be able to do: all that rings
 * carry, but not UDP of many packets, which some peers do not know. What can be written is
 * what the kernel knows.
 */
static int set_offload(struct tap *tap, bool large)
{
	const unsigned long tcp = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	tap->uso = try_offload(tap, TUN_F_CSUM | tcp | TUN_F_USO4 | TUN_F_USO6);
	return try_offload(tap, TUN_F_CSUM | (large ? tcp : 0)) ? 0 : -errno;
}

static int set_up(struct tap *tap, bool large)
{
	int size = TAP_HEADER, little_endian = 1;
	int error;

	if (ioctl(tap->fd, TUNSETVNETHDRSZ, &size) || ioctl(tap->fd, TUNSETVNETLE, &little_endian))
		return -errno;
	error = set_offload(tap, large);
	tap->carrier = true;
	tap_set_carrier(tap, false);
	return error;
}

static int make(struct tap *tap, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	tap->made = !if_nametoindex(name);
	if (ioctl(tap->fd, TUNSETIFF, &request))
		return -errno;
	snprintf(tap->name, sizeof(tap->name), "%s", request.ifr_name);
	return 0;
}

enum exit_code tap_open(struct tap *tap, const char *name, bool large)
{
	int error;

	if (!name)
		name = DEFAULT_NAME;
	*tap = (struct tap){ .fd = open(NODE, O_RDWR | O_CLOEXEC | O_NONBLOCK) };
	if (tap->fd < 0)
		return complain_node(errno);
	error = make(tap, name);
	if (!error)
		error = set_up(tap, large);
	if (!error)
		return EXIT_OK;
	close(tap->fd);
	return complain_interface(name, -error);
}

void tap_close(struct tap *tap)
{
	close(tap->fd);
}

/*
 * As the kernel numbers the origins of addresses. Who has only entered a network namespace sees
 * nothing of its interfaces there.
 */
static bool has_random_address(const struct tap *tap)
{
	char path[IFNAMSIZ + 64], type[16];

	snprintf(path, sizeof(path), "/sys/class/net/%s/addr_assign_type", tap->name);
	return !read_line(path, type, sizeof(type)) && !strcmp(type, "1");
}

/* Is the address that of another port, of a time before? */
static bool is_of_segment(const struct tap *tap, const uint8_t address[6])
{
	struct ifreq request = { .ifr_name = "" };

	return !ioctl(tap->fd, SIOCGIFHWADDR, &request) &&
	       !memcmp(request.ifr_hwaddr.sa_data, address, 5);
}

bool tap_is_there(const struct tap *tap)
{
	struct ifreq request = { .ifr_name = "" };

	return !ioctl(tap->fd, TUNGETIFF, &request);
}

int tap_set_address(const struct tap *tap, const uint8_t address[6])
{
	struct ifreq request = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	if (!tap->made && !has_random_address(tap) && !is_of_segment(tap, address))
		return 0;
	memcpy(request.ifr_hwaddr.sa_data, address, 6);
	return ioctl(tap->fd, SIOCSIFHWADDR, &request) ? -errno : 0;
}

/* Before Linux 5.0, an interface has a carrier as long as it has a program. */
void tap_set_carrier(struct tap *tap, bool carrier)
{
	int value = carrier;

	if (tap->carrier == carrier)
		return;
	tap->carrier = carrier;
	if (ioctl(tap->fd, TUNSETCARRIER, &value))
		return;
}
