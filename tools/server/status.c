// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the administrator reads in "systemctl status". Peers can come and go by the
 * thousand, so a change is reported after a delay, together with those that follow.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "limit.h"
#include "memory.h"
#include "notify.h"
#include "server.h"
#include "status.h"

#define DELAY_NS	500000000

/* 1234567 becomes 1,234,567. */
static const char *with_commas(uint64_t number, char text[32])
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%llu",
			      (unsigned long long)number);
	char *to = text;
	int n;

	for (n = 0; n < length; n++) {
		if (n && (length - n) % 3 == 0)
			*to++ = ',';
		*to++ = digits[n];
	}
	*to = '\0';
	return text;
}

static void describe(const struct server *server, char *text, size_t size)
{
	char peers[32], memory[32], used[32], limit[32];
	int digits = strlen(readable(server->size, memory)) - 1;

	snprintf(text, size,
		 "%s peer%s, %u vector%s each, %.*s %ciB; %s descriptors of %s",
		 with_commas(server->count, peers), server->count == 1 ? "" : "s",
		 server->vectors, server->vectors == 1 ? "" : "s",
		 digits, memory, memory[digits],
		 with_commas(limit_used(server), used),
		 with_commas(server->limit, limit));
}

void status_changed(struct server *server)
{
	struct itimerspec soon = { .it_value.tv_nsec = DELAY_NS };

	if (server->status_pending || !notify_wanted())
		return;
	server->status_pending = true;
	timerfd_settime(server->status.fd, 0, &soon, NULL);
}

void status_report(struct server *server)
{
	char text[128];

	server->status_pending = false;
	describe(server, text, sizeof(text));
	if (!notify_status(text))
		status_changed(server);
}

void status_due(struct server *server, struct watch *watch, uint32_t events)
{
	uint64_t expirations;

	(void)events;
	(void)!read(watch->fd, &expirations, sizeof(expirations));
	status_report(server);
}
