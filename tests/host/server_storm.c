// SPDX-License-Identifier: GPL-2.0-only
/*
 * The server in a storm: many clients connect and disconnect at any moment, stop reading,
 * send noise and descriptors, and are killed. Well-behaved peers must notice nothing, and
 * afterwards the server must have no more open files and no more memory than before. This
 * is done with the sanitizers, as installed (there the memory is compared), with too few
 * descriptors for all clients, and under valgrind.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../guest/pattern.h"
#include "common/harness.h"

#define SWARMS		8	/* processes, among which the clients are divided */
#define MOVES		16	/* of each client; it connects about twice */
#define SILENT		16	/* clients that never read, all the time */
#define ROUNDS		3	/* after one that warms up */
#define VECTORS		2
#define GROWTH_KB	2048	/* allowance for a fragmented heap; the sanitizers find leaks */

static const char *const plain[] = { "build/ivshmem-server", NULL };
static const char *const valgrind[] = {
	"valgrind", "--error-exitcode=99", "--leak-check=full",
	"--show-leak-kinds=all", "--errors-for-leak-kinds=all",
	"--track-fds=yes", "build/ivshmem-server", NULL
};

/* Send unexpected bytes, some of them with a descriptor. */
static void send_noise(int socket, uint64_t number)
{
	uint64_t noise[16];
	struct iovec data = { noise, 1 + number % sizeof(noise) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	pattern_write(noise, sizeof(noise), number);
	if (number % 3 == 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &socket, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Connect. Most clients wait until the server has sent something, some disconnect before. */
static int come(uint64_t number)
{
	struct pollfd server = {
		.fd = join(scratch("socket")),
		.events = POLLIN,
	};

	if (server.fd >= 0 && number % 4)
		poll(&server, 1, 1000);
	return server.fd;
}

/* One move of a client: connect, disconnect, read a little or misbehave. */
static void move(int *client, uint64_t number)
{
	char bytes[512];

	if (*client < 0) {
		*client = come(number);
		return;
	}
	switch (number % 32) {
	case 0:
		send_noise(*client, number / 32);
		break;
	case 1:
		shutdown(*client, SHUT_WR);
		break;
	case 2:
	case 3:
	case 4:
		close(*client);
		*client = NONE;
		break;
	default:
		/* Stop in the middle of a message, and take no descriptors. */
		recv(*client, bytes, 1 + number / 32 % sizeof(bytes),
		     MSG_DONTWAIT);
	}
}

/* A process with a part of the clients. At its end those still connected die at once. */
static void swarm(int clients, uint64_t seed)
{
	uint64_t state = pattern_seed(seed), number;
	int sockets[clients], n;

	/* None outlives the test. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (n = 0; n < clients; n++)
		sockets[n] = NONE;
	for (n = 0; n < clients * MOVES; n++) {
		number = pattern_next(&state) >> 8;
		move(&sockets[number % clients], number / clients);
	}
	kill(getpid(), SIGKILL);
}

/* The witness's view of the others: descriptors announced to it, by id. */
static int beliefs[65536];

static void believe(struct message message)
{
	if (message.end || message.value < 0 || message.value > 65535)
		tap_bail("the witness got invalid messages or was disconnected");
	if (message.fd == NONE) {
		beliefs[message.value] = 0;
		return;
	}
	beliefs[message.value]++;
	close(message.fd);
}

static void listen_to(int witness)
{
	struct pollfd news = { .fd = witness, .events = POLLIN };

	while (poll(&news, 1, 0) == 1)
		believe(next_message(witness));
}

/* One storm; gives how many newcomers were served meanwhile. */
static int storm(int clients, int witness, uint64_t seed)
{
	int running = SWARMS, served = 0, n, newcomer;

	for (n = 0; n < SWARMS; n++)
		if (!fork())
			swarm(clients / SWARMS, seed * SWARMS + n);
	while (running) {
		running -= waitpid(-1, NULL, WNOHANG) > 0;
		listen_to(witness);
		/* The server may refuse it if it has no descriptors left: see below. */
		if (server_nofile)
			continue;
		newcomer = join(scratch("socket"));
		introduction(newcomer, VECTORS);
		close(newcomer);
		served++;
	}
	return served;
}

/* The number of peers that the witness knows but that have disconnected. */
static int ghosts(void)
{
	int count = 0, n;

	for (n = SILENT + 1; n < 65536; n++)
		count += beliefs[n] != 0;
	return count;
}

static long memory_kb(pid_t pid)
{
	char path[64], line[128];
	long kb = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		sscanf(line, "RssAnon: %ld", &kb);
	if (status)
		fclose(status);
	return kb;
}

/* How often does the server's log have this text? */
static int said(const char *what)
{
	const char *at = server_said();
	int count = 0;

	while ((at = strstr(at, what))) {
		at++;
		count++;
	}
	return count;
}

/* The largest number of peers at once, by the server's log. */
static int most_at_once(void)
{
	const char *at = server_said();
	int most = 0, count;

	while ((at = strstr(at, " peers="))) {
		count = atoi(at += strlen(" peers="));
		most = count > most ? count : most;
	}
	return most;
}

/* Only the witness and the silent clients are left; then a newcomer joins. */
static void check_calm(pid_t server, int witness, int open)
{
	int newcomer, id;

	tap_ok(eventually((listen_to(witness),
			   open_descriptors(server) == open)),
	       "as many descriptors are open as before");
	tap_ok(eventually((listen_to(witness), !ghosts())),
	       "the witness knows no peer that is gone");
	newcomer = join(scratch("socket"));
	id = introduction(newcomer, VECTORS);
	tap_ok(id > SILENT, "a newcomer gets an id that no other has");
	tap_ok(eventually((listen_to(witness),
			   beliefs[id] == VECTORS)),
	       "the newcomer is announced to the witness");
	close(newcomer);
	tap_ok(eventually((listen_to(witness), !beliefs[id])),
	       "its disconnect is reported to the witness");
}

static void test(const char *what, const char *const *command, int clients,
		 unsigned int nofile)
{
	int silent[SILENT], witness, n, open, served = 0;
	long warm = 0, cold;
	pid_t server;

	tap_note("%d clients, %s", clients, what);
	server_command = command;
	server_nofile = nofile;
	memset(beliefs, 0, sizeof(beliefs));
	server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	witness = join(scratch("socket"));
	introduction(witness, VECTORS);
	for (n = 0; n < SILENT; n++)
		silent[n] = join(scratch("socket"));
	tap_ok(eventually((listen_to(witness), beliefs[SILENT] == VECTORS)),
	       "%d clients join and never read", SILENT);
	open = open_descriptors(server);
	for (n = 0; n <= ROUNDS; n++) {
		served += storm(clients, witness, n);
		check_calm(server, witness, open);
		if (n == 0)
			warm = memory_kb(server);
	}
	cold = memory_kb(server);
	tap_note("%d joined, %d at once; %d more were served meanwhile",
		 said("event=join"), most_at_once(), served);
	tap_note("memory %ld kB, then %ld kB", warm, cold);
	if (command == plain)
		tap_ok(cold <= warm + GROWTH_KB, "the server's memory has not grown");
	if (nofile)
		tap_ok(said("event=refuse"),
		       "the log says that some clients were refused");
	for (n = 0; n < SILENT; n++)
		close(silent[n]);
	close(witness);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

static void test_valgrind(int clients)
{
	if (system("command -v valgrind >/dev/null")) {
		tap_skip("under valgrind", "apt-get install valgrind");
		return;
	}
	test("under valgrind", valgrind, clients, 0);
	tap_ok(said("FILE DESCRIPTORS") &&
	       said("Open file descriptor") == said("<inherited from parent>"),
	       "under valgrind: the server leaves no descriptor open");
}

int main(void)
{
	const char *const *sanitized = server_command;

	test("with the sanitizers", sanitized, 1000, 0);
	test("as it is installed", plain, 1000, 0);
	test("with descriptors for a few", sanitized, 1000, 200);
	test_valgrind(1000);
	return tap_done();
}
