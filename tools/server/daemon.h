/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Running in the background, and the pid file.
 */
#ifndef DAEMON_H
#define DAEMON_H

/*
 * Continue in a child. The parent exits with 0 when the child passes the result to
 * daemon_ready(), and with 1 if the child exits before.
 */
int daemon_start(void);
void daemon_ready(int status);

/* Returns NULL after a message if this user has no place for one. */
const char *pid_file_default(void);

/* Returns a descriptor for lock_remove(), or -1 after a message. */
int pid_file_write(const char *path);

#endif /* DAEMON_H */
