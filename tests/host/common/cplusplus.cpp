// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program in C++ that calls all of ivshmem.hpp, on a server's socket. It exits with 1 and
 * names the line where something is not as it should be. See test_cplusplus.py.
 */
#include <ivshmem.hpp>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string_view>
#include <thread>
#include <type_traits>

using namespace std::chrono_literals;

#define CHECK(condition) do { \
	if (!(condition)) { \
		std::cerr << "line " << __LINE__ << ": " #condition << std::endl; \
		std::exit(1); \
	} \
} while (0)

constexpr auto now = 0s;	/* as a deadline: do not wait */
constexpr std::size_t size = 1 << 20, objects = size / 2;

template <class Type> constexpr bool is_move_only =
	std::is_nothrow_move_constructible_v<Type> && std::is_move_assignable_v<Type> &&
	!std::is_copy_constructible_v<Type> && !std::is_copy_assignable_v<Type>;

static_assert(is_move_only<ivshm::handle> && is_move_only<ivshm::mapping> &&
	      is_move_only<ivshm::channel> && is_move_only<ivshm::mutex> &&
	      is_move_only<ivshm::semaphore> && is_move_only<ivshm::event>);

/* The text of the exception that this raises, if it has this error. */
template <class Call> static std::string error_of(int error, Call call)
{
	try {
		call();
	} catch (const std::system_error &exception) {
		if (exception.code() == std::error_code(error, std::generic_category()))
			return exception.what();
		return std::string("another error: ") + exception.what();
	}
	return "no exception";
}

static auto bytes(std::string_view text)
{
	return std::as_bytes(std::span(text));
}

static bool equal(std::span<const std::byte> message, std::string_view text)
{
	return std::ranges::equal(message, bytes(text));
}

static void test_deadlines()
{
	using clock = std::chrono::steady_clock;
	std::int64_t soon = ivshm::deadline(5s) - ivshm::deadline(clock::now());

	CHECK(ivshm::forever == IVSHMEM_FOREVER);
	CHECK(ivshm::deadline(0ms) == 0 && ivshm::deadline(-3s) == 0);
	CHECK(soon > 4000000000 && soon < 6000000000);
	CHECK(ivshm::deadline(clock::time_point(-3s)) == 0);
	CHECK(ivshm::deadline(clock::time_point::min()) == 0);
	CHECK(ivshm::deadline(1.5s) < ivshm::deadline(2s));
	CHECK(ivshm::deadline(std::chrono::hours::max()) == ivshm::forever);
	CHECK(ivshm::deadline(clock::time_point::max()) > ivshm::deadline(24h * 365));
}

static void test_handle(ivshm::handle &a, ivshm::handle &b, const char *path)
{
	auto memory = a.map(), other = b.map(4096, 100);
	ivshmem_wait_options options{};
	ivshmem_wait_result result{};

	CHECK(a.properties().size == size && a.properties().id == 0);
	CHECK(b.peers() == std::vector<std::uint32_t>{0});
	CHECK(b.list_peers().size() == 2 && !b.list_peers()[0].self && b.list_peers()[1].self);
	CHECK(b.list_peers()[0].slot == IVSHMEM_SLOT_NONE &&
	      b.list_peers()[0].kind == IVSHMEM_KIND_UNKNOWN);
	CHECK(memory.bytes().size() == size && other.bytes().size() == 100);
	memory.at<std::atomic<int>>(4096) = 77;
	CHECK(other.at<std::atomic<int>>(0) == 77);
	try {
		other.at<int>(98);
		CHECK(false);
	} catch (const std::out_of_range &) {
	}
	a.ring(1, 1);
	options.vector = 1;
	options.timeout_ns = IVSHMEM_FOREVER;
	CHECK(b.wait(options, &result) && result.vector == 1);
	options.timeout_ns = 0;
	CHECK(!b.wait(options));
	CHECK(a.fd() == a.fd());
	close(a.eventfd(1));
	a.peer_gone(9);
	CHECK(error_of(EINVAL, [&] { a.map(100); }) ==
	      "the offset 0x64 is not a multiple of the page size 0x1000: Invalid argument");
	CHECK(error_of(EACCES, [&] { ivshm::handle(path, IVSHMEM_READ_ONLY).ring(0); }) ==
	      "the handle is read-only: Permission denied");
	CHECK(error_of(ENOENT, [] { ivshm::handle("/nothing"); }) == "No such file or directory");
	CHECK(error_of(ENODATA, [&] { ivshm::handle(path, "frames"); }) ==
	      "the region has no label: No data available");
}

static void test_channel(ivshm::handle &a, ivshm::handle &b)
{
	ivshmem_channel_options range{};
	std::array<std::byte, 100> room;

	range.size = 8192;
	auto one = ivshm::channel::create(a, range);
	auto other = ivshm::channel::attach(b, range);
	std::thread sender([&] {
		CHECK(one.send(bytes("hello")));
		auto space = one.reserve(5);
		CHECK(space && space->size() == 5);
		std::ranges::copy(bytes("world"), space->begin());
		one.commit(5, IVSHMEM_MORE);
		one.flush();
	});
	auto got = other.recv(room);
	CHECK(got && equal(std::span(room).first(*got), "hello"));
	auto message = other.peek();
	CHECK(message && equal(*message, "world"));
	other.release();
	sender.join();
	CHECK(!other.recv(room, now) && !other.peek(5ms));
	CHECK(one.properties().send_max == 2032);
	pollfd ready{other.fd(), POLLIN, 0};
	CHECK(!other.recv(room, now));
	CHECK(one.send(bytes("!"), 60s) && poll(&ready, 1, 60000) == 1);
	CHECK(error_of(EINVAL, [&] { one.commit(1); }) ==
	      "no message is reserved: Invalid argument");
	one = ivshm::channel(std::move(other));	/* closes the first */
	CHECK(one.recv(room, now) == 1);
	CHECK(error_of(EPIPE, [&] { one.recv(room); }) == "the other end has closed: Broken pipe");
	one.shutdown();
	CHECK(error_of(ESHUTDOWN, [&] { one.peek(); }).starts_with("this end has been shut down"));
	range.offset = 16384;
	range.size = 0;
	CHECK(error_of(ENOENT, [&] { ivshm::channel::attach(b, range, now); })
	      .starts_with("nobody has created a channel at 0x4000"));
}

static void test_mutex(ivshm::handle &a, ivshm::handle &b)
{
	int repairs = 0;
	ivshm::mutex one(a, objects, [&] { repairs++; });
	ivshm::mutex other(b, objects, [&] { repairs++; });

	{
		std::unique_lock lock(one);
		std::unique_lock second(other, std::defer_lock);

		CHECK(!second.try_lock() && !second.try_lock_for(1ms));
		CHECK(!second.try_lock_until(std::chrono::steady_clock::now() + 1ms));
	}
	CHECK(other.try_lock());
	CHECK(error_of(EDEADLK, [&] { other.lock(); }) != "no exception");
	one.recover(1);
	CHECK(error_of(EPERM, [&] { other.unlock(); })
	      .starts_with("the mutex was taken from this thread"));
	{
		std::scoped_lock lock(one);
		CHECK(repairs == 1);
	}
	std::unique_lock lock(other);
	CHECK(repairs == 1);
}

static void test_failing_repair(ivshm::handle &a)
{
	ivshm::mutex one(a, objects + 4096, [] { throw std::runtime_error("beyond repair"); });

	one.lock();
	one.recover(0);
	try {
		std::scoped_lock lock(one);
		CHECK(false);
	} catch (const std::runtime_error &error) {
		CHECK(!std::strcmp(error.what(), "beyond repair"));
	}
	CHECK(error_of(ENOTRECOVERABLE, [&] { one.lock(); }) != "no exception");
}

static void test_others(ivshm::handle &a, ivshm::handle &b)
{
	ivshm::semaphore permits(a, objects + 1024, 1), same(b, objects + 1024, 1);
	ivshm::event event(a, objects + 2048), waited(b, objects + 2048);

	CHECK(permits.wait() && !same.wait(now) && !same.wait(1ms));
	permits.post();
	CHECK(same.value() == 1 && same.wait(60s));
	CHECK(!waited.wait(now));
	event.set();
	CHECK(waited.wait());
	event.reset();
	CHECK(!waited.wait(1ms));
}

int main(int, char **argv)
{
	ivshm::handle a(argv[1]), b(argv[1]);

	test_deadlines();
	test_handle(a, b, argv[1]);
	test_channel(a, b);
	test_mutex(a, b);
	test_failing_repair(a);
	test_others(a, b);
	/* The last object closes the connection, not its handle. */
	ivshm::event event(a, objects + 3072);
	a = ivshm::handle(argv[1]);
	event.set();
	CHECK(event.wait(now));
	return 0;
}
