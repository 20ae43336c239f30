// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl peers: a server and its peers, without joining it: see peers.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../control_path.h"
#include "control.h"
#include "ctl.h"
#include "numbers.h"
#include "peers.h"
#include "printable.h"
#include "progress.h"

/* A service manager may have to start the server. */
#define ANSWER_SECONDS	30
#define ANSWER_NS	(ANSWER_SECONDS * INT64_C(1000000000))

static void print_peer(const struct server_peer *peer)
{
	time_t joined = (time_t)peer->joined;
	char text[32] = "unknown";
	struct tm parts;

	if (localtime_r(&joined, &parts))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
	printf("%5u %8d %10u  %s\n", peer->id, peer->pid, peer->uid, text);
}

static void print_text(const char *socket, const struct server_answer *answer)
{
	char size[SIZE_TEXT];

	printf("server        ");
	print_printable(socket);
	printf("\npid           %d\n", answer->pid);
	printf("size          %" PRIu64 " (%s)\n", answer->size,
	       format_size(size, (double)answer->size));
	printf("vectors       %u\n", answer->vectors);
	printf("descriptors   %" PRIu64 " of %" PRIu64 "\n", answer->descriptors,
	       answer->limit);
	printf("peers         %zu\n", answer->count);
	if (answer->count)
		printf("\n%5s %8s %10s  %s\n", "ID", "PID", "UID", "JOINED");
	for (size_t i = 0; i < answer->count; i++)
		print_peer(&answer->peers[i]);
}

static json_t *as_json(const char *socket, const struct server_answer *answer)
{
	json_t *peers = json_array();

	for (size_t i = 0; i < answer->count; i++) {
		const struct server_peer *peer = &answer->peers[i];

		json_array_append_new(peers, json_pack("{s:i, s:i, s:I, s:I}",
						       "id", (int)peer->id,
						       "pid", (int)peer->pid,
						       "uid", (json_int_t)peer->uid,
						       "joined", (json_int_t)peer->joined));
	}
	return json_pack("{s:o, s:i, s:I, s:i, s:I, s:I, s:o}",
			 "server", json_bytes(socket), "pid", (int)answer->pid,
			 "size", (json_int_t)answer->size,
			 "vectors", (int)answer->vectors,
			 "descriptors", (json_int_t)answer->descriptors,
			 "limit", (json_int_t)answer->limit,
			 "peers", peers);
}

static enum exit_code complain_ask(const char *socket, int error, const char *reason)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		return complain(EXIT_NO_DEVICE,
				"no server listens on %s" CONTROL_SUFFIX ": start one with 'ivshmem-server -S %s'; if it runs, it is too old or its socket unit lacks ListenStream=%s" CONTROL_SUFFIX,
				socket, socket, socket);
	case EACCES:
	case EPERM:
		return complain(EXIT_DENIED,
				"no permission to ask the server of %s: see 'ls -l %s" CONTROL_SUFFIX "'",
				socket, socket);
	case ETIMEDOUT:
		return complain(EXIT_TIMEOUT,
				"the server of %s does not answer within %d s; restart it",
				socket, ANSWER_SECONDS);
	case ECONNRESET:
		return complain(EXIT_FAILED,
				"the server of %s has closed the connection without an answer; see its log",
				socket);
	case EPROTO:
		return complain(EXIT_CORRUPTED,
				"%s" CONTROL_SUFFIX " answered nonsense: %s; check that an ivshmem-server listens there",
				socket, reason);
	default:
		return complain(EXIT_FAILED, "cannot ask the server of %s: %s", socket,
				strerror(-error));
	}
}

enum exit_code peers_of_server(const char *socket)
{
	struct server_answer answer;
	enum exit_code code = EXIT_OK;
	const char *reason;
	int error;

	progress_wait("the server of %s", socket);
	error = control_ask(socket, ANSWER_NS, &answer, &reason);
	progress_erase();
	if (error)
		return complain_ask(socket, error, reason);
	if (common.json)
		code = print_json(stdout, as_json(socket, &answer), false);
	else
		print_text(socket, &answer);
	control_free(&answer);
	return code;
}
