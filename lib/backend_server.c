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
 * Each message is a little-endian 64-bit number. None says how many vectors there
 * are. ivshmem-server marks a peer's last one (LAST_VECTOR); other servers do not,
 * see introduction_is_over().
 *
 * The server may be hostile or broken: whatever does not fit ends the
 * connection with -EPROTO, and every descriptor that came is closed.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "waiting.h"

#define PROTOCOL_VERSION	0
#define MEMORY_MESSAGE		(-1)
#define ACCEPT_MS		5000
#define START_MS		30000	/* the first message may start the server */
#define INTRODUCTION_MS		30000	/* all others */
#define SILENCE_MS		5000	/* between two of them */
#define GUESS_MS		2000	/* after the last, where nothing else tells */
#define DRAIN_MESSAGES		65536	/* a flood must not hold the lock */

/*
 * ivshmem-server sets this flag of a peer's last eventfd. It has no effect on an
 * eventfd, and QEMU keeps it. A peer that clears it has the eventfds of others, so
 * it is there before or after us, and either tells us the same.
 */
#define LAST_VECTOR		O_APPEND

struct peer {
	uint32_t id;
	uint32_t vectors;		/* how many of fds are there */
	int fds[];			/* eventfds, room for a power of two */
};

/* A message that may come in pieces. */
struct message {
	unsigned char bytes[8];
	size_t have;
	int fd;				/* what came with it, or -1 */
};

struct connection {
	struct ivshmem base;
	struct waiting waiting;		/* with the lock, which protects all below the id */
	int socket;
	uint32_t id;
	struct message incoming;
	bool complete;			/* all own vectors are there */
	struct peer **peers;		/* rising ids; the own one among them */
	size_t npeers;
};

static struct connection *to_connection(struct ivshmem *handle)
{
	return (struct connection *)handle;
}

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
		return header->msg_flags & MSG_CTRUNC ?
		       ivshmem_fail(-EMFILE, "no descriptor is left for a peer's doorbell") : 0;
	if (header->msg_flags & MSG_CTRUNC || message->fd >= 0) {
		close(fd);
		return ivshmem_fail(-EPROTO, "the server sends several descriptors at once");
	}
	message->fd = fd;
	return 0;
}

/* One more piece of the message: 0, or -EAGAIN when nothing is there. */
static int receive_piece(struct connection *connection)
{
	struct message *message = &connection->incoming;
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
		got = recvmsg(connection->socket, &header,
			      MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno != ECONNRESET)
		return -errno;
	if (got <= 0)
		return ivshmem_fail(-ECONNRESET, "the server has closed the connection");
	message->have += got;
	return take_descriptor(message, &header);
}

/* A whole message, its descriptor (or -1) now the caller's. */
static int receive(struct connection *connection, int64_t *value, int *fd)
{
	struct message *message = &connection->incoming;
	uint64_t little;
	int error;

	while (message->have < sizeof(message->bytes)) {
		error = receive_piece(connection);
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
static size_t peer_index(const struct connection *connection, uint32_t id)
{
	size_t low = 0, high = connection->npeers;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (connection->peers[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct peer *find_peer(const struct connection *connection, uint32_t id)
{
	size_t index = peer_index(connection, id);

	if (index == connection->npeers || connection->peers[index]->id != id)
		return NULL;
	return connection->peers[index];
}

static void free_peer(struct peer *peer)
{
	uint32_t vector;

	for (vector = 0; vector < peer->vectors; vector++)
		close(peer->fds[vector]);
	free(peer);
}

static struct peer *add_peer(struct connection *connection, uint32_t id)
{
	size_t index = peer_index(connection, id);
	size_t bytes = (connection->npeers + 1) * sizeof(*connection->peers);
	struct peer **peers = realloc(connection->peers, bytes);
	struct peer *peer = calloc(1, sizeof(*peer) + sizeof(peer->fds[0]));

	if (peers)
		connection->peers = peers;
	if (!peers || !peer) {
		free(peer);
		return NULL;
	}
	peer->id = id;
	connection->base.left[id] = false;
	memmove(peers + index + 1, peers + index,
		(connection->npeers - index) * sizeof(*peers));
	peers[index] = peer;
	if (id != connection->id)
		ivshmem_log(IVSHMEM_LOG_INFO, "%s: peer %u is there", connection->base.name, id);
	connection->npeers++;
	return peer;
}

static void remove_peer(struct connection *connection, uint32_t id)
{
	size_t index = peer_index(connection, id);

	if (!find_peer(connection, id))
		return;
	free_peer(connection->peers[index]);
	connection->npeers--;
	memmove(connection->peers + index, connection->peers + index + 1,
		(connection->npeers - index) * sizeof(*connection->peers));
}

/*
 * Something to ring: not a file, pipe or socket, on which a write does harm,
 * and never anything that blocks.
 */
static int check_eventfd(int fd, int *flags)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_mode & S_IFMT)
		return ivshmem_fail(-EPROTO, "the server sends a doorbell that is no eventfd");
	*flags = fcntl(fd, F_GETFL);
	if (fcntl(fd, F_SETFL, *flags | O_NONBLOCK) < 0)
		return ivshmem_fail(-EPROTO, "a doorbell cannot be non-blocking: %s",
				    strerror(errno));
	return 0;
}

/* Takes over fd if it succeeds. */
static int add_vector(struct connection *connection, uint32_t id, int fd)
{
	struct peer *peer = find_peer(connection, id);
	int flags = 0, error = check_eventfd(fd, &flags);

	if (error)
		return error;
	if (!peer)
		peer = add_peer(connection, id);
	if (!peer)
		return -ENOMEM;
	if (peer->vectors == IVSHMEM_MAX_VECTORS)
		return ivshmem_fail(-EPROTO, "the server sends more than %u vectors of peer %u",
				    IVSHMEM_MAX_VECTORS, id);
	/* Full whenever the number is a power of two: double the room. */
	if (peer->vectors && !(peer->vectors & (peer->vectors - 1))) {
		size_t room = 2 * peer->vectors * sizeof(peer->fds[0]);
		size_t index = peer_index(connection, id);

		peer = realloc(peer, sizeof(*peer) + room);
		if (!peer)
			return -ENOMEM;
		connection->peers[index] = peer;
	}
	peer->fds[peer->vectors++] = fd;
	if (id == connection->id) {
		connection->base.vectors++;
		connection->complete |= !!(flags & LAST_VECTOR);
	}
	return 0;
}

static int take_leave(struct connection *connection, uint32_t id)
{
	remove_peer(connection, id);
	connection->base.disconnects[id]++;
	connection->base.left[id] = true;
	ivshmem_process_doubt(&connection->base);
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: peer %u has left", connection->base.name, id);
	ivshmem_waiting_wake_all(&connection->waiting);
	return 0;
}

/* Messages after the first three. Takes over fd in any case. */
static int process(struct connection *connection, int64_t value, int fd)
{
	int error;

	if (value < 0 || value > IVSHMEM_MAX_PEER)
		error = ivshmem_fail(-EPROTO, "the server says %" PRId64
				     " where a peer's id must be", value);
	else if (fd >= 0)
		error = add_vector(connection, value, fd);
	else if (value == connection->id)
		error = ivshmem_fail(-EPROTO, "the server says that we have left");
	else
		error = take_leave(connection, value);
	if (error && fd >= 0)
		close(fd);
	return error;
}

/* Hear what the server has said; with the lock held. */
static void drain(struct connection *connection)
{
	struct waiting *waiting = &connection->waiting;
	int left = DRAIN_MESSAGES;
	int64_t value;
	int error = waiting->error;
	int fd;

	if (error)
		return;
	while (!error && left--) {
		error = receive(connection, &value, &fd);
		if (!error)
			error = process(connection, value, fd);
	}
	if (error == -EAGAIN && left == DRAIN_MESSAGES - 1)
		return;
	/* While the handle is opened these are something else. */
	if (error == -ECONNRESET || error == -EMFILE || error == -ENOMEM)
		error = ivshmem_fail(-ENODEV, "%s", ivshmem_error(error));
	if (error == -EAGAIN || !error) {
		ivshmem_listeners_signal(&connection->base, NULL);
		return;
	}
	/* Readable from here on, for all who poll. And the server announces that we have left. */
	shutdown(connection->socket, SHUT_RDWR);
	ivshmem_waiting_end(waiting, error);
}

/* Operations */

static void connection_close(struct ivshmem *handle)
{
	struct connection *connection = to_connection(handle);
	size_t index;

	for (index = 0; index < connection->npeers; index++)
		free_peer(connection->peers[index]);
	free(connection->peers);
	if (connection->incoming.fd >= 0)
		close(connection->incoming.fd);
	if (connection->base.memory >= 0)
		close(connection->base.memory);
	ivshmem_process_close(&connection->socket);
	ivshmem_waiting_free(&connection->waiting);
	ivshmem_handle_free(handle);
}

static int connection_properties(struct ivshmem *handle,
				 struct ivshmem_properties *out)
{
	struct connection *connection = to_connection(handle);
	int error, cancel;

	cancel = ivshmem_waiting_lock(&connection->waiting);
	drain(connection);
	*out = (struct ivshmem_properties){
		.size = handle->size,
		.id = connection->id,
		.vectors = handle->vectors,
		.vectors_guessed = !connection->complete,
		.can_ring = handle->vectors != 0,
		.transport = IVSHMEM_TRANSPORT_SERVER,
		.cache = IVSHMEM_CACHE_WB,
		.page_size = handle->page,
	};
	error = ivshmem_waiting_error(&connection->waiting);
	ivshmem_waiting_unlock(&connection->waiting, cancel);
	return error;
}

/*
 * The descriptor of a vector; -ENXIO: there is none, or why the connection is over. What
 * the server has said since comes first: the peer may have left, and another have its id.
 * Lock held.
 */
static int vector_fd(struct connection *connection, uint32_t id,
		     uint32_t vector)
{
	struct peer *peer;

	drain(connection);
	peer = find_peer(connection, id);
	if (peer && vector < peer->vectors)
		return peer->fds[vector];
	return connection->waiting.error ? ivshmem_waiting_error(&connection->waiting) : -ENXIO;
}

static int no_such_doorbell(struct connection *connection, uint32_t id, uint32_t vector)
{
	struct peer *peer = find_peer(connection, id);

	if (!peer)
		return ivshmem_fail(-ENXIO, "there is no peer %u", id);
	return ivshmem_fail(-ENXIO, "peer %u has no vector %u: the last one is %u", id,
			    vector, peer->vectors - 1);
}

static int connection_ring(struct ivshmem *handle, uint32_t id, uint32_t vector)
{
	struct connection *connection = to_connection(handle);
	uint64_t one = 1;
	int error = 0;
	int fd, cancel;

	/* What was written to the region must be there before the peer looks. */
	atomic_thread_fence(memory_order_seq_cst);
	cancel = ivshmem_waiting_lock(&connection->waiting);
	fd = vector_fd(connection, id, vector);
	if (fd < 0)
		error = fd == -ENXIO ? no_such_doorbell(connection, id, vector) : fd;
	/* A full counter has rung already. */
	else if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		error = ivshmem_fail(-errno, "the doorbell cannot be rung: %s", strerror(errno));
	else
		error = ivshmem_waiting_error(&connection->waiting);
	ivshmem_waiting_unlock(&connection->waiting, cancel);
	return error;
}

static int connection_wait(struct ivshmem *handle, const struct ivshmem_wait_options *options,
			   struct ivshmem_wait_result *result)
{
	return ivshmem_waiting_wait(&to_connection(handle)->waiting, options, result);
}

static int connection_ring_wait(struct ivshmem *handle, uint32_t peer, uint32_t vector,
				const struct ivshmem_wait_options *options,
				struct ivshmem_wait_result *result)
{
	return ivshmem_waiting_ring_wait(&to_connection(handle)->waiting, peer, vector, options,
					 result);
}

static int connection_doorbell(struct ivshmem *handle, uint32_t vector)
{
	return ivshmem_waiting_doorbell(&to_connection(handle)->waiting, vector);
}

static int connection_news(struct ivshmem *handle, uint32_t *events)
{
	*events = EPOLLIN;
	return to_connection(handle)->socket;
}

static int connection_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	struct connection *connection = to_connection(handle);
	size_t index, count = 0;
	int error, cancel;

	cancel = ivshmem_waiting_lock(&connection->waiting);
	drain(connection);
	for (index = 0; index < connection->npeers; index++) {
		if (connection->peers[index]->id == connection->id)
			continue;
		if (count < max)
			ids[count] = connection->peers[index]->id;
		count++;
	}
	error = ivshmem_waiting_error(&connection->waiting);
	ivshmem_waiting_unlock(&connection->waiting, cancel);
	return error ? error : (int)count;
}

static int connection_list(struct ivshmem *handle, struct ivshmem_peer *peers, size_t max)
{
	struct connection *connection = to_connection(handle);
	size_t index, count;
	int error, cancel;

	cancel = ivshmem_waiting_lock(&connection->waiting);
	drain(connection);
	count = connection->npeers;
	for (index = 0; index < count && index < max; index++) {
		peers[index].id = connection->peers[index]->id;
		peers[index].slot = IVSHMEM_SLOT_NONE;
		peers[index].self = peers[index].id == connection->id;
	}
	error = ivshmem_waiting_error(&connection->waiting);
	ivshmem_waiting_unlock(&connection->waiting, cancel);
	return error ? error : (int)count;
}

static void connection_wake_all(struct ivshmem *handle)
{
	struct connection *connection = to_connection(handle);
	int cancel;

	cancel = ivshmem_waiting_lock(&connection->waiting);
	ivshmem_waiting_wake_all(&connection->waiting);
	ivshmem_waiting_unlock(&connection->waiting, cancel);
}

static bool connection_has_peer(struct ivshmem *handle, uint32_t id)
{
	struct connection *connection = to_connection(handle);
	bool found;
	int cancel;

	cancel = ivshmem_waiting_lock(&connection->waiting);
	drain(connection);
	found = find_peer(connection, id) != NULL;
	ivshmem_waiting_unlock(&connection->waiting, cancel);
	return found;
}

static int connection_listen(struct ivshmem *handle)
{
	struct connection *connection = to_connection(handle);
	int error, cancel;

	cancel = ivshmem_waiting_lock(&connection->waiting);
	drain(connection);
	error = ivshmem_waiting_error(&connection->waiting);
	ivshmem_waiting_unlock(&connection->waiting, cancel);
	return error;
}

static void connection_begin_child(struct ivshmem *handle)
{
	struct connection *connection = to_connection(handle);

	if (connection->socket >= 0)
		close(connection->socket);
	connection->socket = -1;
}

static void connection_drain(struct ivshmem *handle)
{
	drain(to_connection(handle));
}

static const int *connection_doorbells(struct ivshmem *handle, uint32_t *count)
{
	struct connection *connection = to_connection(handle);
	struct peer *self = find_peer(connection, connection->id);

	*count = self ? self->vectors : 0;
	return self ? self->fds : NULL;
}

static const struct waiting_source connection_source = {
	.doorbells = connection_doorbells,
	.drain = connection_drain,
};

static const struct ivshmem_ops connection_ops = {
	.close = connection_close,
	.properties = connection_properties,
	.ring = connection_ring,
	.wait = connection_wait,
	.ring_wait = connection_ring_wait,
	.doorbell = connection_doorbell,
	.peers = connection_peers,
	.list = connection_list,
	.wake_all = connection_wake_all,
	.has_peer = connection_has_peer,
	.listen = connection_listen,
	.news = connection_news,
	.begin_child = connection_begin_child,
};

/* Joining */

static int64_t milliseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* A whole message, within the time for all and after this much silence. */
static int receive_within(struct connection *connection, int64_t deadline,
			  int silence, int64_t *value, int *fd)
{
	struct pollfd socket = { .fd = connection->socket, .events = POLLIN };
	int64_t left;
	int error;

	do {
		left = deadline - milliseconds();
		if (left <= 0)
			return ivshmem_fail(-ETIMEDOUT, "the introduction takes too long");
		error = receive(connection, value, fd);
		if (error != -EAGAIN)
			return error;
	} while (poll(&socket, 1, left < silence ? left : silence) != 0);
	return ivshmem_fail(-ETIMEDOUT, "the server says nothing for %lld ms",
			    (long long)(left < silence ? left : silence));
}

/* The next message as the handshake wants it; no descriptor unless memory. */
static int expect(struct connection *connection, int patience, int64_t *value,
		  int *memory)
{
	int fd = -1;
	int error;

	error = receive_within(connection, milliseconds() + patience, patience, value,
			       &fd);
	if (error)
		return error;
	if ((fd >= 0) == (memory != NULL)) {
		if (memory)
			*memory = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return ivshmem_fail(-EPROTO, "the server says %" PRId64 " with%s a descriptor", *value,
			    fd >= 0 ? "" : "out");
}

/* How many vectors another peer has; 0: there is none, or the server has no vectors. */
static uint32_t vectors_of_others(const struct connection *connection)
{
	size_t index;

	for (index = 0; index < connection->npeers; index++)
		if (connection->peers[index]->id != connection->id)
			return connection->peers[index]->vectors;
	return 0;
}

/*
 * Whether all our vectors have come, judging by the latest message. Without a mark:
 * ours come after those of the peers that were there, which have as many, and before
 * anything about later ones.
 */
static bool introduction_is_over(struct connection *connection, int64_t latest)
{
	uint32_t own = connection->base.vectors;

	if (own && (latest != connection->id || vectors_of_others(connection) == own))
		connection->complete = true;
	return connection->complete;
}

/*
 * Alone, only silence says that no more vectors come. So may a server without any, after
 * some more. But where others have vectors and we have none, it is just slow.
 */
static int collect_vectors(struct connection *connection, int64_t deadline)
{
	bool alone, guess;
	int64_t value;
	int error, fd;

	do {
		alone = !vectors_of_others(connection);
		guess = alone && connection->base.vectors;
		error = receive_within(connection, deadline, guess ? GUESS_MS : SILENCE_MS,
				       &value, &fd);
		if (!error)
			error = process(connection, value, fd);
	} while (!error && !introduction_is_over(connection, value));
	if (error == -ETIMEDOUT && milliseconds() < deadline &&
	    (alone || connection->base.vectors))
		return 0;
	return error;
}

static int handshake(struct connection *connection)
{
	int64_t value;
	int error;

	/* Who listens may be systemd, which starts the server because of us. */
	error = expect(connection, START_MS, &value, NULL);
	if (!error && value != PROTOCOL_VERSION)
		error = ivshmem_fail(-EPROTO, "the server's protocol has version %" PRId64
				     " instead of %d", value, PROTOCOL_VERSION);
	if (!error)
		error = expect(connection, SILENCE_MS, &value, NULL);
	if (!error && (value < 0 || value > IVSHMEM_MAX_PEER))
		error = ivshmem_fail(-EPROTO, "the server gives us the id %" PRId64, value);
	if (error)
		return error;
	connection->id = value;
	error = expect(connection, SILENCE_MS, &value, &connection->base.memory);
	if (!error && value != MEMORY_MESSAGE)
		error = ivshmem_fail(-EPROTO, "the server says %" PRId64
				     " where the memory must come", value);
	if (!error)
		error = ivshmem_handle_measure(&connection->base);
	return error ? error : collect_vectors(connection, milliseconds() + INTRODUCTION_MS);
}

static int connect_to(struct connection *connection, const char *path)
{
	struct timeval patience = { .tv_sec = ACCEPT_MS / 1000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return ivshmem_fail(-ENAMETOOLONG, "a socket's path has at most %zu bytes",
				    sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	connection->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->socket < 0)
		return -errno;
	connection->waiting.news = connection->socket;
	/* A server that accepts nobody would let connect() wait for ever. */
	setsockopt(connection->socket, SOL_SOCKET, SO_SNDTIMEO, &patience,
		   sizeof(patience));
	do {
		error = connect(connection->socket, (struct sockaddr *)&address,
				sizeof(address)) < 0 ? -errno : 0;
	} while (error == -EINTR);
	if (error == -EPROTOTYPE)
		return ivshmem_fail(-EPROTO, "the socket is not a stream socket");
	if (error == -EAGAIN)
		return ivshmem_fail(-ETIMEDOUT, "the server accepts no connection");
	if (error)
		return ivshmem_fail(error, "%s", strerror(-error));
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: connected", path);
	return 0;
}

int ivshmem_connection_open(struct ivshmem **handle, const char *path,
			    bool read_only)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int error;

	if (!connection)
		return -ENOMEM;
	/* From the next step on a child of another thread closes it. */
	connection->socket = -1;
	if (ivshmem_handle_init(&connection->base, &connection_ops, path, read_only)) {
		free(connection);
		return -ENOMEM;
	}
	connection->incoming.fd = -1;
	connection->base.hears = true;
	error = ivshmem_waiting_init(&connection->waiting, &connection->base,
				     &connection_source);
	if (!error)
		error = connect_to(connection, path);
	if (!error)
		error = handshake(connection);
	if (error) {
		connection_close(&connection->base);
		return error;
	}
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: joined as peer %u with %u vectors%s, %#" PRIx64
		    " bytes; other peers: %zu", path, connection->id, connection->base.vectors,
		    connection->complete ? "" : " (a guess)", connection->base.size,
		    connection->npeers - !!connection->base.vectors);
	*handle = &connection->base;
	return 0;
}
