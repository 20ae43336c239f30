/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface to a service manager.
 */
#ifndef ACTIVATION_H
#define ACTIVATION_H

/*
 * Get the passed listening socket, or -1 if there is none. Call this before a fork,
 * because the socket is for one process id. Returns 0, or -1 after a message.
 */
int activation_socket(int *fd);

/* Notify the service manager, if any, that the server is ready. */
void activation_ready(void);

#endif /* ACTIVATION_H */
