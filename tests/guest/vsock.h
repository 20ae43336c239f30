/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections by vsock between the guests of a test in C. */
#ifndef VSOCK_H
#define VSOCK_H

#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "segment.h"

/* Where the kernel shows what the module makes of the partition. */
#define VSOCK_NODE "/sys/bus/ivshmem/devices/ivshmem0p1/"

/* Guest 0 gives all of the memory to a partition for vsock of 4 ports, and all guests make it. */
void vsock_make(void);

/* Load the driver, which must bind to the partition. */
void vsock_load(void);

/* Unload it. Sockets that wait for the answer of a peer keep it for some seconds. */
void vsock_unload(void);

/* The CID of a guest if the link to it is up, or 0. */
unsigned int vsock_up(int guest);

/* The same; waits until the link is up, and ends the test if it stays down. */
unsigned int vsock_cid(int guest);

/* A number in the line of a guest in "cids", or -1. */
enum vsock_field { VSOCK_BROKEN = 2, VSOCK_DROPPED = 3 };

long long vsock_number(int guest, enum vsock_field field);

/* A socket that listens to a port, of SOCK_STREAM or SOCK_SEQPACKET; or a negative errno. */
int vsock_listen(int type, unsigned int port);

/* A connection with a port of a peer; or a negative errno. Waits for ten minutes. */
int vsock_connect(int type, unsigned int cid, unsigned int port);

/* The same from a port of this machine. */
int vsock_connect_from(unsigned int from, int type, unsigned int cid, unsigned int port);

/* Send or receive exactly so many bytes. 0, a negative errno, or -EPIPE at the end. */
int vsock_send(int fd, const void *data, size_t size);
int vsock_receive(int fd, void *data, size_t size);

/* Can this kernel have SOCK_SEQPACKET over vsock? */
bool vsock_has_messages(void);

/* Ports that vsock_serve() listens to. */
#define VSOCK_ECHO	2000	/* streams: all that comes returns */
#define VSOCK_MESSAGES	2001	/* the same for SOCK_SEQPACKET */
#define VSOCK_NAMES	2002	/* sends the CID that the other has here, as 4 bytes */

#define VSOCK_HOLD	2003	/* sends a greeting, and keeps the connection as it is */

#define VSOCK_GREETING	"hello"

/* Answer at these ports, in processes of their own, until vsock_end(). */
void vsock_serve(void);
void vsock_end(void);

/* The CID that the own slot would have. */
unsigned int vsock_own(void);

/* Does a guest answer before long? */
bool vsock_reaches(int guest);

#endif
