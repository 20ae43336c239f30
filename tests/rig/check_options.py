# SPDX-License-Identifier: GPL-2.0-only
"""make check-options: build the module for kernels that lack an option.

Each option is off in turn, in copied headers. It takes minutes and finds little on most
days, so it is no part of make lint.
"""

import concurrent.futures
import os

import archive
import build
import ending
import kernel_options
import kernels
import lint
import settings
import tap


def compile_without(option: str) -> list[str]:
    """Warnings where the kernel lacks an option, by which modules are made as well."""
    kernel = kernels.find(kernels.DEFAULT)
    headers = build.BUILD / "lint" / "headers" / option
    kernel_options.headers_without(option, kernel, headers)
    return lint.compile_module(kernels.DEFAULT, option.lower(), "-C", str(headers))


def main() -> int:
    settings.parse(__doc__, ("IVSHMEM_CACHE",))
    writer = tap.Writer()
    # Each first tries the compiler for a while, which takes one processor.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for option, problems in zip(
                kernel_options.OPTIONS, pool.map(compile_without, kernel_options.OPTIONS)
            ):
                name = f"module, kernel without CONFIG_{option}"
                writer.point("options", tap.Point(not problems, name, None, problems))
        except (archive.ArchiveError, build.BuildError) as error:
            writer.fail("options", str(error))
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
