# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages as users of the distribution's kernels put them there."""

import pathlib
import shutil

import archive
import cache
import debian_roots

# What the release's own kernel is, by the name that stays the same.
KERNEL = ["linux-image-cloud-amd64", "linux-headers-cloud-amd64"]
# What our packages and their tests need and a small system lacks.
LIBRARIES = ["g++", "libc6-dev", "libjansson4", "libncursesw6", "libxxhash0", "pkgconf", "python3"]


def fetch(lower: pathlib.Path, directory: pathlib.Path, release: str) -> pathlib.Path:
    """Have apt download the kernel of a release's backports, and what it and our
    packages need on a root, into a directory of the cache that apt can read."""
    suite = f"{release}-backports"
    store = debian_roots.kept(suite, lower.name, KERNEL, LIBRARIES)
    with cache.locked(store):
        if not (store / "Packages").exists():
            print(f"# fetching what {suite} has for {lower.name}", flush=True)
            line = next(
                line
                for line in archive.Archive(release, "amd64").sources()
                if f" {suite} " in line
            )
            _fetch(debian_roots.Tree(lower, directory), suite, line, store)
            shutil.rmtree(directory)
    return store


def _fetch(tree: debian_roots.Tree, suite: str, line: str, store: pathlib.Path) -> None:
    tree.must(
        f"echo '{line}' > /etc/apt/sources.list.d/backports.list && "
        "apt-get -q update && apt-get -q -y --download-only install "
        f"--no-install-recommends -t {suite} {' '.join(KERNEL + LIBRARIES)}"
    )
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(tree.upper / "var/cache/apt/archives", store)
    index(store)


def index(directory: pathlib.Path) -> None:
    """Make a directory of packages a repository."""
    text = debian_roots.run(
        ["sh", "-c", f"cd {directory} && dpkg-scanpackages -m . 2>/dev/null"],
        "no index of packages",
    )
    (directory / "Packages").write_text(text)
