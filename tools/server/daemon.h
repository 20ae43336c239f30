/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Going to the background, and the pid file.
 */
#ifndef DAEMON_H
#define DAEMON_H

/*
 * Go on in a child; the parent exits with 0 once the child calls
 * daemon_ready() with what this returns, or with 1 when the child ends.
 */
int daemon_start(void);
void daemon_ready(int status);

/* A descriptor for lock_remove(), or -1 having said what is wrong. */
int pid_file_write(const char *path);

#endif /* DAEMON_H */
