# SPDX-License-Identifier: GPL-2.0-only
"""Programs of Debian that guests run: this machine's own, or, for a guest of
another architecture, unpacked into the cache directory."""

import hashlib
import itertools
import pathlib
import re
import subprocess
import typing

import arches
import archive
import cache
import tap

# The program that init is, what tests name in "programs=", and the libraries
# that ours are linked with statically.
PACKAGES = [
    "busybox-static",
    "dash",
    "e2fsprogs",
    "kmod",
    "ncurses-base",
    "udev",
    "libjansson-dev",
    "libncurses-dev",
    "libxxhash-dev",
]


# What Python reads for its module "socket".
PYTHON_SOCKET = (
    "collections/*",
    "enum",
    "functools",
    "keyword",
    "operator",
    "reprlib",
    "selectors",
    "socket",
    "types",
)
# What a program reads when it starts, beside its libraries.
READS = {
    "python3": (
        "usr/lib/python3.*/os.py",
        "usr/lib/python3.*/encodings/*.py",
        "usr/lib/python3.*/lib-dynload/mmap.*",
        *(f"usr/lib/python3.*/{name}.py" for name in PYTHON_SOCKET),
    ),
    "sshd": ("usr/lib/openssh/sshd-*",),  # the rest of newer ones
}


class ProgramError(Exception):
    """A program or a library that is not there."""


def root(arch: str) -> pathlib.Path:
    """The directory with the programs and libraries of an architecture."""
    if arch == arches.HOST:
        return pathlib.Path("/")
    return _unpacked(PACKAGES, arch)


def _unpacked(packages: typing.Iterable[str], arch: str) -> pathlib.Path:
    """The directory with some packages and the libraries they depend on."""
    release = archive.host_release() or "trixie"

    def fetch(work: pathlib.Path) -> None:
        tap.say(f"# fetching programs for {arch}")
        source = archive.Archive(release, arch)
        source.unpack(source.with_libraries(packages), work)

    contents = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    return cache.made(cache.directory() / f"guest-programs-{release}-{arch}-{contents}", fetch)


def busybox(arch: str) -> pathlib.Path:
    """The path of a busybox that needs no libraries."""
    return _find(root(arch), ("bin", "usr/bin"), "busybox")


def program(name: str, arch: str) -> dict[str, pathlib.Path]:
    """A program and all that it needs to start, as {name in the guest: path}."""
    return _with_needs(name, arch, root(arch))


def of_packages(
    packages: typing.Mapping[str, typing.Sequence[str]], arch: str
) -> dict[str, pathlib.Path]:
    """The same for programs, {package: names}, of packages that this machine need not have."""
    top = _unpacked(packages, arch)
    files: dict[str, pathlib.Path] = {}
    for name in itertools.chain(*packages.values()):
        files.update(_with_needs(name, arch, top))
    return files


def _with_needs(name: str, arch: str, top: pathlib.Path) -> dict[str, pathlib.Path]:
    triplet = arches.ALL[arch].triplet
    directories = [
        f"{base}/{sub}"
        for base in ("lib", "usr/lib")
        for sub in (triplet, f"{triplet}/systemd", "systemd", "")
    ]
    path = _find(top, ("bin", "usr/bin", "sbin", "usr/sbin", f"usr/lib/{triplet}/qemu"), name)
    files = {f"bin/{name}": path}
    read = [file for pattern in READS.get(name, ()) for file in top.glob(pattern)]
    files.update({str(file.relative_to(top)): file for file in read})
    pending = [path, *(file for file in read if file.suffix != ".py")]
    while pending:
        loader, libraries = _needs(pending.pop())
        if loader:
            files[loader.lstrip("/")] = _find(top, directories, loader.rpartition("/")[2])
        for library in libraries:
            if f"lib/{library}" not in files:
                found = _find(top, directories, library)
                files[f"lib/{library}"] = found
                pending.append(found)
    return files


def terminal(arch: str) -> dict[str, pathlib.Path]:
    """What programs that draw have to know of the terminals of tests."""
    directories = ("lib/terminfo", "usr/lib/terminfo", "usr/share/terminfo")
    return {"lib/terminfo/x/xterm": _find(root(arch), directories, "x/xterm")}


def _find(top: pathlib.Path, directories: typing.Sequence[str], name: str) -> pathlib.Path:
    for directory in directories:
        path = top / directory / name
        if path.exists():
            return path.resolve()
    raise ProgramError(f"{name} not found below {top}")


def _needs(path: pathlib.Path) -> tuple[str | None, list[str]]:
    """The program that loads a binary, if it names one, and its libraries."""
    text = subprocess.run(
        ["readelf", "-W", "-l", "-d", path], text=True, capture_output=True, check=True
    ).stdout
    loader = re.search(r"program interpreter: (.*)\]", text)
    return (loader.group(1) if loader else None, re.findall(r"\(NEEDED\).*\[(.*)\]", text))
