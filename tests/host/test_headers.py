# SPDX-License-Identifier: GPL-2.0-only
"""Programs in C and C++ can include the library's headers, on a host without the driver."""

import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
HEADERS = ("ivshmem.h", "ivshmem_channel.h", "ivshmem_sync.h")
STRUCTURES = (
    "ivshmem_properties",
    "ivshmem_wait_options",
    "ivshmem_wait_result",
    "ivshmem_peer",
    "ivshmem_channel_options",
    "ivshmem_channel_properties",
)
DRIVER = "#include <linux/ivshmem.h>\n"
# In any directory but the compiler's own, which does not warn of what is defined twice.
UAPI = "-Isrc/uapi"


def compile_program(words: list[str], text: str) -> None:
    """Compile a program as one of a user who wants no warnings."""
    subprocess.run(
        [*words, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Ilib/include", "-"],
        cwd=TOP,
        input=text,
        text=True,
        check=True,
    )


def test_cplusplus_20_is_asked_for() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        compile_program(["g++", "-std=c++17", "-xc++"], include("ivshmem.hpp"))


def include(*names: str) -> str:
    """The lines that include headers."""
    return "".join(f"#include <{name}>\n" for name in names)


@pytest.mark.parametrize("header", HEADERS)
def test_c11(header: str) -> None:
    compile_program(["gcc", "-std=c11", "-xc"], include(header))


@pytest.mark.parametrize("header", HEADERS)
def test_cplusplus(header: str) -> None:
    compile_program(["g++", "-std=c++20", "-xc++"], include(header))


def test_structures_need_no_keyword_in_cplusplus() -> None:
    variables = "".join(f"{name} a_{name};\n" for name in STRUCTURES)
    compile_program(["g++", "-std=c++20", "-xc++"], include(*HEADERS) + variables)


def test_the_driver_s_header_comes_first() -> None:
    compile_program(["gcc", "-std=c11", "-xc", UAPI], DRIVER + include(*HEADERS))


def test_the_driver_s_header_comes_last() -> None:
    compile_program(["gcc", "-std=c11", "-xc", UAPI], include(*HEADERS) + DRIVER)
