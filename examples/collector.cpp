// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ivshmem.hpp>

#include <poll.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string_view>

constexpr std::size_t end = 1 << 20;		/* of the first channel */

int main(int argc, char **argv)			/* DEVICE [OFFSET] */
try {
	if (argc < 2)
		return 1;
	ivshm::handle shm(argv[1]);
	ivshm::mapping memory = shm.map();
	long &total = memory.at<long>(end);		/* of all collectors */
	ivshm::mutex mutex(shm, end + 512, [] {});	/* the total is always valid */
	ivshmem_channel_options range{};
	std::array<std::byte, 256> text;

	range.size = end;
	if (argc > 2)
		range.offset = std::strtoull(argv[2], nullptr, 0);
	auto channel = ivshm::channel::create(shm, range);
	pollfd ready{channel.fd(), POLLIN, 0};

	for (;;) {
		while (auto size = channel.recv(text, std::chrono::seconds(0))) {
			std::unique_lock lock(mutex);

			std::cout << ++total << ": "
				  << std::string_view(reinterpret_cast<char *>(text.data()), *size)
				  << std::endl;
		}
		poll(&ready, 1, -1);
	}
} catch (const std::system_error &error) {
	if (error.code() == std::errc::broken_pipe)	/* the other end has closed */
		return 0;
	std::cerr << error.what() << std::endl;
	return 1;
}
