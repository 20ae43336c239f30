/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a service manager gives the server, and hears from it.
 */
#ifndef ACTIVATION_H
#define ACTIVATION_H

/*
 * The listening socket that was handed over, or -1 if there is none. To be
 * called before a fork, as it is meant for one process. Gives 0, or -1 having
 * said what is wrong.
 */
int activation_socket(int *fd);

/* Tell, if somebody wants to know, that the server is up. */
void activation_ready(void);

#endif /* ACTIVATION_H */
