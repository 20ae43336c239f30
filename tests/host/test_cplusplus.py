# SPDX-License-Identifier: GPL-2.0-only
"""A program in C++ uses all of ivshmem.hpp, built by each compiler that is there."""

import pathlib
import shutil
import subprocess

import pytest

import ctl

SOURCE = pathlib.Path(__file__).resolve().parent / "common" / "cplusplus.cpp"
LIBRARY = ctl.ROOT / "build" / "libivshmem.so.0"


@pytest.mark.parametrize("compiler", ("g++", "clang++"))
def test_program(compiler: str, tmp_path: pathlib.Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    program = tmp_path / "program"
    socket = tmp_path / "socket"
    subprocess.run(
        [
            *(compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-pthread"),
            *(f"-I{ctl.ROOT}/lib/include", "-o", program, SOURCE),
            *(LIBRARY, f"-Wl,-rpath,{LIBRARY.parent}"),
        ],
        check=True,
    )
    with subprocess.Popen(
        [ctl.SERVER, "-F", "-S", socket, "--memfd", "-l", "1M", "-n", "2"],
        stderr=subprocess.PIPE,
    ) as server:
        try:
            assert server.stderr
            server.stderr.readline()  # it listens
            run = subprocess.run(
                [program, socket], text=True, timeout=ctl.LIMIT, stderr=subprocess.PIPE
            )
        finally:
            server.terminate()
    assert (run.returncode, run.stderr) == (0, "")
