# SPDX-License-Identifier: GPL-2.0-only
"""Where downloads are kept between runs: outside the tree, one directory."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import typing

import settings


def directory() -> pathlib.Path:
    """$IVSHMEM_CACHE, or ivshmem in the user's cache directory."""
    own = settings.get("IVSHMEM_CACHE")
    if own:
        return pathlib.Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "ivshmem"


@contextlib.contextmanager
def locked(path: pathlib.Path) -> typing.Iterator[None]:
    """One process, and one thread, at a time makes what is at a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made(path: pathlib.Path, make: typing.Callable[[pathlib.Path], None]) -> pathlib.Path:
    """A directory of the cache. make fills it if it is not there; what it leaves undone
    is not taken for the whole."""
    with locked(path):
        if not path.exists():
            work = path.with_name(f"{path.name}.new")
            shutil.rmtree(work, ignore_errors=True)
            make(work)
            work.rename(path)
    return path
