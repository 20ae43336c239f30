// SPDX-License-Identifier: GPL-2.0-only
/* Requests to the host: see rig.h. */
#include "../rig.h"

int rig_number(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		tap_bail("%s is not set: run this through make check", name);
	return atoi(value);
}

/*
 * Read one line from the host, a byte at a time, so that nothing of the next line is taken.
 * Skip the zeros that the host sends to keep the serial port going.
 */
static void rig_read_line(char *line, size_t size)
{
	size_t length = 0;
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		if (c && length + 1 < size)
			line[length++] = c;
	line[length] = '\0';
}

static const char *rig_vask(bool must, const char *fmt, va_list args)
{
	static char line[65536];
	char request[4096];

	vsnprintf(request, sizeof(request), fmt, args);
	printf("@rig %s\n", request);
	fflush(stdout);
	rig_read_line(line, sizeof(line));
	if (!strncmp(line, "ok", 2))
		return line[2] == ' ' ? line + 3 : line + 2;
	if (must)
		tap_bail("%s: %s", request, line);
	tap_note("%s: %s", request, line);
	return NULL;
}

bool rig_can_sleep(void)
{
	/* With KCSAN, Linux 6.12 does not resume, even without a device. */
	bool wakes = access("/sys/kernel/debug/kcsan", F_OK);
	FILE *f = wakes ? fopen("/sys/power/mem_sleep", "r") : NULL;
	char line[64] = "";

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	return strstr(line, "deep");
}

int rig_sleep(void)
{
	FILE *state = fopen("/sys/power/state", "w");
	char line[128];
	bool slept;

	printf("@rig suspended-wakeup\n");
	fflush(stdout);
	slept = state && fputs("mem", state) >= 0 && !fclose(state);
	rig_read_line(line, sizeof(line));
	if (slept && !strcmp(line, "ok"))
		return 0;
	tap_note("the guest %s, the host says: %s", slept ? "slept" : "did not sleep", line);
	return -1;
}

const char *rig_ask(const char *fmt, ...)
{
	const char *result;
	va_list args;

	va_start(args, fmt);
	result = rig_vask(true, fmt, args);
	va_end(args);
	return result;
}

const char *rig_try(const char *fmt, ...)
{
	const char *result;
	va_list args;

	va_start(args, fmt);
	result = rig_vask(false, fmt, args);
	va_end(args);
	return result;
}
