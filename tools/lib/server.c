// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A server's socket: the client of the protocol that QEMU's ivshmem devices
 * speak (version 0). The server only sends, the client only listens:
 *
 *   0                      the version
 *   id                     who we are
 *   -1 and a descriptor    the shared memory
 *   id and a descriptor    one more vector of that peer (or of ourselves); its
 *                          vectors come in order
 *   id alone               that peer has left
 *
 * Each message is a little-endian 64-bit number. Nothing says how many vectors
 * there are, see set_is_over().
 *
 * The server may be hostile or broken: whatever does not fit ends the
 * connection with -EPROTO, and every descriptor that came is closed.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

#define PROTOCOL_VERSION	0
#define MEMORY_MESSAGE		(-1)
#define INTRODUCTION_MS		5000	/* for all of it */
#define SILENCE_MS		200
#define DRAIN_MESSAGES		65536	/* a flood must not hold the lock */

/* Descriptors: one at most belongs to each message. */

static int take_descriptor(struct message *message, struct msghdr *header)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	int fd = -1;

	/* There is room for one descriptor: the kernel closes any others. */
	if (control && control->cmsg_level == SOL_SOCKET &&
	    control->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	if (fd < 0)
		return header->msg_flags & MSG_CTRUNC ? -EMFILE : 0;
	if (header->msg_flags & MSG_CTRUNC || message->fd >= 0) {
		close(fd);
		return -EPROTO;
	}
	message->fd = fd;
	return 0;
}

/* One more piece of the message: 0, or -EAGAIN when nothing is there. */
static int receive_piece(struct server *server)
{
	struct message *message = &server->incoming;
	struct iovec piece = {
		.iov_base = message->bytes + message->have,
		.iov_len = sizeof(message->bytes) - message->have,
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_LEN(sizeof(int))];
	} control;
	struct msghdr header = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t got;

	do {
		got = recvmsg(server->socket, &header,
			      MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (got == 0)
		return -ECONNRESET;
	message->have += got;
	return take_descriptor(message, &header);
}

/* A whole message, its descriptor (or -1) now the caller's. */
static int receive(struct server *server, int64_t *value, int *fd)
{
	struct message *message = &server->incoming;
	uint64_t little;
	int error;

	while (message->have < sizeof(message->bytes)) {
		error = receive_piece(server);
		if (error)
			return error;
	}
	memcpy(&little, message->bytes, sizeof(little));
	*value = (int64_t)le64toh(little);
	*fd = message->fd;
	message->have = 0;
	message->fd = -1;
	return 0;
}

/* Peers */

/* Where the peer is, or would have to be. */
static size_t peer_index(const struct server *server, uint32_t id)
{
	size_t low = 0, high = server->npeers;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (server->peers[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct peer *ivshmem_server_peer(struct server *server, uint32_t id)
{
	size_t index = peer_index(server, id);

	if (index == server->npeers || server->peers[index]->id != id)
		return NULL;
	return server->peers[index];
}

static void free_peer(struct peer *peer)
{
	uint32_t vector;

	for (vector = 0; vector < peer->vectors; vector++)
		close(peer->fds[vector]);
	free(peer);
}

static struct peer *add_peer(struct server *server, uint32_t id)
{
	size_t index = peer_index(server, id);
	size_t bytes = (server->npeers + 1) * sizeof(*server->peers);
	struct peer **peers = realloc(server->peers, bytes);
	struct peer *peer = calloc(1, sizeof(*peer) + sizeof(peer->fds[0]));

	if (peers)
		server->peers = peers;
	if (!peers || !peer) {
		free(peer);
		return NULL;
	}
	peer->id = id;
	memmove(peers + index + 1, peers + index,
		(server->npeers - index) * sizeof(*peers));
	peers[index] = peer;
	server->npeers++;
	return peer;
}

static void remove_peer(struct server *server, uint32_t id)
{
	size_t index = peer_index(server, id);

	if (!ivshmem_server_peer(server, id))
		return;
	free_peer(server->peers[index]);
	server->npeers--;
	memmove(server->peers + index, server->peers + index + 1,
		(server->npeers - index) * sizeof(*server->peers));
}

/*
 * Something to ring: not a file, pipe or socket, on which a write does harm,
 * and never anything that blocks.
 */
static int check_eventfd(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_mode & S_IFMT)
		return -EPROTO;
	return fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 ? -EPROTO : 0;
}

/* Takes over fd if it succeeds. */
static int add_vector(struct server *server, uint32_t id, int fd)
{
	struct peer *peer = ivshmem_server_peer(server, id);
	int error = check_eventfd(fd);

	if (error)
		return error;
	if (!peer)
		peer = add_peer(server, id);
	if (!peer)
		return -ENOMEM;
	if (peer->vectors == IVSHMEM_MAX_VECTORS)
		return -EPROTO;
	/* Full whenever the number is a power of two: double the room. */
	if (peer->vectors && !(peer->vectors & (peer->vectors - 1))) {
		size_t room = 2 * peer->vectors * sizeof(peer->fds[0]);
		size_t index = peer_index(server, id);

		peer = realloc(peer, sizeof(*peer) + room);
		if (!peer)
			return -ENOMEM;
		server->peers[index] = peer;
	}
	peer->fds[peer->vectors++] = fd;
	if (id == server->id)
		server->base.vectors++;
	return 0;
}

/* Messages after the first three. Takes over fd in any case. */
static int process(struct server *server, int64_t value, int fd)
{
	int error = -EPROTO;

	if (value >= 0 && value <= IVSHMEM_MAX_PEER && fd >= 0) {
		error = add_vector(server, value, fd);
		if (!error)
			return 0;
	} else if (value >= 0 && value <= IVSHMEM_MAX_PEER &&
		   value != server->id) {
		remove_peer(server, value);
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return error;
}

void ivshmem_server_drain(struct server *server)
{
	int left = DRAIN_MESSAGES;
	int64_t value;
	int fd;

	while (!server->error && left--) {
		server->error = receive(server, &value, &fd);
		if (!server->error)
			server->error = process(server, value, fd);
	}
	if (server->error == -EAGAIN)
		server->error = 0;
}

/* Operations */

static void server_close(struct ivshmem *handle)
{
	struct server *server = to_server(handle);
	size_t index;

	for (index = 0; index < server->npeers; index++)
		free_peer(server->peers[index]);
	free(server->peers);
	if (server->word_map)
		munmap(server->word_map, server->base.size);
	if (server->incoming.fd >= 0)
		close(server->incoming.fd);
	if (server->base.memory >= 0)
		close(server->base.memory);
	if (server->kick >= 0)
		close(server->kick);
	if (server->socket >= 0)
		close(server->socket);
	pthread_cond_destroy(&server->kicked);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

static int server_properties(struct ivshmem *handle,
			     struct ivshmem_properties *out)
{
	*out = (struct ivshmem_properties){
		.size = handle->size,
		.id = to_server(handle)->id,
		.vectors = handle->vectors,
		.transport = IVSHMEM_TRANSPORT_SERVER,
		.cache = IVSHMEM_CACHE_WB,
		.page_size = handle->page,
	};
	return 0;
}

/*
 * The descriptor of a vector, or why there is none. What the server has said
 * since comes first: the peer may have left, and another have its id. Lock held.
 */
static int vector_fd(struct server *server, uint32_t id, uint32_t vector)
{
	struct peer *peer;

	ivshmem_server_drain(server);
	peer = ivshmem_server_peer(server, id);
	if (peer && vector < peer->vectors)
		return peer->fds[vector];
	return server->error ? server->error : -ENXIO;
}

static int server_ring(struct ivshmem *handle, uint32_t id, uint32_t vector)
{
	struct server *server = to_server(handle);
	uint64_t one = 1;
	int error = 0;
	int fd;

	/* What was written to the region must be there before the peer looks. */
	atomic_thread_fence(memory_order_seq_cst);
	pthread_mutex_lock(&server->lock);
	fd = vector_fd(server, id, vector);
	if (fd < 0)
		error = fd;
	/* A full counter has rung already. */
	else if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		error = -errno;
	pthread_mutex_unlock(&server->lock);
	return error;
}

static int server_ring_wait(struct ivshmem *handle, uint32_t peer,
			    uint32_t vector,
			    const struct ivshmem_wait_options *options,
			    struct ivshmem_wait_result *result)
{
	int error = ivshmem_check_wait(handle, options);

	if (!error)
		error = server_ring(handle, peer, vector);
	return error ? error : ivshmem_server_wait(handle, options, result);
}

static int server_eventfd(struct ivshmem *handle, uint32_t vector)
{
	struct server *server = to_server(handle);
	int fd;

	pthread_mutex_lock(&server->lock);
	fd = vector_fd(server, server->id, vector);
	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		fd = fd < 0 ? -errno : fd;
	} else if (fd == -ENXIO) {
		fd = handle->vectors ? -EINVAL : -EOPNOTSUPP;
	}
	pthread_mutex_unlock(&server->lock);
	return fd;
}

static int server_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	struct server *server = to_server(handle);
	size_t index, count = 0;
	int error;

	pthread_mutex_lock(&server->lock);
	ivshmem_server_drain(server);
	for (index = 0; index < server->npeers; index++) {
		if (server->peers[index]->id == server->id)
			continue;
		if (count < max)
			ids[count] = server->peers[index]->id;
		count++;
	}
	error = server->error;
	pthread_mutex_unlock(&server->lock);
	return error ? error : (int)count;
}

static const struct ivshmem_ops server_ops = {
	.close = server_close,
	.properties = server_properties,
	.ring = server_ring,
	.wait = ivshmem_server_wait,
	.ring_wait = server_ring_wait,
	.eventfd = server_eventfd,
	.peers = server_peers,
};

/* Joining */

static int64_t milliseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* A whole message, within the time for all and after this much silence. */
static int receive_within(struct server *server, int64_t deadline,
			  int silence, int64_t *value, int *fd)
{
	struct pollfd socket = { .fd = server->socket, .events = POLLIN };
	int64_t left;
	int error;

	do {
		left = deadline - milliseconds();
		if (left <= 0)
			return -ETIMEDOUT;
		error = receive(server, value, fd);
		if (error != -EAGAIN)
			return error;
	} while (poll(&socket, 1, left < silence ? left : silence) != 0);
	return -ETIMEDOUT;
}

/* The next message as the handshake wants it; no descriptor unless memory. */
static int expect(struct server *server, int64_t deadline, int64_t *value,
		  int *memory)
{
	int fd = -1;
	int error;

	error = receive_within(server, deadline, INTRODUCTION_MS, value, &fd);
	if (error)
		return error;
	if ((fd >= 0) == (memory != NULL)) {
		if (memory)
			*memory = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -EPROTO;
}

static int measure(struct server *server)
{
	struct statfs fs;
	struct stat st;

	if (fstat(server->base.memory, &st) < 0 ||
	    fstatfs(server->base.memory, &fs) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return -EPROTO;
	server->base.size = st.st_size;
	server->base.page = sysconf(_SC_PAGESIZE);
	if (fs.f_type == HUGETLBFS_MAGIC)
		server->base.page = fs.f_bsize;
	return 0;
}

/*
 * Whether all our vectors have come, judging by the latest message. Ours come
 * after those of the peers that were there, who have as many; those of who
 * joins later come after ours. Alone, only silence tells.
 */
static bool set_is_over(struct server *server, int64_t latest)
{
	uint32_t own = server->base.vectors;
	size_t index;

	if (!own)
		return false;
	if (latest != server->id)
		return true;
	for (index = 0; index < server->npeers; index++)
		if (server->peers[index]->id != server->id)
			return server->peers[index]->vectors == own;
	return false;
}

static int collect_vectors(struct server *server, int64_t deadline)
{
	int64_t value;
	int error, fd;

	do {
		error = receive_within(server, deadline, SILENCE_MS, &value,
				       &fd);
		if (!error)
			error = process(server, value, fd);
	} while (!error && !set_is_over(server, value));
	if (error == -ETIMEDOUT && milliseconds() < deadline)
		return 0;
	return error;
}

static int handshake(struct server *server)
{
	int64_t deadline = milliseconds() + INTRODUCTION_MS;
	int64_t value;
	int error;

	error = expect(server, deadline, &value, NULL);
	if (!error && value != PROTOCOL_VERSION)
		error = -EPROTO;
	if (!error)
		error = expect(server, deadline, &value, NULL);
	if (!error && (value < 0 || value > IVSHMEM_MAX_PEER))
		error = -EPROTO;
	if (error)
		return error;
	server->id = value;
	error = expect(server, deadline, &value, &server->base.memory);
	if (!error && value != MEMORY_MESSAGE)
		error = -EPROTO;
	if (!error)
		error = measure(server);
	return error ? error : collect_vectors(server, deadline);
}

static int connect_to(struct server *server, const char *path)
{
	struct timeval patience = { .tv_sec = INTRODUCTION_MS / 1000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	server->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->kick < 0)
		return -errno;
	server->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server->socket < 0)
		return -errno;
	/* A server that accepts nobody would let connect() wait for ever. */
	setsockopt(server->socket, SOL_SOCKET, SO_SNDTIMEO, &patience,
		   sizeof(patience));
	do {
		error = connect(server->socket, (struct sockaddr *)&address,
				sizeof(address)) < 0 ? -errno : 0;
	} while (error == -EINTR);
	if (error == -EPROTOTYPE)
		return -EPROTO;
	return error == -EAGAIN ? -ETIMEDOUT : error;
}

int ivshmem_server_open(struct ivshmem **handle, const char *path,
			bool read_only)
{
	struct server *server = calloc(1, sizeof(*server));
	int error;

	if (!server)
		return -ENOMEM;
	server->base.ops = &server_ops;
	server->base.read_only = read_only;
	server->base.memory = -1;
	server->socket = -1;
	server->kick = -1;
	server->incoming.fd = -1;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->kicked, NULL);
	error = connect_to(server, path);
	if (!error)
		error = handshake(server);
	if (error) {
		server_close(&server->base);
		return error;
	}
	*handle = &server->base;
	return 0;
}
