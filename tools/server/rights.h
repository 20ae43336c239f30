/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A descriptor in a message of a Unix socket (SCM_RIGHTS).
 */
#ifndef RIGHTS_H
#define RIGHTS_H

#include <string.h>
#include <sys/socket.h>

union rights {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static inline void rights_attach(struct msghdr *message, union rights *rights, int fd)
{
	*rights = (union rights){ 0 };
	rights->header.cmsg_level = SOL_SOCKET;
	rights->header.cmsg_type = SCM_RIGHTS;
	rights->header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&rights->header), &fd, sizeof(int));
	message->msg_control = rights;
	message->msg_controllen = sizeof(*rights);
}

#endif /* RIGHTS_H */
