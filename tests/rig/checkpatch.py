# SPDX-License-Identifier: GPL-2.0-only
"""checkpatch.pl: in Debian only the kernel's source package carries it."""

import lzma
import pathlib
import shutil
import tarfile
import tempfile

import archive
import cache
import kernels
import tap

FILES = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")


def program() -> pathlib.Path:
    """The path of checkpatch.pl with its word lists beside it, in the cache."""
    directory = cache.directory() / f"checkpatch-{kernels.DEFAULT}"
    return cache.made(directory, _fetch) / "checkpatch.pl"


def _fetch(directory: pathlib.Path) -> None:
    package = f"linux-source-{kernels.DEFAULT}"
    directory.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        root = pathlib.Path(name)
        source = next(found for found in archive.releases("amd64") if package in found.names())
        tap.say(f"# fetching {package} for checkpatch.pl")
        source.unpack([package], root)
        missing = set(FILES)
        with lzma.open(next(root.glob("usr/src/*.tar.xz"))) as packed, tarfile.open(
            fileobj=packed, mode="r|"
        ) as tree:
            for member in tree:
                base = pathlib.PurePath(member.name)
                if base.name not in missing or base.parent.name != "scripts":
                    continue
                content = tree.extractfile(member)
                assert content, f"{member.name} is no file"
                with (directory / base.name).open("wb") as output:
                    shutil.copyfileobj(content, output)
                missing.remove(base.name)
                if not missing:
                    break
    (directory / "checkpatch.pl").chmod(0o755)
