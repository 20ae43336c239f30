/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that belong to one living server: the lock beside the socket, the pid
 * file and the shared memory object.
 */
#ifndef LOCK_H
#define LOCK_H

struct stat;

/*
 * Open (or create) a regular file of our own and lock it for as long as the
 * descriptor lives. -1 when it fails, having said why and what to do:
 * "cannot use PURPOSE PATH: ...; ADVICE".
 */
int lock_file(const char *path, const char *purpose, const char *advice);
void lock_remove(const char *path, int fd);

/* Remove the file unless somebody has put another in its place. */
void remove_own(const char *path, const struct stat *file);

#endif /* LOCK_H */
