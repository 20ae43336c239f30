/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A server that sends what a test wants, on scratch("socket").
 */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <pthread.h>

#include "harness.h"

#define FAKE_COPIES	200	/* descriptors in one message */

/* What the server does once a client has connected. */
typedef void (*fake_script)(int client);

void fake_listen(void);

/* Run the script for the next client, in a thread of its own. */
pthread_t fake_run(fake_script script);

/* Send a message; closes the descriptor. */
void put(int client, int64_t value, int fd);

/* Send some bytes of a message, with some copies of a descriptor. */
void put_part(int client, int64_t value, int from, int bytes, int fd, int copies);

int memory(off_t size);
int doorbell(void);

/* A doorbell with the mark of ivshmem-server for the last one of a peer. */
int last_doorbell(void);

/* Begin as a server should: version, id 3, memory. */
void begin(int client);

/* Stay until the client has disconnected. */
void linger(int client);

#endif /* FAKE_SERVER_H */
