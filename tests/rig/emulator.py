# SPDX-License-Identifier: GPL-2.0-only
"""QEMU 11 for tests that say newqemu=yes: it survives that ivshmem-doorbell is plugged
and unplugged, and speaks to devices of vfio_user.py.

It comes from trixie's backports, is unpacked with its libraries into the cache
directory, and is started through the loader that came with them.
"""

import functools
import pathlib

import arches
import archive
import cache
import tap

RELEASE = "trixie"
SUITE = f"{RELEASE}-backports"
FIRMWARE = ("qemu-system-data", "seabios")


@functools.cache
def obstacle(arch: str) -> str | None:
    """Why there is no new QEMU for guests of an architecture, or None."""
    if arch != arches.AMD64.name:
        return "the machine has too few ports to plug that many devices into"
    try:
        command(arch)
    except (archive.ArchiveError, OSError) as error:
        return f"needs QEMU of {SUITE}: {str(error).splitlines()[0]}"
    return None


def command(arch: str) -> list[str]:
    """What starts the new QEMU for guests of an architecture, a list of words."""
    package = arches.ALL[arch].package

    def fetch(work: pathlib.Path) -> None:
        tap.say(f"# fetching {package} of {SUITE}")
        source = archive.Archive(RELEASE, arches.HOST)
        wanted = [f"{name}/{SUITE}" for name in (package, *FIRMWARE)]
        source.unpack(source.with_libraries(wanted), work)

    root = cache.made(cache.directory() / f"{package}-{SUITE}", fetch)
    libraries = root / "usr/lib" / arches.ALL[arches.HOST].triplet
    loader = next(libraries.glob("ld-linux-*.so.*"))
    return [
        "env",
        f"QEMU_MODULE_DIR={libraries / 'qemu'}",
        *map(
            str,
            (
                loader,
                "--library-path",
                libraries,
                root / "usr/bin" / arches.ALL[arch].qemu,
                "-L",
                root / "usr/share/qemu",
                "-L",
                root / "usr/share/seabios",
            ),
        ),
    ]
