// SPDX-License-Identifier: GPL-2.0-only
/*
 * Servers that run as children, and the protocol's client side byte by byte.
 */
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define MAX_OPTIONS	32
#define MAX_SCRATCH	16
#define PATIENCE_MS	20000

#ifndef SERVER
#define SERVER		"build/san/ivshmem-server"
#endif

static const char *const usual[] = { SERVER, NULL };

const char *const *server_command = usual;
unsigned int server_nofile;
bool server_limited;

static char directory[64];
static pid_t directory_owner;

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_scratch(void)
{
	if (getpid() == directory_owner)
		nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(void)
{
	const char *parent = getenv("TMPDIR") ?: "/tmp";

	snprintf(directory, sizeof(directory), "%s/test.XXXXXX", parent);
	if (!mkdtemp(directory))
		tap_bail("no scratch directory: %m");
	directory_owner = getpid();
	atexit(remove_scratch);
}

const char *scratch(const char *name)
{
	static char paths[MAX_SCRATCH][128];
	char path[128];
	int n;

	if (!directory[0])
		make_directory();
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	for (n = 0; n < MAX_SCRATCH; n++) {
		if (!paths[n][0])
			strcpy(paths[n], path);
		if (!strcmp(paths[n], path))
			return paths[n];
	}
	tap_bail("too many scratch files");
}

int open_descriptors(pid_t pid)
{
	char path[64] = "/proc/self/fd";
	int count = 0;
	DIR *dir;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		tap_bail("cannot count descriptors: %m");
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2 - !pid;
}

void leave_root(void)
{
	/* Containers may have no more than 65536. */
	uid_t user = 20000 + directory_owner % 40000;

	if (geteuid() == 0 &&
	    (chown(directory, user, -1) < 0 || setresuid(user, user, user) < 0))
		tap_bail("cannot become user %u: %m", user);
}

/* Servers */

static void run_child(char **arguments)
{
	struct rlimit limit = { server_nofile, server_nofile };
	int log;

	/* What the test has inherited would count against the limit. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	log = open(scratch("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (server_nofile)
		setrlimit(RLIMIT_NOFILE, &limit);
	if (server_limited)
		leave_root();
	/* None outlives the test. To become another user would undo this. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A background job ignores these signals, and its children inherit that. */
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execvp(arguments[0], arguments);
	_exit(127);
}

static pid_t spawn(const char **head, const char *option, va_list options)
{
	char *arguments[MAX_OPTIONS + 1] = { NULL };
	const char *const *word;
	int count = 0;
	pid_t pid;

	for (word = server_command; *word; word++)
		arguments[count++] = (char *)*word;
	for (; *head; head++)
		arguments[count++] = (char *)*head;
	for (; option && count < MAX_OPTIONS; count++) {
		arguments[count] = (char *)option;
		option = va_arg(options, const char *);
	}
	unlink(scratch("log"));
	pid = fork();
	if (pid < 0)
		tap_bail("cannot fork: %m");
	if (!pid)
		run_child(arguments);
	return pid;
}

/* Its exit status, or -signal; a child that does not end is killed. */
static int reap(pid_t pid)
{
	int status = 0;
	pid_t ended = 0;

	if (!eventually((ended = waitpid(pid, &status, WNOHANG)) != 0)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	if (ended < 0)
		tap_bail("lost a child: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

pid_t start_server(const char *option, ...)
{
	const char *head[] = { "-F", "-S", scratch("socket"), NULL };
	va_list options;
	pid_t pid;

	va_start(options, option);
	pid = spawn(head, option, options);
	va_end(options);
	if (!eventually(strstr(server_said(), "event=listen") ||
			kill(pid, 0) < 0))
		tap_bail("the server does not start: %s", server_said());
	return pid;
}

int run_server(const char *option, ...)
{
	const char *head[] = { NULL };
	va_list options;
	pid_t pid;

	va_start(options, option);
	pid = spawn(head, option, options);
	va_end(options);
	return reap(pid);
}

const char *server_said(void)
{
	static char text[8 << 20];
	int log = open(scratch("log"), O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;

	if (log >= 0) {
		got = read(log, text, sizeof(text) - 1);
		close(log);
	}
	text[got > 0 ? got : 0] = '\0';
	return text;
}

int stop_server(pid_t pid, int signal)
{
	kill(pid, signal);
	return reap(pid);
}

/* Client */

int join(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int attached(struct msghdr *header)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	int fd = NONE;

	if (!control)
		return NONE;
	if (header->msg_flags & MSG_CTRUNC || CMSG_NXTHDR(header, control) ||
	    control->cmsg_type != SCM_RIGHTS ||
	    control->cmsg_len != CMSG_LEN(sizeof(int)))
		tap_bail("not exactly one descriptor with a message");
	memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fd;
}

struct message next_message(int socket)
{
	struct pollfd poll_socket = { .fd = socket, .events = POLLIN };
	char control[CMSG_SPACE(16 * sizeof(int))];
	uint64_t little = 0;
	struct iovec data = { &little, sizeof(little) };
	struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;

	if (poll(&poll_socket, 1, PATIENCE_MS) != 1)
		tap_bail("no message came");
	got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	if (got <= 0)
		return (struct message){ .fd = NONE, .end = true };
	if (got != sizeof(little))
		tap_bail("a message of %zd bytes", got);
	return (struct message){
		.value = (int64_t)le64toh(little),
		.fd = attached(&header),
	};
}

int introduction(int socket, int vectors)
{
	struct message message;
	int id = NONE, count;

	for (count = 0; vectors; count++) {
		message = next_message(socket);
		if (message.end)
			tap_bail("the server hung up on a newcomer");
		if (message.fd != NONE)
			close(message.fd);
		if (count == 1)
			id = message.value;
		else if (count > 2 && message.value == id)
			vectors--;
	}
	return id;
}
