/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library for C++20, but for sets of channels. It adds nothing to the three headers of C,
 * which document each call, and is compiled into the program: only C functions are called in
 * the library.
 *
 * The namespace is ivshm, as ivshmem is a structure. Objects can be moved, not copied, and
 * close what they hold. A moved-from object can only be destroyed or assigned to.
 *
 * Errors are exceptions: std::system_error with the errno value in std::generic_category()
 * and the text of ivshmem_error(). A deadline that passes is no error: the call returns
 * false or an empty std::optional, for -EAGAIN as well as for -ETIMEDOUT.
 *
 * Channels and objects can outlive their handle, as in C.
 */
#ifndef IVSHMEM_HPP
#define IVSHMEM_HPP

#if __cplusplus <= 201703L
#error "ivshmem.hpp needs C++20"
#endif

#include <ivshmem.h>
#include <ivshmem_channel.h>
#include <ivshmem_sync.h>

#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ivshm {

namespace detail {

[[noreturn]] inline void fail(int error)
{
	std::error_code code(-error, std::generic_category());
	const char *reason = ivshmem_error(error);

	if (code.message() == reason)
		throw std::system_error(code);
	throw std::system_error(code, reason);
}

/* What a call returns, unless that is an error. */
template <class Number> Number check(Number result)
{
	if (result < 0)
		fail(static_cast<int>(result));
	return result;
}

/* False if the deadline has passed. */
inline bool in_time(std::int64_t result)
{
	if (result == -EAGAIN || result == -ETIMEDOUT)
		return false;
	check(result);
	return true;
}

template <auto close> struct closer {
	template <class Object> void operator()(Object *object) const noexcept
	{
		close(object);
	}
};

template <class Object, auto close> using owner = std::unique_ptr<Object, closer<close>>;

} // namespace detail

/*
 * When a call stops waiting: after a duration, at a time, never, or at once (a duration of
 * 0). All convert to this.
 */
class deadline {
public:
	constexpr deadline() noexcept = default;	/* never */

	template <class Rep, class Period>
	deadline(std::chrono::duration<Rep, Period> left) noexcept
		: ns(left > left.zero() ? ivshmem_after(count(left)) : 0) {}

	/* The clock of the library is CLOCK_MONOTONIC, as this one. */
	template <class Duration>
	deadline(std::chrono::time_point<std::chrono::steady_clock, Duration> time) noexcept
		: ns(count(time.time_since_epoch())) {}

	constexpr operator std::int64_t() const noexcept { return ns; }

private:
	template <class Duration> static std::int64_t count(Duration duration) noexcept
	{
		using nanoseconds = std::chrono::duration<std::int64_t, std::nano>;

		/* What is negative would mean never: such a time has passed long since. */
		if (duration <= duration.zero())
			return 0;
		/* The longest durations, such as hours::max(), have no such number. */
		if (std::chrono::duration<double>(duration).count() > 9e9)
			return INT64_MAX;
		return std::chrono::ceil<nanoseconds>(duration).count();
	}

	std::int64_t ns = IVSHMEM_FOREVER;
};

inline constexpr deadline forever;

/* A part of the region. It does not need the handle any more. */
class mapping {
public:
	/* Do not write if the handle is read-only. */
	std::span<std::byte> bytes() const noexcept { return {memory.get(), size}; }

	/* An object at this offset of the mapping. Other machines can change it at any time. */
	template <class Object> Object &at(std::size_t offset) const
	{
		if (offset % alignof(Object) || offset > size || sizeof(Object) > size - offset)
			throw std::out_of_range("not in the mapping, or misaligned");
		return *reinterpret_cast<Object *>(memory.get() + offset);
	}

private:
	friend class handle;

	struct unmap {
		std::size_t length;	/* whole pages */

		void operator()(std::byte *address) const noexcept { munmap(address, length); }
	};

	mapping(void *address, std::size_t length, std::size_t page)
		: memory(static_cast<std::byte *>(address),
			 unmap{(length + page - 1) / page * page}),
		  size(length) {}

	std::unique_ptr<std::byte, unmap> memory;
	std::size_t size;
};

/* An open device or file, or a connection to a server. */
class handle {
public:
	explicit handle(const std::string &path, unsigned int flags = 0)
	{
		struct ivshmem *opened;

		detail::check(ivshmem_open(&opened, path.c_str(), flags));
		object.reset(opened);
	}

	/* A partition of a region that has a label. */
	handle(const std::string &path, const std::string &partition, unsigned int flags = 0)
	{
		struct ivshmem *opened;

		detail::check(ivshmem_open_partition(&opened, path.c_str(), partition.c_str(),
						     flags));
		object.reset(opened);
	}

	struct ivshmem *get() const noexcept { return object.get(); }

	ivshmem_properties properties() const
	{
		ivshmem_properties result;

		detail::check(ivshmem_get_properties(get(), &result));
		return result;
	}

	/* A length of 0 means up to the end of the region. */
	mapping map(std::uint64_t offset = 0, std::size_t length = 0) const
	{
		ivshmem_properties region = properties();
		void *address;

		detail::check(ivshmem_map(get(), offset, length, &address));
		return {address, length ? length : region.size - offset, region.page_size};
	}

	void ring(std::uint32_t peer, std::uint32_t vector = 0) const
	{
		detail::check(ivshmem_ring(get(), peer, vector));
	}

	/* False after the timeout of the options. */
	bool wait(const ivshmem_wait_options &options,
		  ivshmem_wait_result *result = nullptr) const
	{
		return detail::in_time(ivshmem_wait(get(), &options, result));
	}

	std::vector<std::uint32_t> peers() const
	{
		std::vector<std::uint32_t> ids;
		std::size_t count = 0;

		do {
			ids.resize(count);
			count = detail::check(ivshmem_peers(get(), ids.data(), ids.size()));
		} while (count > ids.size());
		ids.resize(count);
		return ids;
	}

	/* All who are present, also this one, and what they say about themselves. */
	std::vector<ivshmem_peer> list_peers() const
	{
		std::vector<ivshmem_peer> list;
		std::size_t count = 0;

		do {
			list.resize(count);
			count = detail::check(ivshmem_list_peers(get(), list.data(), list.size()));
		} while (count > list.size());
		list.resize(count);
		return list;
	}

	void peer_gone(std::uint32_t peer) const { detail::check(ivshmem_peer_gone(get(), peer)); }

	/* To be polled; belongs to the handle. */
	int fd() const { return detail::check(ivshmem_fd(get())); }

	/* A new descriptor, which the caller closes. */
	int eventfd(std::uint32_t vector = 0) const
	{
		return detail::check(ivshmem_eventfd(get(), vector));
	}

private:
	detail::owner<struct ivshmem, ivshmem_close> object;
};

/* One end of a channel. */
class channel {
public:
	static channel create(const handle &shm, const ivshmem_channel_options &options)
	{
		ivshmem_channel *opened;

		detail::check(ivshmem_channel_create(shm.get(), &options, &opened));
		return channel(opened);
	}

	/* An exception also if there is no channel before the deadline: ENOENT. */
	static channel attach(const handle &shm, const ivshmem_channel_options &options,
			      deadline until = forever)
	{
		ivshmem_channel *opened;

		detail::check(ivshmem_channel_attach(shm.get(), &options, until, &opened));
		return channel(opened);
	}

	ivshmem_channel *get() const noexcept { return object.get(); }

	ivshmem_channel_properties properties() const noexcept
	{
		ivshmem_channel_properties result;

		ivshmem_channel_get_properties(get(), &result);
		return result;
	}

	/* False: no space before the deadline. */
	bool send(std::span<const std::byte> message, deadline until = forever,
		  unsigned int flags = 0)
	{
		return detail::in_time(ivshmem_channel_send(get(), message.data(), message.size(),
							    flags, until));
	}

	/* The size of the message that is now at the start of @room, if there is one. */
	std::optional<std::size_t> recv(std::span<std::byte> room, deadline until = forever)
	{
		std::int64_t size = ivshmem_channel_recv(get(), room.data(), room.size(), until);

		if (!detail::in_time(size))
			return std::nullopt;
		return static_cast<std::size_t>(size);
	}

	/* Space for a message, to be written in place and sent by commit(). */
	std::optional<std::span<std::byte>> reserve(std::size_t size, deadline until = forever)
	{
		void *message;

		if (!detail::in_time(ivshmem_channel_reserve(get(), size, &message, until)))
			return std::nullopt;
		return std::span(static_cast<std::byte *>(message), size);
	}

	void commit(std::size_t size, unsigned int flags = 0)
	{
		detail::check(ivshmem_channel_commit(get(), size, flags));
	}

	void flush() noexcept { ivshmem_channel_flush(get()); }

	/* The next message in place, until release(). */
	std::optional<std::span<const std::byte>> peek(deadline until = forever)
	{
		const void *message;
		std::size_t size;

		if (!detail::in_time(ivshmem_channel_peek(get(), &message, &size, until)))
			return std::nullopt;
		return std::span(static_cast<const std::byte *>(message), size);
	}

	void release() { detail::check(ivshmem_channel_release(get())); }

	void shutdown() noexcept { ivshmem_channel_shutdown(get()); }

	/* To be polled; belongs to the channel. */
	int fd() const { return detail::check(ivshmem_channel_fd(get())); }

private:
	explicit channel(ivshmem_channel *opened) noexcept : object(opened) {}

	detail::owner<ivshmem_channel, ivshmem_channel_close> object;
};

/*
 * A mutex for std::unique_lock and std::scoped_lock. If its owner has died, the thread
 * that gets it calls @repair, which makes the protected data consistent. If @repair throws,
 * so does the lock, and the mutex is unusable from then on. A signal does not end the wait.
 */
class mutex {
public:
	mutex(const handle &shm, std::uint64_t offset, std::function<void()> repair,
	      unsigned int flags = IVSHMEM_SYNC_CREATE, std::uint32_t vector = 0)
		: mend(std::move(repair))
	{
		ivshmem_mutex *opened;

		detail::check(ivshmem_mutex_open(shm.get(), offset, vector, flags, &opened));
		object.reset(opened);
	}

	ivshmem_mutex *get() const noexcept { return object.get(); }

	void lock() { try_lock_until(forever); }
	bool try_lock() { return try_lock_until(std::chrono::seconds::zero()); }
	bool try_lock_for(deadline until) { return try_lock_until(until); }

	bool try_lock_until(deadline until)
	{
		int error;

		do {
			error = ivshmem_mutex_lock(get(), until);
		} while (error == -EINTR);
		if (error == -EOWNERDEAD)
			make_consistent();
		else
			return detail::in_time(error);
		return true;
	}

	void unlock() { detail::check(ivshmem_mutex_unlock(get())); }

	/* Report that the owner has died. */
	void recover(std::uint32_t peer) { detail::check(ivshmem_mutex_recover(get(), peer)); }

private:
	void make_consistent()
	{
		try {
			mend();
		} catch (...) {
			ivshmem_mutex_unlock(get());
			throw;
		}
		detail::check(ivshmem_mutex_consistent(get()));
	}

	detail::owner<ivshmem_mutex, ivshmem_mutex_close> object;
	std::function<void()> mend;
};

class semaphore {
public:
	semaphore(const handle &shm, std::uint64_t offset, std::uint32_t permits = 0,
		  unsigned int flags = IVSHMEM_SYNC_CREATE, std::uint32_t vector = 0)
	{
		ivshmem_semaphore *opened;

		detail::check(ivshmem_semaphore_open(shm.get(), offset, vector, flags, permits,
						     &opened));
		object.reset(opened);
	}

	ivshmem_semaphore *get() const noexcept { return object.get(); }

	/* False: no permit before the deadline. */
	bool wait(deadline until = forever)
	{
		return detail::in_time(ivshmem_semaphore_wait(get(), until));
	}

	void post() { detail::check(ivshmem_semaphore_post(get())); }

	std::uint32_t value() const noexcept { return ivshmem_semaphore_value(get()); }

private:
	detail::owner<ivshmem_semaphore, ivshmem_semaphore_close> object;
};

class event {
public:
	/* @flags: also IVSHMEM_EVENT_AUTO_RESET and IVSHMEM_EVENT_SET */
	event(const handle &shm, std::uint64_t offset,
	      unsigned int flags = IVSHMEM_SYNC_CREATE, std::uint32_t vector = 0)
	{
		ivshmem_event *opened;

		detail::check(ivshmem_event_open(shm.get(), offset, vector, flags, &opened));
		object.reset(opened);
	}

	ivshmem_event *get() const noexcept { return object.get(); }

	/* False: not set before the deadline. */
	bool wait(deadline until = forever)
	{
		return detail::in_time(ivshmem_event_wait(get(), until));
	}

	void set() { detail::check(ivshmem_event_set(get())); }
	void reset() { detail::check(ivshmem_event_reset(get())); }

private:
	detail::owner<ivshmem_event, ivshmem_event_close> object;
};

} // namespace ivshm

#endif /* IVSHMEM_HPP */
