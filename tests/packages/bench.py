# SPDX-License-Identifier: GPL-2.0-only
"""make bench-dkms: how long DKMS builds the driver, and how long v4l2loopback,
for the same kernel and in turns, in each stable Debian that is supported."""

import pathlib
import re
import statistics
import sys
import tempfile
import time

import archive
import built_packages
import debian_roots
import record

ROUNDS = 5
HEADINGS = ("module", "seconds", "processor seconds")
RELEASES = ("bookworm", "trixie")
PACKAGES = ["linux-headers-amd64", "v4l2loopback-dkms"]


def measure(tree, kernel, module):
    """One build: seconds as the user waits, seconds of processor time."""
    tree.must(f"dkms unbuild {module} -k {kernel} || :")
    start = time.monotonic()
    output = tree.must(f"dkms build {module} -k {kernel} && times")
    waited = time.monotonic() - start
    # The shell's last line is about what it started: user and system time.
    used = re.findall(r"(\d+)m([\d.]+)s", output.splitlines()[-1])
    return waited, sum(60 * int(minutes) + float(seconds) for minutes, seconds in used)


def compare(tree):
    """For each module and their ratio: a name, the time and the processor time."""
    kernel = tree.must("ls -d /lib/modules/*/build").split("/")[3]
    tree.must("dpkg -i /ours/*.deb")
    modules = sorted(set(re.findall(r"^(\w+/[^,:]*)[,:]", tree.must("dkms status"), re.M)))
    results = {module: [] for module in modules}
    for _ in range(ROUNDS):
        for module in modules:
            results[module].append(measure(tree, kernel, module))
    rows = [
        (f"{module} for {kernel}", *map(statistics.median, zip(*results[module])))
        for module in modules
    ]
    (_, *ours), (_, *other) = rows
    return [*rows, ("ratio", *(one / two for one, two in zip(ours, other)))]


def main():
    rows = []
    try:
        packages = built_packages.make("deb", built_packages.version())
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            for release in RELEASES:
                tree = debian_roots.Tree(
                    debian_roots.base(release, PACKAGES), pathlib.Path(directory) / release
                )
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
    main()
