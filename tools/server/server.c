// SPDX-License-Identifier: GPL-2.0-only
/*
 * Joining, leaving, and the event loop.
 *
 * The loop handles some events, then gives turns to peers and to the next one to accept.
 * Only the handler of a peer's own event and its own turn remove that peer: errors of
 * others are found when it is their turn. So no handler gets a peer that has just been
 * freed by another one.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "limit.h"
#include "log.h"
#include "server.h"
#include "status.h"
#include "unread.h"

#define PAUSE_NS	100000000
#define HOLD_NS		500000		/* see server_hold() */
#define EVENTS		64		/* at once */
#define TURNS		16		/* between two looks at events */

void server_pause(struct server *server)
{
	struct itimerspec soon = { .it_value.tv_nsec = PAUSE_NS };

	/* Who joins meanwhile must not prolong it. */
	if (server->paused)
		return;
	server->paused = true;
	timerfd_settime(server->timer.fd, 0, &soon, NULL);
}

static int watch(struct server *server, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(server->epoll, EPOLL_CTL_ADD, watch->fd, &event);
}

static void count_changed(struct server *server)
{
	limit_check(server);
	control_changed(server);
	status_changed(server);
}

/* Leaving */

static void drop(struct server *server, struct peer *peer, int severity,
		 const char *reason)
{
	struct peer *other;

	*(peer->previous ? &peer->previous->next : &server->first) = peer->next;
	*(peer->next ? &peer->next->previous : &server->last) = peer->previous;
	server->peers[peer->id] = NULL;
	server->count--;
	if (peer->queued)
		turns_remove(&server->turns, peer);
	for (other = server->first; other; other = other->next)
		peer_forget(server, other, peer);
	log_event(severity, "event=leave peer=%u reason=%s peers=%u", peer->id,
		  reason, server->count);
	peer_close_vectors(server, peer);
	unread_leave(server, peer);
	count_changed(server);
}

static void peer_ready(struct server *server, struct watch *watch,
		       uint32_t events)
{
	struct peer *peer = (struct peer *)watch;
	ssize_t got;
	char byte;

	if (events & EPOLLIN) {
		got = recv(watch->fd, &byte, 1, MSG_DONTWAIT);
		if (got > 0) {
			drop(server, peer, LOG_WARNING, "unexpected-input");
			return;
		}
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			events |= EPOLLHUP;
	}
	if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
		drop(server, peer, LOG_INFO, "closed");
		return;
	}
	if (events & EPOLLOUT)
		peer_has_room(server, peer);
}

static void serve(struct server *server, struct peer *peer)
{
	turns_remove(&server->turns, peer);
	switch (peer_send(server, peer)) {
	case SEND_FAILED:
		drop(server, peer, LOG_INFO, "closed");
		break;
	case SEND_LATER:
		log_event(log_limited(LOG_WARNING),
			  "event=pause peer=%u reason=\"too many descriptors on their way\"",
			  peer->id);
		server_pause(server);
		break;
	case SEND_OK:
		break;
	}
}

/* Joining */

static void announce(struct server *server, struct peer *peer)
{
	struct peer *other;

	/* Existing peers first: a peer that is rung must know the one who rings. */
	for (other = server->first; other != peer; other = other->next)
		peer_notify(server, other, peer);
	peer_notify(server, peer, server->first);
}

static void refuse(int socket, const char *reason)
{
	close(socket);
	log_event(log_limited(LOG_WARNING), "event=refuse reason=\"%s\"",
		  reason);
}

/*
 * The next one after the last, as QEMU's own server does: QEMU (seen with 7.2 and 11.1)
 * may crash when a peer joins with the id of one that has left. With --reuse-ids the
 * lowest free id, so that a peer that reconnects gets its old one. In either case peers
 * of an earlier server with this memory keep theirs. Returns -1 if none is free.
 */
static int32_t free_id(const struct server *server)
{
	uint32_t first = server->reuse_ids ? server->first_id : server->next;
	uint32_t tried, id;

	for (tried = 0; tried < IDS; tried++) {
		id = (first + tried) % IDS;
		if (!server->peers[id])
			return id;
	}
	return -1;
}

/* Save it before the peer gets the id: it must be known if this server is killed. */
static void use_id(struct server *server, uint32_t id)
{
	if (server->reuse_ids && id < server->next)
		return;
	server->next = id + 1;
	if (ids_save(&server->ids, server->next) < 0)
		log_event(log_limited(LOG_WARNING),
			  "event=ids reason=\"cannot keep the next id for a restart: %s\"",
			  strerror(errno));
}

static void join(struct server *server, int socket)
{
	struct peer *peer;
	int32_t id = free_id(server);

	if (id < 0) {
		refuse(socket, "all ids are taken");
		return;
	}
	peer = peer_new(server, socket, id);
	if (!peer) {
		refuse(socket, strerror(errno));
		return;
	}
	peer->watch.ready = peer_ready;
	if (watch(server, &peer->watch, PEER_EVENTS) < 0) {
		log_event(log_limited(LOG_WARNING),
			  "event=refuse reason=\"%s\"", strerror(errno));
		peer_close_vectors(server, peer);
		peer_free(server, peer);
		return;
	}
	peer->number = server->joined++;
	peer->previous = server->last;
	*(server->last ? &server->last->next : &server->first) = peer;
	server->last = peer;
	server->peers[id] = peer;
	server->count++;
	use_id(server, id);
	peer->joined = time(NULL);
	log_event(LOG_INFO, "event=join peer=%d pid=%d uid=%u peers=%u", id,
		  peer->credentials.pid, peer->credentials.uid, server->count);
	announce(server, peer);
	count_changed(server);
}

static void draw_for_caller(struct server *server)
{
	if (!server->caller)
		server->caller = turns_draw(&server->turns);
}

/*
 * Out of descriptors: use the reserved one to accept and close, otherwise the client
 * would hang and the loop would spin. If even that fails, pause.
 */
static void turn_away(struct server *server, int error)
{
	int socket = -1;

	if (server->reserve >= 0) {
		close(server->reserve);
		socket = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC);
		if (socket >= 0)
			refuse(socket, strerror(error));
	}
	server->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (socket >= 0)
		draw_for_caller(server);
	else
		server_pause(server);
}

/* Accept one peer. The next one waits its turn. */
static void accept_caller(struct server *server)
{
	int socket = accept4(server->listener.fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);

	server->caller = 0;
	if (socket >= 0) {
		unread_limit(server, socket);
		join(server, socket);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		   errno == ENOMEM) {
		turn_away(server, errno);
		return;
	} else if (errno == EAGAIN) {
		return;
	}
	draw_for_caller(server);
}

static void listener_ready(struct server *server, struct watch *watch,
			   uint32_t events)
{
	(void)watch;
	(void)events;
	draw_for_caller(server);
}

/* Other events */

static void timer_ready(struct server *server, struct watch *watch,
			uint32_t events)
{
	uint64_t expirations;
	struct peer *peer;

	(void)events;
	(void)!read(watch->fd, &expirations, sizeof(expirations));
	server->paused = false;
	if (unread_tidy(server))
		count_changed(server);
	draw_for_caller(server);
	control_resume(server);
	for (peer = server->first; peer; peer = peer->next)
		if (!peer->blocked)
			peer_queue(server, peer);
}

static void signals_ready(struct server *server, struct watch *watch,
			  uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) == sizeof(info))
		server->stopped_by = info.ssi_signo;
}

/* Signals ignored by the parent stay ignored: nohup, or & in a script. */
static void unless_ignored(sigset_t *set, int signal)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) < 0 || action.sa_handler != SIG_IGN)
		sigaddset(set, signal);
}

static int open_signals(void)
{
	sigset_t set;

	/* A closed log pipe is no reason to exit. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	unless_ignored(&set, SIGINT);
	unless_ignored(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_timer(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

int server_open(struct server *server)
{
	limit_raise(server);
	server->signals = (struct watch){ open_signals(), signals_ready };
	server->timer = (struct watch){ open_timer(), timer_ready };
	server->status = (struct watch){ open_timer(), status_due };
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (server->signals.fd >= 0 && server->timer.fd >= 0 &&
	    server->status.fd >= 0 && server->reserve >= 0 && server->epoll >= 0 &&
	    watch(server, &server->signals, EPOLLIN) == 0 &&
	    watch(server, &server->timer, EPOLLIN) == 0 &&
	    watch(server, &server->status, EPOLLIN) == 0)
		return 0;
	warn("cannot create the event loop");
	return -1;
}

int server_listen(struct server *server, int listener)
{
	int unused = fcntl(listener, F_DUPFD_CLOEXEC, 0);

	/* The kernel gives the lowest number, so there are as many below it. */
	server->base = unused < 0 ? listener : unused;
	if (unused >= 0)
		close(unused);
	server->first_id = server->next;
	server->listener = (struct watch){ listener, listener_ready };
	if (watch(server, &server->listener, EPOLLIN | EPOLLET) == 0)
		return 0;
	warn("cannot watch the socket");
	return -1;
}

static int64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/*
 * A newcomer whose socket is full goes on as soon as it reads. Until it had time to do so,
 * the next one is not accepted: all others would get messages about that one, and the
 * newcomer would have to wait for these, or for a processor on which they are read.
 */
void server_hold(struct server *server, bool on)
{
	server->hold = on ? now_ns() + HOLD_NS : 0;
}

/* How long not to accept the next one. */
static int64_t hold_left(const struct server *server)
{
	int64_t left = server->hold ? server->hold - now_ns() : 0;

	return left > 0 ? left : 0;
}

/* Returns false if there is nothing to do. */
static bool take_turn(struct server *server)
{
	struct peer *peer = turns_first(&server->turns);

	if (server->caller && (!peer || server->caller < peer->ticket) &&
	    !hold_left(server))
		accept_caller(server);
	else if (peer)
		serve(server, peer);
	else
		return false;
	return true;
}

/* For an event, but not longer than that. */
static void wait_for(const struct server *server, int64_t ns)
{
	struct pollfd events = { .fd = server->epoll, .events = POLLIN };
	struct timespec time = { .tv_nsec = ns };

	ppoll(&events, 1, &time, NULL);
}

static void handle_events(struct server *server, int timeout)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(server->epoll, events, EVENTS, timeout);
	int n;

	for (n = 0; n < count; n++) {
		struct watch *watch = events[n].data.ptr;

		watch->ready(server, watch, events[n].events);
	}
}

void server_run(struct server *server)
{
	bool busy = false;
	int turn;

	while (!server->stopped_by) {
		if (!busy && server->caller)
			wait_for(server, hold_left(server));
		handle_events(server, busy || server->caller ? 0 : -1);
		busy = true;
		for (turn = 0; turn < TURNS && busy; turn++)
			busy = take_turn(server);
	}
	log_event(LOG_NOTICE, "event=stop signal=%d peers=%u",
		  server->stopped_by, server->count);
}

void server_close(struct server *server)
{
	struct peer *peer, *next;

	for (peer = server->first; peer; peer = next) {
		next = peer->next;
		peer_close_vectors(server, peer);
		peer_free(server, peer);
	}
	unread_free(server);
	close(server->epoll);
	close(server->signals.fd);
	close(server->timer.fd);
	close(server->status.fd);
	close(server->reserve);
}
