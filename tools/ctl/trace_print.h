/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Output of ivshmemctl trace: a line, or a JSON object, per step.
 */
#ifndef CTL_TRACE_PRINT_H
#define CTL_TRACE_PRINT_H

#include "ctl.h"
#include "trace_line.h"

/* Time 0 is @start_ns. */
void trace_print_begin(int64_t start_ns);
void trace_print(const struct trace_line *line);

/* List all steps. */
enum exit_code trace_print_steps(void);

#endif /* CTL_TRACE_PRINT_H */
