# SPDX-License-Identifier: GPL-2.0-only
"""make bench-dkms: how long DKMS builds the driver, and how long v4l2loopback,
for the same kernel and in turns, in each stable Debian that is supported."""

import ending

import re
import statistics
import sys
import time
import typing

import archive
import built_packages
import debian_roots
import record
import scratch

ROUNDS = 5


class Time(typing.NamedTuple):
    waited: float  # seconds of the user
    used: float  # seconds of processors


class Row(typing.NamedTuple):
    """What modules take, or the ratio of two."""

    name: str
    waited: float
    used: float


HEADINGS = ("module", "seconds", "processor seconds")
RELEASES = ("bookworm", "trixie")
PACKAGES = ["linux-headers-amd64", "v4l2loopback-dkms"]


def measure(tree: debian_roots.Tree, kernel: str, module: str) -> Time:
    """One build."""
    tree.must(f"dkms unbuild {module} -k {kernel} || :")
    start = time.monotonic()
    output = tree.must(f"dkms build {module} -k {kernel} && times")
    waited = time.monotonic() - start
    # The shell's last line is about what it started: user and system time.
    used = re.findall(r"(\d+)m([\d.]+)s", output.splitlines()[-1])
    return Time(waited, sum(60 * int(minutes) + float(seconds) for minutes, seconds in used))


def compare(tree: debian_roots.Tree) -> list[Row]:
    """A row for each module, and one for their ratio."""
    kernel = tree.must("ls -d /lib/modules/*/build").split("/")[3]
    tree.must("dpkg -i /ours/*.deb")
    modules = sorted(set(re.findall(r"^(\w+/[^,:]*)[,:]", tree.must("dkms status"), re.M)))
    results: dict[str, list[Time]] = {module: [] for module in modules}
    for _ in range(ROUNDS):
        for module in modules:
            results[module].append(measure(tree, kernel, module))
    ours, other = (
        Row(
            f"{module} for {kernel}",
            statistics.median(each.waited for each in results[module]),
            statistics.median(each.used for each in results[module]),
        )
        for module in modules
    )
    return [ours, other, Row("ratio", ours.waited / other.waited, ours.used / other.used)]


def main() -> None:
    debian_roots.check_user("make bench-dkms")
    rows: list[Row] = []
    try:
        packages = built_packages.make("deb", built_packages.version())
        directory = scratch.directory("ivshmem-dkms-", "/var/tmp")
        for release in RELEASES:
            tree = debian_roots.Tree(debian_roots.base(release, PACKAGES), directory / release)
            tree.copy_in(packages.glob("ivshmem-dkms_*.deb"), "ours")
            rows += compare(tree)
        text = record.table(
            HEADINGS, ((name, *(f"{cell:.2f}" for cell in cells)) for name, *cells in rows)
        )
        record.write("dkms", [dict(zip(HEADINGS, row)) for row in rows], text)
        print(text)
    except (archive.ArchiveError, debian_roots.RootError) as error:
        sys.exit(f"make bench-dkms: {error}")


if __name__ == "__main__":
    ending.run(main)
