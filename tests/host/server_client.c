// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients that speak QEMU's protocol as its specification says and as
 * contrib/ivshmem-client does: one message at a time, and out at the first that the
 * specification does not allow. Each is a process with the client's commands "int all",
 * "int PEER all" and "int PEER VECTOR".
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"

#define CLIENTS		4
#define VECTORS		3
#define CLIENT_VECTORS	64	/* of a peer, the most that contrib/ivshmem-client takes */
#define IDS		64
#define ALL		(-1)
#define SIZE		(1 << 20)
#define ROUNDS		20

/* What a client knows and got; the test looks at it. */
static volatile struct view {
	int64_t id;
	unsigned int vectors[IDS];	/* of each peer that it knows */
	uint64_t rung[CLIENT_VECTORS];	/* its own vectors: how often */
	unsigned int obeyed, refused;	/* commands */
} *views;

struct command {
	int64_t peer;
	int vector;
};

static struct {
	pid_t pid;		/* 0 if it is not there */
	int commands;
} clients[CLIENTS];

/* In a client's process. */

static volatile struct view *me;
static int descriptors[IDS][CLIENT_VECTORS];

__attribute__((noreturn))
static void give_up(const char *why)
{
	tap_note("client %lld gives up: %s", (long long)me->id, why);
	_exit(1);
}

static struct message expect(int socket, int64_t value, bool descriptor)
{
	struct message got = next_message(socket);

	if (got.end || got.value != value || (got.fd != NONE) != descriptor)
		give_up("the server does not introduce itself as specified");
	return got;
}

/* Version, own id, memory. */
static int introduce(void)
{
	int socket = join(scratch("socket"));
	struct message message;
	struct stat st;
	char *memory;

	expect(socket, 0, false);
	message = next_message(socket);
	if (message.end || message.fd != NONE || message.value < 0 || message.value >= IDS)
		give_up("no id");
	me->id = message.value;
	message = expect(socket, -1, true);
	if (fstat(message.fd, &st) || st.st_size != SIZE)
		give_up("no memory of the size that was asked for");
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, message.fd, 0);
	if (memory == MAP_FAILED)
		give_up("the memory cannot be mapped");
	memory[me->id] = 1;
	close(message.fd);
	return socket;
}

static void forget(int64_t id)
{
	if (id == me->id || !me->vectors[id])
		give_up("a peer leaves that never came");
	while (me->vectors[id])
		close(descriptors[id][--me->vectors[id]]);
}

static void take_message(int socket)
{
	struct message message = next_message(socket);

	if (message.end)
		_exit(0);
	if (message.value < 0 || message.value >= IDS)
		give_up("a peer that cannot be");
	if (message.fd == NONE) {
		forget(message.value);
		return;
	}
	if (me->vectors[message.value] == CLIENT_VECTORS)
		give_up("too many vectors");
	descriptors[message.value][me->vectors[message.value]++] = message.fd;
}

/* False if the client knows no such peer or vector. */
static bool ring(int64_t id, int vector)
{
	const int first = vector == ALL ? 0 : vector;
	const int last = vector == ALL ? (int)me->vectors[id] - 1 : vector;
	const uint64_t one = 1;

	if (last >= (int)me->vectors[id])
		return false;
	for (int v = first; v <= last; v++)
		if (write(descriptors[id][v], &one, sizeof(one)) != sizeof(one))
			give_up("a vector cannot be rung");
	return last >= first;
}

static void obey(int commands)
{
	struct command command;
	bool done = false;

	if (read(commands, &command, sizeof(command)) != sizeof(command))
		_exit(0);
	if (command.peer != ALL)
		done = ring(command.peer, command.vector);
	for (int64_t id = 0; command.peer == ALL && id < IDS; id++)
		done |= id != me->id && ring(id, ALL);
	*(done ? &me->obeyed : &me->refused) += 1;
}

static void take_rings(struct pollfd *own)
{
	for (unsigned int v = 0; v < me->vectors[me->id]; v++) {
		uint64_t value;

		if (own[v].revents &&
		    read(own[v].fd, &value, sizeof(value)) == sizeof(value))
			me->rung[v] += value;
	}
}

__attribute__((noreturn))
static void be_client(int commands)
{
	struct pollfd fds[2 + CLIENT_VECTORS];
	int socket = introduce();

	for (;;) {
		const unsigned int own = me->vectors[me->id];

		fds[0] = (struct pollfd){ .fd = socket, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = commands, .events = POLLIN };
		for (unsigned int v = 0; v < own; v++)
			fds[2 + v] = (struct pollfd){
				.fd = descriptors[me->id][v], .events = POLLIN
			};
		poll(fds, 2 + own, -1);
		take_rings(fds + 2);
		if (fds[1].revents)
			obey(commands);
		if (fds[0].revents)
			take_message(socket);
	}
}

/* In the test's process. */

static void start_client(int n)
{
	int ends[2];

	if (pipe(ends))
		tap_bail("no pipe: %m");
	memset((void *)&views[n], 0, sizeof(views[n]));
	views[n].id = NONE;
	clients[n].commands = ends[1];
	clients[n].pid = fork();
	if (!clients[n].pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[1]);
		me = &views[n];
		be_client(ends[0]);
	}
	close(ends[0]);
}

/* The exit status, or -signal. */
static int end_client(int n)
{
	int status;

	close(clients[n].commands);
	waitpid(clients[n].pid, &status, 0);
	clients[n].pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void kill_client(int n)
{
	kill(clients[n].pid, SIGKILL);
	end_client(n);
}

/* Does each client that lives know all that live, with all vectors, and nobody else? */
static bool know_each_other(void)
{
	unsigned int expected[IDS] = { 0 };

	for (int n = 0; n < CLIENTS; n++)
		if (clients[n].pid && views[n].id == NONE)
			return false;
		else if (clients[n].pid)
			expected[views[n].id] = VECTORS;
	for (int n = 0; n < CLIENTS; n++)
		for (int id = 0; clients[n].pid && id < IDS; id++)
			if (views[n].vectors[id] != expected[id])
				return false;
	return true;
}

/* Give a client a command, and wait until it has obeyed or refused; true if it obeyed. */
static bool interrupt(int n, int64_t peer, int vector)
{
	const struct command command = { peer, vector };
	const unsigned int obeyed = views[n].obeyed, before = obeyed + views[n].refused;

	if (write(clients[n].commands, &command, sizeof(command)) != sizeof(command) ||
	    !eventually(views[n].obeyed + views[n].refused == before + 1))
		tap_bail("client %d does not obey", n);
	return views[n].obeyed > obeyed;
}

/* Was each vector of a client rung that often in all? */
static bool rung(int n, const uint64_t expected[VECTORS])
{
	return eventually(!memcmp((void *)views[n].rung, expected,
				  VECTORS * sizeof(*expected)));
}

static void test_broadcast(void)
{
	const uint64_t twelve[] = { CLIENTS - 1, CLIENTS - 1, CLIENTS - 1 };
	int obeyed = 0, right = 0;

	for (int n = 0; n < CLIENTS; n++)
		obeyed += interrupt(n, ALL, ALL);
	tap_eq(obeyed, CLIENTS, "each client rings all others: int all");
	for (int n = 0; n < CLIENTS; n++)
		right += rung(n, twelve);
	tap_eq(right, CLIENTS, "each vector of each client is rung once by each other one");
}

static void test_one(void)
{
	const uint64_t all[] = { 4, 4, 4 }, one[] = { 4, 5, 4 }, others[] = { 3, 3, 3 };

	tap_ok(interrupt(0, views[2].id, ALL) && rung(2, all), "int PEER all: all vectors of one");
	tap_ok(interrupt(0, views[2].id, 1) && rung(2, one), "int PEER 1: that vector alone");
	tap_ok(rung(1, others) && rung(3, others), "nobody else is rung");
}

/* The client refuses what the server has told it nothing of; it never told too much. */
static void test_wrong(void)
{
	const uint64_t as_before[] = { 4, 5, 4 };

	tap_ok(!interrupt(0, IDS - 1, ALL), "int PEER all: there is no such peer");
	tap_ok(!interrupt(0, views[2].id, VECTORS), "int PEER 3: there is no such vector");
	tap_ok(rung(2, as_before), "nobody is rung");
}

/* Clients that are killed while another one rings them. */
static void test_kill(void)
{
	const struct command int_all = { ALL, ALL };
	const uint64_t rings[] = { ROUNDS + 3, ROUNDS + 3, ROUNDS + 3 };
	const unsigned int obeyed = views[0].obeyed;
	int known = 0, forgotten = 0, refused = 0;

	for (int round = 0; round < ROUNDS && known == round; round++) {
		int64_t id = views[3].id;

		if (write(clients[0].commands, &int_all, sizeof(int_all)) != sizeof(int_all))
			tap_bail("no command: %m");
		kill_client(3);
		forgotten += eventually(know_each_other());
		if (forgotten == round)
			break;
		refused += !interrupt(0, id, ALL);
		start_client(3);
		known += eventually(know_each_other());
	}
	tap_eq(forgotten, ROUNDS, "%d times the others learn that one was killed", ROUNDS);
	tap_eq(refused, ROUNDS, "and know its id no more");
	tap_eq(known, ROUNDS, "and that another one comes, with an id that nobody had");
	tap_eq(views[0].obeyed - obeyed, ROUNDS, "ringing one that dies is no error");
	tap_ok(rung(1, rings), "and those that live are rung as often as they should be");
}

static void end_clients(pid_t server)
{
	int well = 0;

	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
	for (int n = 0; n < CLIENTS; n++)
		well += end_client(n) == 0;
	tap_eq(well, CLIENTS, "no client was told what the specification does not allow");
}

static void start_clients(void)
{
	for (int n = 0; n < CLIENTS; n++)
		start_client(n);
	tap_ok(eventually(know_each_other()), "%d clients know each other", CLIENTS);
}

/* The eventfds of a peer that one client keeps ring nobody who gets its id. */
static void test_stale(void)
{
	pid_t server = start_server("-n", "3", "-l", "1M", "--memfd", "--reuse-ids", NULL);
	const uint64_t one = 1, once[] = { 1, 1, 1 };
	int stale[VECTORS], victim = 0, id, watcher;

	start_clients();
	watcher = join(scratch("socket"));
	expect_message(watcher, 0, NONE);
	expect_message(watcher, CLIENTS, NONE);
	close(expect_message(watcher, -1, SOME));
	id = views[victim].id;
	for (int n = 0; n < VECTORS * CLIENTS; n++) {
		struct message message = next_message(watcher);

		if (message.value == id)
			stale[n % VECTORS] = message.fd;
		else
			close(message.fd);
	}
	kill_client(victim);
	start_client(victim);
	tap_ok(eventually(views[victim].id != NONE) && views[victim].id == id,
	       "a newcomer gets the id of one that was killed");
	for (int v = 0; v < VECTORS; v++)
		tap_eq(write(stale[v], &one, sizeof(one)), sizeof(one),
		       "ring the one that was killed");
	tap_ok(eventually(views[1].vectors[id] == VECTORS) && interrupt(1, id, ALL),
	       "then the newcomer");
	tap_ok(rung(victim, once), "it is rung once");
	end_clients(server);
	close(watcher);
}

int main(void)
{
	pid_t server = start_server("-n", "3", "-l", "1M", "--memfd", NULL);

	views = mmap(NULL, CLIENTS * sizeof(*views), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	start_clients();
	test_broadcast();
	test_one();
	test_wrong();
	test_kill();
	end_clients(server);
	test_stale();
	return tap_done();
}
