// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time joining at a server, on this machine and without guests.
 *
 *	join SERVER VECTORS PEERS QUEUE
 *
 * PEERS peers join one after the other. Then QUEUE more connect while the server is
 * stopped, and one behind these. All clients are in this process. They read without room
 * for descriptors, so the kernel closes those at once. Those that join read first, as a
 * process that has slept runs before others.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bench.h"

#define MAX_CLIENTS	4096
#define GREETING	3	/* version, own id, memory */
#define BATCH		64	/* messages per system call */
#define SPARE		32	/* descriptors for other things */
#define EVENTS		4	/* few, so that those that join wait for few others */
#define PATIENCE_MS	60000

struct client {
	int socket;
	uint64_t received;	/* messages */
	uint64_t id;
	uint32_t own;		/* own vectors that have come */
	int64_t joined;		/* when the last one did, or 0 */
};

static struct client clients[MAX_CLIENTS];
static size_t count;
static uint64_t vectors, received;
static int joining, joined;	/* epolls; the former is in the latter */
static pid_t server;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void start_server(const char *program, const char *number)
{
	static char directory[] = "/tmp/ivshmem-bench.XXXXXX";

	if (!mkdtemp(directory))
		tap_bail("no directory: %s", strerror(errno));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	server = must(fork());
	if (server)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(dup2(must(open("/dev/null", O_RDWR)), STDERR_FILENO));
	execl(program, program, "-F", "-S", address.sun_path, "--memfd", "-n", number, NULL);
	_exit(127);
}

static void stop_server(void)
{
	char *slash = strrchr(address.sun_path, '/');

	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	*slash = '\0';
	rmdir(address.sun_path);
}

static int64_t server_cpu_ns(void)
{
	struct timespec t;
	clockid_t clock;

	must(clock_getcpuclockid(server, &clock) ? -1 : 0);
	must(clock_gettime(clock, &t));
	return t.tv_sec * SECOND + t.tv_nsec;
}

static int server_descriptors(void)
{
	char path[64];
	int number = -2;	/* . and .. */
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", server);
	dir = opendir(path);
	while (dir && readdir(dir))
		number++;
	if (dir)
		closedir(dir);
	return number;
}

static void watch(int epoll, struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
	int fd = client ? client->socket : joining;

	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* Connect as soon as the server listens. */
static struct client *come(void)
{
	struct client *client = clients + count++;
	int tries = 2000;

	*client = (struct client){ .socket = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) };
	while (connect(client->socket, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (!tries--)
			tap_bail("cannot connect: %s", strerror(errno));
		sleep_ms(5);
	}
	watch(joining, client);
	return client;
}

static void take(struct client *client, uint64_t value)
{
	received++;
	if (++client->received == 2)
		client->id = value;
	if (client->received <= GREETING || value != client->id || ++client->own < vectors)
		return;
	client->joined = now_ns();
	must(epoll_ctl(joining, EPOLL_CTL_DEL, client->socket, NULL));
	watch(joined, client);
}

/* Read what there is for a client. */
static void listen_to(struct client *client)
{
	static uint64_t values[BATCH];
	static struct iovec data[BATCH];
	static struct mmsghdr messages[BATCH];
	int number, i;

	for (i = 0; i < BATCH; i++) {
		data[i] = (struct iovec){ values + i, sizeof(values[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = data + i, .msg_iovlen = 1 };
	}
	do {
		number = recvmmsg(client->socket, messages, BATCH, MSG_DONTWAIT, NULL);
		for (i = 0; i < number; i++) {
			if (messages[i].msg_len != sizeof(values[i]))
				tap_bail("the server has hung up");
			take(client, values[i]);
		}
	} while (number == BATCH);
}

/* Read for some clients. */
static void listen_to_some(void)
{
	struct epoll_event events[EVENTS];
	int number = must(epoll_wait(joining, events, EVENTS, 0)), i;

	if (!number)
		number = must(epoll_wait(joined, events, EVENTS, PATIENCE_MS));
	if (!number)
		tap_bail("no messages come, after %ju of them", (uintmax_t)received);
	for (i = 0; i < number; i++)
		if (events[i].data.ptr)
			listen_to(events[i].data.ptr);
}

static void until_received(uint64_t wanted)
{
	while (received < wanted)
		listen_to_some();
}

/* How many messages so many peers get until all know each other. */
static uint64_t messages_of(uint64_t peers)
{
	return peers * (GREETING + peers * vectors);
}

static void report(const char *what, size_t number, double value)
{
	char key[64];

	snprintf(key, sizeof(key), "%s%zu", what, number);
	bench_value(key, value);
}

/* Join one peer while nothing else happens. */
static void join_one(bool reported)
{
	int64_t cpu = server_cpu_ns(), start = now_ns();
	struct client *client = come();

	until_received(messages_of(count));
	if (!reported)
		return;
	report("time", count, (client->joined - start) / 1e6);
	report("cpu", count, (server_cpu_ns() - cpu) / 1e6);
	report("descriptors", count, server_descriptors());
}

/* Wait until the server is stopped. */
static void halt_server(void)
{
	kill(server, SIGSTOP);
	must(waitpid(server, NULL, WUNTRACED));
}

static void join_queue(size_t queue)
{
	struct client *first = clients + count;
	int64_t cpu = server_cpu_ns(), start;
	size_t n;

	halt_server();
	for (n = 0; n <= queue; n++)
		come();
	start = now_ns();
	kill(server, SIGCONT);
	until_received(messages_of(count));
	bench_value("first", (first->joined - start) / 1e6);
	bench_value("middle", (first[queue / 2].joined - start) / 1e6);
	bench_value("behind", (first[queue].joined - start) / 1e6);
	bench_value("queue-cpu", (server_cpu_ns() - cpu) / 1e6);
}

static bool is_power_of_ten(size_t number)
{
	while (number > 1 && number % 10 == 0)
		number /= 10;
	return number == 1;
}

/* The server has a descriptor for each peer and vector, and some more. */
static void raise_limit(size_t peers)
{
	struct rlimit limit;

	must(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	must(setrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_max < peers * (vectors + 1) + SPARE)
		tap_bail("it takes a hard limit of %zu descriptors (ulimit -Hn)",
			 (size_t)(peers * (vectors + 1) + SPARE));
}

int main(int argc, char **argv)
{
	size_t peers, queue;

	if (argc != 5)
		tap_bail("usage: join SERVER VECTORS PEERS QUEUE");
	vectors = strtoul(argv[2], NULL, 10);
	peers = strtoul(argv[3], NULL, 10);
	queue = strtoul(argv[4], NULL, 10);
	if (peers + queue >= MAX_CLIENTS)
		tap_bail("more than %d clients", MAX_CLIENTS);
	raise_limit(peers + queue + 1);
	joining = must(epoll_create1(EPOLL_CLOEXEC));
	joined = must(epoll_create1(EPOLL_CLOEXEC));
	watch(joined, NULL);
	start_server(argv[1], argv[2]);
	while (count < peers)
		join_one(count + 1 > 1 && is_power_of_ten(count + 1));
	if (queue)
		join_queue(queue);
	stop_server();
	return 0;
}
