/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that belong to one living server: the lock beside the socket, the pid
 * file and the shared memory object.
 */
#ifndef LOCK_H
#define LOCK_H

#include <sys/types.h>

/*
 * Open (or create) the file and lock it for as long as the descriptor lives.
 * -1 when it fails, having said why: "cannot use PURPOSE PATH: ...", and when
 * another process has it, who, and ADVICE.
 */
int lock_file(const char *path, const char *purpose, const char *advice);

#endif /* LOCK_H */
