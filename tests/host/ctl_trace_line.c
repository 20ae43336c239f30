// SPDX-License-Identifier: GPL-2.0-only
/* The lines of trace_pipe, as kernels of all ages print them. */
#include <string.h>

#include "../../tools/ctl/trace_line.c"
#include "../guest/tap.h"

static struct trace_line line;

static bool parse(bool (*parser)(char *text, struct trace_line *line), const char *text)
{
	static char copy[256];

	snprintf(copy, sizeof(copy), "%s", text);
	return parser(copy, &line);
}

static void event_is(const char *text, const char *task, int pid, const char *context,
		     bool off)
{
	tap_ok(parse(trace_parse_event, text), "an event: %s", text);
	tap_ok(!strcmp(line.task, task), "task %s", task);
	tap_eq(line.pid, pid, "pid");
	tap_ok(!strcmp(trace_context(&line), context), "%s", context);
	tap_eq(trace_interrupts_off(&line), off, "interrupts off");
}

static void test_events(void)
{
	event_is("              dd-123     [001] .....  5724.664823: ivshmem_open: device=0 writable=1",
		 "dd", 123, "process", false);
	tap_eq(line.time_ns, INT64_C(5724664823000), "time");
	tap_eq(line.cpu, 1, "processor");
	tap_ok(!strcmp(line.event, "ivshmem_open"), "event");
	tap_ok(!strcmp(line.fields, "device=0 writable=1"), "fields");

	event_is("          <idle>-0     [000] d.h1     2.000001: ivshmem_interrupt: device=0 vector=0",
		 "<idle>", 0, "hard interrupt", true);
	event_is("          <idle>-0     [000] dNh1.    2.000001: ivshmem_wake: device=0 vector=0",
		 "<idle>", 0, "hard interrupt", true);
	event_is("          <idle>-0     [000] D.s2.    2.000001: ivshmem_wake: device=0 vector=0",
		 "<idle>", 0, "soft interrupt", true);
	event_is("     kworker/0:1-17    [011] ...1.    2.000001: ivshmem_probe: device=0",
		 "kworker/0:1", 17, "workqueue", false);
	event_is("  irq/24-ivshmem-v-99  [000] .....    2.000001: ivshmem_interrupt: device=0 vector=0",
		 "irq/24-ivshmem-v", 99, "interrupt thread", false);
	event_is(" a-1 [7] b.h1.x-5      [000] .....    2.000001: ivshmem_free: device=0",
		 "a-1 [7] b.h1.x", 5, "process", false);
	event_is("      <...>-100000 ( 99) [000] ..Z1.    2.000001: ivshmem_free: device=0",
		 "<...>", 100000, "non-maskable interrupt", false);

	event_is("              sh-9     [000] .....    2.000001: tracing_mark_write: a > b: c [0] d",
		 "sh", 9, "process", false);
	tap_ok(!strcmp(line.fields, "a > b: c [0] d"), "the text of a mark");
}

static void test_no_events(void)
{
	static const char *const others[] = {
		"", "CPU:1 [LOST 17 EVENTS]", "# tracer: nop", "[000]", "x-1 [000] ", "-1 [000] .....",
		"dd-123 [001] ..... 57: ivshmem_open: x", "dd-123 [001] ..... 5.123456",
		"dd-x [001] ..... 5.123456: ivshmem_open: x", "dd-1 [001] ..... 5.123456: x",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		tap_ok(!parse(trace_parse_event, others[i]), "no event: '%s'", others[i]);
}

static void call_is(const char *text, int64_t time_ns, const char *call,
		    const char *duration)
{
	tap_ok(parse(trace_parse_call, text), "a call: %s", text);
	tap_eq(line.time_ns, time_ns, "time");
	tap_ok(!line.event, "it is no event");
	tap_ok(!strcmp(line.fields, call), "call '%s'", line.fields);
	tap_ok(!strcmp(line.duration, duration), "duration '%s'", line.duration);
}

static void test_calls(void)
{
	static const char *const others[] = {
		"", " ------------------------------------------", " 0)   sh-1    =>   dd-2",
		"#     TIME        CPU  DURATION                  FUNCTION CALLS", "|", "1.123456 |",
		"    2.657132 |   0)               |",
	};

	call_is("    2.657132 |   0)               |  ivshmem_open [ivshmem]() {",
		INT64_C(2657132000), "  ivshmem_open() {", "");
	call_is("    2.657567 |   3) + 83.509 us   |    ivshmem_peer_join [ivshmem]();",
		INT64_C(2657567000), "    ivshmem_peer_join();", "83.509 us");
	tap_eq(line.cpu, 3, "processor");
	call_is("   12.657900 |   0) # 1118.837 us |  }", INT64_C(12657900000), "  }",
		"1118.837 us");
	call_is("   12.657900 |  10)   1.673 us    |  } /* ivshmem_mmap [ivshmem] */",
		INT64_C(12657900000), "  } /* ivshmem_mmap */", "1.673 us");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		tap_ok(!parse(trace_parse_call, others[i]), "no call: '%s'", others[i]);
}

int main(void)
{
	test_events();
	test_no_events();
	test_calls();
	return tap_done();
}
