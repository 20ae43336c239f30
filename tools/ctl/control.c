// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asking a server on its control socket: see control.h. Any program can listen there, so
 * nothing of the answer is taken for granted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../control_path.h"
#include "control.h"

#define MAX_SIZE	(16 << 20)	/* 65536 peers take a quarter of that */
#define NEEDED_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int nonsense(const char **reason, const char *text)
{
	*reason = text;
	return -EPROTO;
}

/* The connection */

static int connect_to(const char *socket_path, int64_t ns)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = {
		.tv_sec = ns / 1000000000,
		.tv_usec = ns % 1000000000 / 1000,
	};
	int length = snprintf(address.sun_path, sizeof(address.sun_path),
			      "%s" CONTROL_SUFFIX, socket_path);
	int fd, error;

	/* The server has none either if the path would be too long. */
	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return -ENOENT;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* The one is for connect(), the other for recvmsg(). */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno == EAGAIN || errno == EINPROGRESS ? ETIMEDOUT : errno;
	close(fd);
	return -error;
}

/* Returns the descriptor that the server sends, or a negative errno. */
static int receive_file(int socket, const char **reason)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec data = { &byte, sizeof(byte) };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* No room for a second descriptor: the kernel closes it. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header;
	int fd;

	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (got == 0)
		return -ECONNRESET;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(sizeof(int)))
		return nonsense(reason, "no descriptor");
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* The text of a file. Only sealed files are sure not to block, and not to change. */
static int read_text(int fd, char **text, const char **reason)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;
	size_t size;

	if (seals < 0 || (seals & NEEDED_SEALS) != NEEDED_SEALS || fstat(fd, &status) < 0)
		return nonsense(reason, "not a sealed file");
	if (status.st_size <= 0 || status.st_size > MAX_SIZE)
		return nonsense(reason, "a file that is empty, or larger than any answer");
	size = (size_t)status.st_size;
	*text = malloc(size + 1);
	if (!*text)
		return -ENOMEM;
	(*text)[size] = '\0';
	/* Sealed files are in memory, and are read as a whole. */
	if (pread(fd, *text, size, 0) == (ssize_t)size && !memchr(*text, '\0', size))
		return 0;
	free(*text);
	return nonsense(reason, "a file that is not text");
}

/* The text */

struct field {
	const char *key;
	uint64_t max;
	uint64_t value;
	bool found;
};

static int take_number(struct field *field, const char *text)
{
	if (!*text || text[strspn(text, "0123456789")])
		return -EPROTO;
	errno = 0;
	field->value = strtoull(text, NULL, 10);
	field->found = true;
	return errno || field->value > field->max ? -EPROTO : 0;
}

/* Take the values of a line, key=value by key=value. Each field must be there. */
static int take_fields(char *line, struct field *fields, size_t count)
{
	char *word, *value;

	while ((word = strsep(&line, " "))) {
		value = strchr(word, '=');
		if (!value || value == word)
			return -EPROTO;
		*value++ = '\0';
		for (size_t i = 0; i < count; i++)
			if (!strcmp(word, fields[i].key) && take_number(&fields[i], value))
				return -EPROTO;
	}
	for (size_t i = 0; i < count; i++)
		if (!fields[i].found)
			return -EPROTO;
	return 0;
}

/* A newer format has other fields. */
static int check_version(const char *line, const char **reason)
{
	struct field field = { "control", UINT32_MAX, 0, false };
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(line, " "), line);
	if (take_fields(word, &field, 1))
		return nonsense(reason, "a text that does not begin as an answer");
	if (field.value != CONTROL_VERSION)
		return nonsense(reason, "an unknown version of the answer; update ivshmemctl");
	return 0;
}

static int take_server(char *line, struct server_answer *answer)
{
	enum { PID, SIZE, VECTORS, PEERS, DESCRIPTORS, LIMIT, FIELDS };
	struct field fields[FIELDS] = {
		[PID] = { .key = "pid", .max = INT32_MAX },
		[SIZE] = { .key = "size", .max = INT64_MAX },
		[VECTORS] = { .key = "vectors", .max = 256 },
		[PEERS] = { .key = "peers", .max = 65536 },
		[DESCRIPTORS] = { .key = "descriptors", .max = INT64_MAX },
		[LIMIT] = { .key = "limit", .max = INT64_MAX },
	};

	if (take_fields(line, fields, FIELDS))
		return -EPROTO;
	answer->pid = (pid_t)fields[PID].value;
	answer->size = fields[SIZE].value;
	answer->vectors = (uint32_t)fields[VECTORS].value;
	answer->count = fields[PEERS].value;
	answer->descriptors = fields[DESCRIPTORS].value;
	answer->limit = fields[LIMIT].value;
	return 0;
}

static int take_peer(char *line, struct server_peer *peer)
{
	enum { ID, PID, UID, JOINED, FIELDS };
	struct field fields[FIELDS] = {
		[ID] = { .key = "peer", .max = 65535 },
		[PID] = { .key = "pid", .max = INT32_MAX },
		[UID] = { .key = "uid", .max = UINT32_MAX },
		[JOINED] = { .key = "joined", .max = INT64_C(253402300799) },	/* in 9999 */
	};

	if (take_fields(line, fields, FIELDS))
		return -EPROTO;
	*peer = (struct server_peer){
		.id = (uint16_t)fields[ID].value,
		.pid = (pid_t)fields[PID].value,
		.uid = (uid_t)fields[UID].value,
		.joined = (int64_t)fields[JOINED].value,
	};
	return 0;
}

/* The next line, without newline; NULL if it has no end. */
static char *next_line(char **text)
{
	char *end = strchr(*text, '\n');
	char *line = *text;

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

void control_free(struct server_answer *answer)
{
	free(answer->peers);
	answer->peers = NULL;
}

static int parse(char *text, struct server_answer *answer, const char **reason)
{
	char *line = next_line(&text);
	int error = line ? check_version(line, reason) :
		    nonsense(reason, "a text without lines");

	*answer = (struct server_answer){ 0 };
	if (error)
		return error;
	if (take_server(line, answer))
		return nonsense(reason, "a line that does not describe a server");
	answer->peers = calloc(answer->count + 1, sizeof(*answer->peers));
	if (!answer->peers)
		return -ENOMEM;
	for (size_t i = 0; i < answer->count && !error; i++) {
		line = next_line(&text);
		if (!line || take_peer(line, &answer->peers[i]))
			error = nonsense(reason, "a line that does not describe a peer");
	}
	if (!error && *text)
		error = nonsense(reason, "more lines than peers");
	if (error)
		control_free(answer);
	return error;
}

int control_ask(const char *socket, int64_t ns, struct server_answer *answer,
		const char **reason)
{
	int connection = connect_to(socket, ns);
	int fd, error;
	char *text;

	if (connection < 0)
		return connection;
	fd = receive_file(connection, reason);
	close(connection);
	if (fd < 0)
		return fd;
	error = read_text(fd, &text, reason);
	close(fd);
	if (error)
		return error;
	error = parse(text, answer, reason);
	free(text);
	return error;
}
