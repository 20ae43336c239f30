/* SPDX-License-Identifier: GPL-2.0-only */
/* A network between the guests of a test in C; lib.sh has the same for those in shell. */
#ifndef SEGMENT_H
#define SEGMENT_H

#include "dev.h"

/* Where its partition begins in the region. */
#define SEGMENT_OFFSET (2 << 20)

/* Run a command of the shell in silence. 0, or the status as of system(). */
int sh(const char *command);

/* Guest 0 gives all of the memory to a network of 4 ports, and all guests make it. */
void segment_make(void);

/* Load the driver, and set up its interface with the address 10.9.0.N, where N is 1 in guest 0. */
void segment_load(void);

/* Does a guest answer before long? */
bool segment_reaches(int guest);

/* Unload the driver. */
void segment_unload(void);

#endif
