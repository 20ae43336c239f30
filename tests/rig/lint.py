# SPDX-License-Identifier: GPL-2.0-only
"""make lint: every checker that reads the sources, each one point of TAP."""

import ending

import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import typing

import archive
import build
import checkpatch
import kernels
import settings
import tap

PYTHON = (
    "python",
    "examples",
    "tests/rig",
    "tests/host",
    "tests/packages",
    "tests/bench",
    "tests/soak",
    "tests/guest",
)
Command = typing.Sequence[str | pathlib.Path]
# The name of each check, and what is wrong.
Points = typing.Iterator[tuple[str, list[str]]]
# The driver compiles for all of these without a warning.
LINES = ("5.10", "6.1", "6.12", "7.3")


def output_of(*command: str | pathlib.Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [str(word) for word in command],
        text=True,
        cwd=build.TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout.splitlines()


def failing(*command: str | pathlib.Path) -> list[str]:
    """The output of a command that says nothing worth reading when all is well."""
    status, lines = output_of(*command)
    return lines or ["exit status %d" % status] if status else []


def at_once(commands: typing.Iterable[tuple[str, Command]]) -> Points:
    """Run commands that say nothing when all is well, one on each processor."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(name, pool.submit(failing, *command)) for name, command in commands]
        for name, job in jobs:
            yield name, job.result()


def compile_module(line: str, name: str, *arguments: str) -> list[str]:
    """Warnings about our own sources when the module is built for a kernel."""
    kernel = kernels.find(line)
    directory = build.BUILD / "lint" / f"{name}-{line}"
    shutil.rmtree(directory, ignore_errors=True)
    build.link_sources(directory)
    status, lines = output_of(
        "make",
        f"-j{os.cpu_count()}",
        *kernels.make_arguments(kernel),
        *arguments,
        "W=1",
        f"M={directory}",
        "modules",
    )
    return build.warnings(lines, kernel.headers) or (lines[-20:] if status else [])


def check_module() -> Points:
    for line in LINES:
        yield (
            f"module for {line}, gcc W=1",
            compile_module(line, "gcc", f"KCFLAGS=-Wframe-larger-than={build.STACK_LIMIT}"),
        )
    yield "module, sparse", compile_module(kernels.DEFAULT, "sparse", "C=2")
    yield "module, clang", compile_module(kernels.DEFAULT, "clang", *build.CLANG)


def check_style() -> Points:
    command: list[str | pathlib.Path] = ["perl", checkpatch.program()]
    command += ["--no-tree", "--strict", "--terse", "--no-summary"]
    # A bus cannot be constant: bus_register() writes to it before 6.9. Where the kernel's
    # version may be looked at, test_compat.py says.
    command += ["--ignore", "CONST_STRUCT,LINUX_VERSION_CODE", "--file"]
    helpers = (path for source in build.HELPERS for path in source.rglob("*.[ch]"))
    yield from at_once(
        (f"checkpatch --strict {path.relative_to(build.TOP)}", [*command, path])
        for path in sorted([*build.SOURCE.rglob("*.[ch]"), *helpers])
    )


def make_variable(name: str) -> list[str]:
    _, lines = output_of(
        "make", "-s", "--no-print-directory", f"--eval=show:;@:$(info $({name}))", "show"
    )
    return shlex.split(lines[-1])


def check_user_space() -> Points:
    groups = {
        "lib/**/*.c": "user-flags",
        "src/core/label.c": "user-flags",
        "src/rings/broadcast.c": "user-flags",
        "src/rings/layout.c": "user-flags",
        "src/rings/ring.c": "user-flags",
        "examples/**/*.c": "user-flags",
        "tools/**/*.c": "user-flags",
        "tests/host/**/*.c": "user-flags",
        "tests/guest/**/*.c": "GUEST_CFLAGS",
        "tests/guest/*.cpp": "GUEST_CXXFLAGS",
        "tests/bench/**/*.c": "BENCH_CFLAGS",
        "tests/soak/**/*.c": "SOAK_CFLAGS",
    }
    for compiler in ("gcc", "clang"):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [
                pool.submit(
                    failing,
                    compiler,
                    *flags,
                    "-Werror",
                    "-c",
                    "-MMD",
                    "-MF",
                    "/dev/null",
                    "-o",
                    "/dev/null",
                    path,
                )
                for pattern, flags in ((key, make_variable(name)) for key, name in groups.items())
                for path in sorted(build.TOP.glob(pattern))
            ]
            yield (
                f"user space and tests, {compiler}",
                [line for job in jobs for line in job.result()],
            )


def sources() -> typing.Iterator[pathlib.Path]:
    """Every file of the tree that is not built."""
    for path in sorted(build.TOP.rglob("*")):
        top = path.relative_to(build.TOP).parts[0]
        if top not in (".git", "build", "dist", "repo") and path.is_file():
            yield path


def is_shell(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        return (
            path.suffix == ".sh" or re.match(rb"#!.*\b(ba|da)?sh\b", file.readline()) is not None
        )


def check_scripts() -> Points:
    # SC1091: scripts for guests source files that are there only.
    scripts = filter(is_shell, sources())
    python = (path for path in sources() if path.suffix == ".py")
    commands: list[tuple[str, Command]] = [
        ("shellcheck", ["shellcheck", "--exclude=SC1091", *scripts]),
        ("pyflakes", ["pyflakes3", *python]),
    ]
    # Debian's, whatever else is called so. Two directories may have files of one name.
    for directory in PYTHON:
        commands += [(f"mypy {directory}", ["/usr/bin/mypy", "--cache-dir=/dev/null", directory])]
    commands += [("black", ["/usr/bin/black", "--check", "--quiet", "--diff", *PYTHON])]
    yield from at_once(commands)


def main() -> int:
    settings.parse(__doc__, ("IVSHMEM_CACHE",))
    writer = tap.Writer()
    for check in (check_module, check_style, check_user_space, check_scripts):
        try:
            for name, problems in check():
                writer.point("lint", tap.Point(not problems, name, None, problems))
        except (archive.ArchiveError, build.BuildError) as error:
            writer.fail("lint", str(error))
    print("# not clean" if writer.failures else "# clean")
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
