/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may open a file.
 */
#ifndef CTL_RIGHTS_H
#define CTL_RIGHTS_H

#define RIGHTS_TEXT	96

/* "rw-rw---- root:ivshmem", or "-" if nothing is there. Returns @text. */
const char *format_rights(char text[RIGHTS_TEXT], const char *path);

#endif /* CTL_RIGHTS_H */
