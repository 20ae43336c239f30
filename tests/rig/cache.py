# SPDX-License-Identifier: GPL-2.0-only
"""Where downloads are kept between runs: outside the tree, one directory."""

import os
import pathlib

import settings


def directory():
    """$IVSHMEM_CACHE, or ivshmem in the user's cache directory."""
    own = settings.get("IVSHMEM_CACHE")
    if own:
        return pathlib.Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "ivshmem"
