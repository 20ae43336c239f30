// SPDX-License-Identifier: GPL-2.0-only
/* The one place where the code behind the tracepoints of trace.h is made. */
#define CREATE_TRACE_POINTS
#include "trace.h"
