// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the server starts and ends, and what it leaves behind: options, sizes, socket, memory
 * and pid file (tools/server/ivshmem-server.c, socket.c, memory.c, daemon.c, lock.c).
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/harness.h"

static char object[32];		/* a shared memory object of this test's own */

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static const char *object_path(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/dev/shm/%s", object);
	return path;
}

/* The server must refuse to start, with this exit status and this text on stderr. */
#define refused(status, text, ...) ({ \
	tap_eq(run_server(__VA_ARGS__, NULL), status, \
	       "refused: " #__VA_ARGS__); \
	if (!strstr(server_said(), text)) \
		tap_note("it said: %s", server_said()); \
	tap_ok(strstr(server_said(), text), "it says \"%s\"", text); \
})

static void test_options(void)
{
	static const char *const help[] = { "-h", "--help", "-?" };
	unsigned int n;

	tap_note("options");
	for (n = 0; n < 3; n++) {
		tap_eq(run_server(help[n], NULL), 0, "%s succeeds", help[n]);
		tap_ok(strstr(server_said(), "--vectors"), "%s lists the options", help[n]);
	}
	tap_eq(run_server("--version", NULL), 0, "--version succeeds");
	tap_ok(!strncmp(server_said(), "ivshmem-server ", 15), "--version prints the version");
}

static void size_is(const char *option, off_t expected)
{
	pid_t server = start_server("--memfd", "-l", option, NULL);
	int socket = join(scratch("socket"));
	struct stat st = { 0 };
	int fd;

	next_message(socket);
	next_message(socket);
	fd = next_message(socket).fd;
	tap_ok(fstat(fd, &st) == 0 && st.st_size == expected &&
	       st.st_blocks == 0, "size %s", option);
	close(fd);
	close(socket);
	stop_server(server, SIGTERM);
}

static void test_good_sizes(void)
{
	tap_note("good sizes");
	size_is("4096", 4096);
	size_is("64k", 65536);
	size_is("1M", 1 << 20);
	size_is("8G", 8LL << 30);
	size_is("1T", 1LL << 40);
}

/* A server in the background is nobody's child here: the process that adopts it reaps it. */
static bool has_ended(pid_t pid)
{
	char path[32], state = 0;
	bool there;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	there = file && fscanf(file, "%*d (ivshmem-server) %c", &state) == 1;
	if (file)
		fclose(file);
	return !there || state == 'Z';
}

static void test_defaults(void)
{
	pid_t server;
	struct stat st;

	tap_note("defaults");
	if (exists("/tmp/ivshmem_socket") || exists("/dev/shm/ivshmem") ||
	    exists("/var/run/ivshmem-server.pid") || geteuid()) {
		tap_skip("defaults", "not root, or a server runs here");
		return;
	}
	tap_eq(run_server("--verbose", NULL), 0, "the server goes to the background");
	tap_ok(stat("/tmp/ivshmem_socket", &st) == 0 && S_ISSOCK(st.st_mode),
	       "the socket exists when the command returns");
	tap_ok(stat("/dev/shm/ivshmem", &st) == 0 && st.st_size == 4 << 20,
	       "the memory exists, with 4M");
	FILE *file = fopen("/var/run/ivshmem-server.pid", "r");
	tap_ok(file && fscanf(file, "%d", &server) == 1, "the pid file holds a process id");
	if (!file)
		return;
	fclose(file);
	int socket = join("/tmp/ivshmem_socket");
	tap_eq(introduction(socket, 1), 0, "a peer can join and gets one vector");
	kill(server, SIGTERM);
	tap_ok(next_message(socket).end, "SIGTERM disconnects the peer");
	close(socket);
	tap_ok(eventually(has_ended(server)), "the process has ended");
	tap_ok(!exists("/tmp/ivshmem_socket") && !exists("/dev/shm/ivshmem") &&
	       !exists("/tmp/ivshmem_socket.lock") &&
	       !exists("/var/run/ivshmem-server.pid"), "no file of the server is left");
}

static void test_background_fails(void)
{
	tap_note("a failure in the background");
	refused(1, "/nowhere/socket.lock: No such", "-S", "/nowhere/socket", "--memfd", "-p",
		scratch("pid"));
	refused(1, "cannot use pid file", "-S", scratch("socket"), "--memfd",
		"-p", "/nowhere/pid");
	tap_ok(!exists(scratch("socket")) && !exists(scratch("pid")),
	       "no file of the server is left");
}

static void test_clean_end(int signal)
{
	const char *pid_file = scratch("pid");
	pid_t server = start_server("-M", object, "-p", pid_file, "--mode",
				    "0660", "-n", "256", "-v", NULL);
	struct stat st;
	int socket;

	tap_note("signal %d", signal);
	tap_ok(eventually(exists(pid_file)), "the pid file exists");
	tap_ok(stat(scratch("socket"), &st) == 0 &&
	       (st.st_mode & 0777) == 0660, "the socket has the mode of --mode");
	tap_ok(stat(object_path(), &st) == 0 && (st.st_mode & 0777) == 0600,
	       "only the owner may use the memory");
	socket = join(scratch("socket"));
	introduction(socket, 256);
	tap_eq(stop_server(server, signal), 0, "the server exits with 0");
	tap_ok(next_message(socket).end, "the signal disconnects the peer");
	tap_ok(!exists(scratch("socket")) && !exists(scratch("socket.lock")) &&
	       !exists(object_path()) && !exists(pid_file), "no file of the server is left");
	close(socket);
}

static void test_second_server(void)
{
	pid_t server = start_server("-M", object, "-p", scratch("pid"), NULL);
	char process[32];

	tap_note("a second server");
	snprintf(process, sizeof(process), "process %d", server);
	refused(1, process, "-F", "-S", scratch("socket"), "--memfd");
	refused(1, process, "-F", "-S", scratch("other"), "-M", object);
	refused(1, process, "-F", "-S", scratch("other"), "--memfd", "-p",
		scratch("pid"));
	int socket = join(scratch("socket"));
	tap_eq(introduction(socket, 1), 0, "the first server still serves");
	close(socket);
	tap_ok(exists(object_path()), "the first server's memory still exists");
	stop_server(server, SIGTERM);
}

/* A listening socket without the server's lock, like one of another program. */
static int foreign_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1) < 0)
		tap_bail("no socket: %m");
	return fd;
}

/* Started by nohup, which ignores SIGHUP, and without standard streams. */
static void test_nohup(void)
{
	const char *path = scratch("socket"), *pid_file = scratch("pid");
	FILE *file;
	char command[512];
	int pid = 0;

	tap_note("nohup");
	snprintf(command, sizeof(command),
		 "trap '' HUP; exec build/san/ivshmem-server --memfd -S %s -p %s <&- >&- 2>&-",
		 path, pid_file);
	tap_eq(system(command), 0, "the server starts without standard streams");
	file = fopen(pid_file, "r");
	if (!file || fscanf(file, "%d", &pid) != 1 || pid <= 1)
		tap_bail("no process id in %s", pid_file);
	fclose(file);
	kill(pid, SIGHUP);
	usleep(300000);
	tap_ok(exists(path), "SIGHUP does not end a server that was started with it ignored");
	kill(pid, SIGTERM);
	tap_ok(eventually(!exists(path)), "SIGTERM ends it");
}

static void test_stale_socket(void)
{
	const char *path = scratch("socket");
	pid_t server;
	int fd;

	tap_note("stale socket");
	server = start_server("-M", object, NULL);
	stop_server(server, SIGKILL);
	tap_ok(exists(path) && exists(object_path()),
	       "a killed server leaves socket and memory");
	refused(1, "pid file", "-S", path, "-M", object, "-p", "/nowhere/pid");
	tap_ok(exists(object_path()), "a server that then fails to start leaves the memory");
	server = start_server("-M", object, NULL);
	tap_ok(true, "the next server takes them over");
	tap_eq(stop_server(server, SIGTERM), 0, "the next server exits with 0");
	tap_ok(!exists(path) && !exists(object_path()), "no file of the server is left");

	fd = foreign_socket(path);
	refused(1, "is listening on", "-F", "-S", path, "--memfd");
	tap_ok(exists(path), "another program's socket is left alone");
	close(fd);
	server = start_server("--memfd", NULL);
	tap_eq(stop_server(server, SIGTERM), 0, "a socket that nobody listens on is replaced");
}

static void test_objects(void)
{
	const char *path = scratch("socket");
	char text[8] = "";
	pid_t server;
	int fd;

	tap_note("shared memory objects");
	fd = open(object_path(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (ftruncate(fd, 8192) < 0 || pwrite(fd, "before", 6, 0) != 6)
		tap_bail("no shared memory: %m");
	refused(1, "has 8K bytes, not 4M", "-F", "-S", path, "-M", object);
	tap_ok(lseek(fd, 0, SEEK_END) == 8192 && exists(object_path()),
	       "an object of another size is left alone");
	server = start_server("-M", object, "-l", "8K", NULL);
	tap_ok(pread(fd, text, 6, 0) == 6 && !strcmp(text, "before"),
	       "one of the right size is used as it is");
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
	close(fd);

	if (geteuid()) {
		tap_skip("an object of another user", "not root");
		return;
	}
	close(open(object_path(), O_CREAT | O_RDWR, 0600));
	if (chown(object_path(), 12345, 12345) < 0)
		tap_bail("chown: %m");
	refused(1, "owned by another user", "-F", "-S", path, "-M", object);
	tap_ok(exists(object_path()), "an object of another user is left alone");
	unlink(object_path());
}

static void make_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		tap_bail("no %s: %m", path);
	close(fd);
}

/* The names of pid file, lock and memory lead to files that no server has left. */
static void test_others_files(void)
{
	static const char *const texts[] = { "x", "12", "12\n\n", "\n", "1 2\n" };
	const char *path = scratch("socket"), *pid = scratch("pid");
	const char *lock = scratch("socket.lock");
	struct stat st;
	unsigned int n;

	tap_note("other files");
	for (n = 0; n < 5; n++) {
		make_file(pid, texts[n]);
		refused(1, "does not contain a process id", "-F", "-S", path, "--memfd", "-p",
			pid);
		tap_ok(stat(pid, &st) == 0 &&
		       st.st_size == (off_t)strlen(texts[n]) &&
		       (st.st_mode & 0777) == 0600, "a file that is no pid file is left alone");
	}
	make_file(pid, "1234567\n");
	tap_eq(stop_server(start_server("--memfd", "-p", pid, NULL), SIGTERM),
	       0, "a stale pid file is replaced");
	tap_ok(!exists(pid), "the pid file is removed when the server ends");

	if (mkfifo(pid, 0640) < 0 || mkfifo(object_path(), 0600) < 0)
		tap_bail("mkfifo: %m");
	refused(1, "not a regular file", "-F", "-S", path, "--memfd", "-p", pid);
	refused(1, "not a regular file", "-F", "-S", path, "-M", object);
	tap_ok(stat(pid, &st) == 0 && (st.st_mode & 0777) == 0640 &&
	       exists(object_path()), "FIFOs are left alone");
	unlink(pid);
	unlink(object_path());
	if (geteuid() || mknod(pid, S_IFCHR | 0666, 1 << 8 | 3) < 0) {
		tap_skip("devices and other users", "not root");
		return;
	}
	refused(1, "not a regular file", "-F", "-S", path, "--memfd", "-p", pid);
	tap_ok(stat(pid, &st) == 0 && S_ISCHR(st.st_mode),
	       "a device is left alone");
	unlink(pid);
	make_file(pid, "");
	make_file(lock, "");
	if (chown(pid, 12345, 12345) < 0)
		tap_bail("chown: %m");
	refused(1, "another user; use another file (-p)", "-F", "-S",
		scratch("other"), "--memfd", "-p", pid);
	if (chown(lock, 12345, 12345) < 0)
		tap_bail("chown: %m");
	refused(1, "another user; use another socket (-S)", "-F", "-S",
		path, "--memfd");
	tap_ok(exists(pid) && exists(lock), "pid file and lock of other users are left alone");
	unlink(pid);
	unlink(lock);
}

/*
 * The files of a server are removed by hand, and a second server creates its own under the
 * same names. The first one must not remove those when it ends.
 */
static void test_successor(void)
{
	const char *const names[] = {
		scratch("socket"), scratch("socket.lock"), scratch("pid"),
		scratch("socket.control"), object_path(),
	};
	enum { NAMES = sizeof(names) / sizeof(names[0]) };
	pid_t first, second;
	unsigned int n;

	tap_note("a successor");
	first = start_server("-M", object, "-p", scratch("pid"), NULL);
	for (n = 0; n < NAMES; n++)
		if (unlink(names[n]) < 0)
			tap_bail("unlink %s: %m", names[n]);
	second = start_server("-M", object, "-p", scratch("pid"), NULL);
	tap_eq(stop_server(first, SIGTERM), 0, "the first server exits with 0");
	for (n = 0; n < NAMES; n++)
		tap_ok(exists(names[n]), "%s of the second server still exists", names[n]);
	tap_eq(stop_server(second, SIGTERM), 0, "the second server exits with 0");
	for (n = 0; n < NAMES; n++)
		tap_ok(!exists(names[n]), "%s is removed when the second server ends", names[n]);
}

/* The log goes to a pipe without a reader. */
static void test_closed_log(void)
{
	const char *path = scratch("socket");
	int log[2], socket;
	pid_t server;

	tap_note("a closed log");
	if (pipe2(log, O_CLOEXEC) < 0)
		tap_bail("no pipe: %m");
	close(log[0]);
	server = fork();
	if (!server) {
		dup2(log[1], STDERR_FILENO);
		execl("build/san/ivshmem-server", "ivshmem-server", "-F", "-S",
		      path, "-M", object, NULL);
		_exit(127);
	}
	close(log[1]);
	tap_ok(eventually((socket = join(path)) >= 0), "the server listens");
	tap_eq(introduction(socket, 1), 0, "a peer can join");
	close(socket);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
	tap_ok(!exists(path) && !exists(object_path()), "no file of the server is left");
}

/* A peer cannot release the server's lock, and does not hold it after the server's death. */
static void test_lock_is_ours(void)
{
	pid_t server = start_server("-M", object, NULL);
	int socket = join(scratch("socket"));
	int memory;

	tap_note("the lock");
	next_message(socket);
	next_message(socket);
	memory = next_message(socket).fd;
	stop_server(server, SIGKILL);
	server = start_server("-M", object, NULL);
	tap_ok(true, "a peer of a dead server does not keep the next one out");
	close(memory);
	close(socket);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

static void test_directory(void)
{
	const char *directory = scratch("memory");
	pid_t server;

	tap_note("directory");
	mkdir(directory, 0700);
	server = start_server("-m", directory, NULL);
	tap_ok(rmdir(directory) == 0, "the memory file has no name in the directory");
	int socket = join(scratch("socket"));
	tap_eq(introduction(socket, 1), 0, "a peer can join");
	close(socket);
	stop_server(server, SIGTERM);
	refused(1, "cannot create a file in", "-F", "-S", scratch("socket"),
		"-m", directory);
}

static bool set_huge_pages(const char *number)
{
	int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY | O_CLOEXEC);
	bool done = write(fd, number, strlen(number)) > 0;

	close(fd);
	return done;
}

static void use_huge_pages(const char *directory)
{
	pid_t server = start_server("-m", directory, "-l", "4M", NULL);
	int socket = join(scratch("socket"));
	char *map;
	int fd;

	next_message(socket);
	next_message(socket);
	fd = next_message(socket).fd;
	map = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	tap_ok(map != MAP_FAILED && (map[3 << 20] = 1), "huge pages are used");
	munmap(map, 4 << 20);
	close(fd);
	close(socket);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
	refused(1, "use at least that", "-F", "-S", scratch("socket"), "-m",
		directory, "-l", "1M");
	refused(1, "not enough free huge pages", "-F", "-S", scratch("socket"),
		"-m", directory, "-l", "1G");
}

static void test_hugetlbfs(void)
{
	const char *directory = scratch("huge");
	char before[32] = "";
	int fd = open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC);

	tap_note("hugetlbfs");
	mkdir(directory, 0700);
	if (read(fd, before, sizeof(before) - 1) <= 0 || atoi(before))
		tap_skip("hugetlbfs", "no huge pages, or they are in use");
	else if (mount("none", directory, "hugetlbfs", 0, "pagesize=2M") < 0)
		tap_skip("hugetlbfs", strerror(errno));
	else if (!set_huge_pages("4"))
		tap_skip("hugetlbfs", "cannot reserve huge pages");
	else
		use_huge_pages(directory);
	if (*before && !atoi(before))
		set_huge_pages("0");
	umount(directory);
	close(fd);
}

int main(void)
{
	snprintf(object, sizeof(object), "ivshmem-test-%d", getpid());
	test_options();
	test_good_sizes();
	test_defaults();
	test_background_fails();
	test_clean_end(SIGTERM);
	test_clean_end(SIGHUP);
	test_second_server();
	test_nohup();
	test_stale_socket();
	test_objects();
	test_others_files();
	test_successor();
	test_closed_log();
	test_lock_is_ours();
	test_directory();
	test_hugetlbfs();
	return tap_done();
}
