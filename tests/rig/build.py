# SPDX-License-Identifier: GPL-2.0-only
"""Builds what goes into a guest: the module per kernel, programs through make."""

import hashlib
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import typing

import arches
import cache
import guest_programs
import kernels
import tap
import toolchain

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
SOURCE = TOP / "src"
# Modules for tests: a driver of nodes, an importer of dma-bufs, a fuzzer of labels.
HELPERS = [TOP / "tests" / name for name in ("sample", "importer", "mutations")]
STACK_LIMIT = 512  # bytes a function of the driver may use

# What clang lacks of the configuration that gcc left in the headers.
CLANG_HEADER = pathlib.Path(__file__).with_name("clang.h")
CLANG = [
    "CC=clang",
    *kernels.OLDER_COMPILER,
    "CONFIG_CC_IS_GCC=",
    "CONFIG_CC_IS_CLANG=y",
    "CONFIG_MITIGATION_RETHUNK=",
    "CONFIG_MITIGATION_SLS=",
    "CONFIG_RETHUNK=",
    "CONFIG_SLS=",
    "CONFIG_UBSAN_BOUNDS_STRICT=",
    "CONFIG_STACKPROTECTOR_PER_TASK=",
    "CONFIG_FTRACE_MCOUNT_USE_CC=",
    "CONFIG_INIT_STACK_ALL_ZERO=",
    "KCFLAGS=-Wno-unknown-warning-option -Wno-unused-command-line-argument "
    "-Wno-duplicate-decl-specifier -fno-stack-protector "
    f"-include {CLANG_HEADER}",
]


# What a build depends on: texts, and a file's name, time and size.
Identity = list[str | tuple[str, int, int]]


class BuildError(Exception):
    """Output of the compiler, or what is missing."""


def _run(command: typing.Sequence[str | pathlib.Path]) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        text=True,
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise BuildError(done.stdout)


def _run_for(kernel: kernels.Kernel, command: typing.Sequence[str | pathlib.Path]) -> None:
    """Run a build where its compilers are."""
    if kernel.toolchain is None:
        _run(command)
        return
    status, output = toolchain.Toolchain(*kernel.toolchain).run(*command)
    if status:
        raise BuildError(output)


def locked() -> typing.ContextManager[None]:
    """One process at a time builds below build/."""
    return cache.locked(BUILD / "rig")


def _link(link: pathlib.Path, path: pathlib.Path) -> None:
    """Make a link, or make it right: the tree may have been moved."""
    if not link.is_symlink() or link.readlink() != path:
        link.unlink(missing_ok=True)
        link.symlink_to(path)


def link_sources(directory: pathlib.Path, source: pathlib.Path = SOURCE) -> Identity:
    """Make a directory of links to the sources of a module, so that the objects of
    several kernels live apart and src/ stays clean. Return what identifies the sources."""
    identity: Identity = [(TOP / "dkms.conf").read_text()]
    links = set()
    for path in sorted(source.rglob("*")):
        if path.suffix in (".c", ".h") or path.name == "Kbuild":
            link = directory / path.relative_to(source)
            links.add(link)
            link.parent.mkdir(parents=True, exist_ok=True)
            _link(link, path)
            status = path.stat()
            identity.append((str(link), status.st_mtime_ns, status.st_size))
    version = directory.parent / "dkms.conf"  # Kbuild reads it there
    _link(version, TOP / "dkms.conf")
    for path in directory.rglob("*"):
        if path.is_symlink() and path not in links:
            path.unlink()
    return identity


def module(kernel: kernels.Kernel) -> list[pathlib.Path]:
    """Build the driver for a kernel, if anything changed. Return its modules. Beside
    them the compiler leaves how much stack each function uses, in *.su."""
    with locked():
        return _module(kernel)


def _module(kernel: kernels.Kernel) -> list[pathlib.Path]:
    directory = BUILD / "kmod" / kernel.release
    helpers = [BUILD / source.name / kernel.release for source in HELPERS]
    arguments = [*kernels.make_arguments(kernel), "KCFLAGS=-fstack-usage"]
    identity = [link_sources(directory), *map(link_sources, helpers, HELPERS), arguments]
    stamp = directory / "stamp"
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        stamp.unlink(missing_ok=True)
        tap.say(f"# building the module for {kernel.release}")
        _compile(kernel, directory, arguments)
        symbols = f"KBUILD_EXTRA_SYMBOLS={directory}/Module.symvers"
        for helper in helpers:
            _compile(kernel, helper, [*arguments, symbols, f"IVSHMEM={SOURCE}"])
        stamp.write_text(digest)
    return sorted(path for place in [directory, *helpers] for path in place.glob("*.ko"))


def foreign_module(kernel: kernels.Kernel, source: pathlib.Path) -> list[pathlib.Path]:
    """Build a copy of another project's module for a kernel. Return its modules."""
    if not source.is_dir():
        raise BuildError(f"there is no directory {source}")
    directory = BUILD / "foreign" / kernel.release
    with locked():
        shutil.copytree(source, directory, dirs_exist_ok=True)
        _compile(kernel, directory, kernels.make_arguments(kernel))
    return sorted(directory.glob("*.ko"))


def broken_texts(name: str, changes: dict[tuple[str, str], str]) -> dict[str, str]:
    """Replace pieces of the driver's text: {(file, old): new}. Return the files' texts."""
    texts: dict[str, str] = {}
    for (file, old), new in changes.items():
        text = texts.get(file) or (SOURCE / file).read_text()
        if text.count(old) != 1:
            raise BuildError(f"{name}: {file} does not have once:\n{old}")
        texts[file] = text.replace(old, new)
    return texts


def broken_module(
    kernel: kernels.Kernel, name: str, changes: dict[tuple[str, str], str]
) -> list[pathlib.Path]:
    """Build the driver with pieces of its text replaced. Return its modules."""
    directory = BUILD / "broken" / kernel.release
    link_sources(directory)
    texts = broken_texts(name, changes)
    for file, text in texts.items():
        (directory / file).unlink()
        (directory / file).write_text(text)
    try:
        _compile(kernel, directory, kernels.make_arguments(kernel))
    finally:
        for file in texts:  # the next one starts from what is whole
            (directory / file).unlink()
    return sorted(directory.glob("*.ko"))


def _compile(kernel: kernels.Kernel, directory: pathlib.Path, arguments: list[str]) -> None:
    _run_for(kernel, ["make", f"-j{os.cpu_count()}", *arguments, f"M={directory}", "modules"])
    strip = f"{arches.ALL[kernel.arch].triplet}-strip"
    for built in directory.glob("*.ko"):
        subprocess.run([strip, "--strip-debug", built], check=True)


def warnings(lines: list[str], headers: pathlib.Path) -> list[str]:
    """The lines of a compiler's output that complain of our own sources and not of
    a kernel's headers."""
    foreign = (str(headers.parent), "./include/", "./arch/", "warning: pahole")
    return [
        text
        for text in lines
        if re.search(r"\b(warning|error):|^(WARNING|ERROR): modpost", text)
        and not text.startswith(foreign)
    ]


def targets(names: typing.Sequence[str]) -> None:
    """Have make build files below build/."""
    if names:
        with locked():
            _run(["make", "--no-print-directory", "-s", f"-j{os.cpu_count()}", *names])


def program(name: str, arch: str = arches.HOST) -> pathlib.Path:
    """Where make puts a program of ours for an architecture."""
    return (BUILD if arch == arches.HOST else BUILD / arch) / name


def programs(names: typing.Iterable[str], arch: str) -> None:
    """Have make build programs of ours for an architecture."""
    root = [] if arch == arches.HOST else [f"ARM64_ROOT={guest_programs.root(arch)}"]
    targets([*root, *(str(program(name, arch).relative_to(TOP)) for name in names)])


def kernel_modules(
    kernel: kernels.Kernel, names: typing.Iterable[str], directory: pathlib.Path
) -> list[pathlib.Path]:
    """The kernel's own modules of these names and what they depend on, in load
    order, unpacked into a directory. A kernel may lack those with a question mark."""
    names = list(names)
    if not names:
        return []
    index = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        index[_module_name(path)] = (path, needs.split())
    builtin = {
        _module_name(path) for path in (kernel.modules / "modules.builtin").read_text().split()
    }
    order: list[str] = []
    for name in (name.replace("-", "_") for name in names):
        name, optional, _ = name.partition("?")
        if name in index:
            own, depends = index[name]
            order += [item for item in [*reversed(depends), own] if item not in order]
        elif name not in builtin and not optional:
            raise BuildError(f"kernel {kernel.release} has no module {name}")
    return [_unpack(kernel.modules / path, directory) for path in order]


def _module_name(path: str) -> str:
    return re.sub(r"\.ko(\.\w+)?$", "", path.rpartition("/")[2]).replace("-", "_")


def _unpack(path: pathlib.Path, directory: pathlib.Path) -> pathlib.Path:
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{_module_name(str(path))}.ko"
    packed = path.suffix == ".xz"
    with lzma.open(path) if packed else path.open("rb") as source, target.open("wb") as output:
        shutil.copyfileobj(source, output)
    return target
