/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files owned by one running server: the lock beside the socket, the pid file and the
 * shared memory object.
 */
#ifndef LOCK_H
#define LOCK_H

struct stat;

/*
 * Open or create a regular file of this user and lock it while the descriptor is open.
 * Returns -1 after the message "cannot use PURPOSE PATH: reason; ADVICE".
 */
int lock_file(const char *path, const char *purpose, const char *advice);
void lock_remove(const char *path, int fd);

/* Remove the file unless it has been replaced. */
void remove_own(const char *path, const struct stat *file);

#endif /* LOCK_H */
