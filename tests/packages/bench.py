# SPDX-License-Identifier: GPL-2.0-only
"""make bench-dkms: how long DKMS builds the driver, and how long v4l2loopback,
on the same kernel and in turns."""

import pathlib
import re
import statistics
import sys
import tempfile
import time

import products
import roots

ROUNDS = 7
OTHER = "v4l2loopback"
PACKAGES = ["linux-headers-amd64", f"{OTHER}-dkms"]


def measure(tree, kernel, module):
    """Seconds of one build, as the user waits for it."""
    tree.must(f"dkms unbuild {module} -k {kernel} || :")
    start = time.monotonic()
    tree.must(f"dkms build {module} -k {kernel}")
    return time.monotonic() - start


def run(directory):
    """Print the medians and their ratio."""
    tree = roots.Tree(roots.base("bookworm", PACKAGES), directory / "tree")
    tree.copy_in(products.make("deb", products.version()).glob("ivshmem-dkms_*.deb"), "ours")
    kernel = tree.must("ls -d /lib/modules/*/build").split("/")[3]
    tree.must("dpkg -i /ours/*.deb")
    modules = re.findall(r"^([^,:]*)[,:]", tree.must("dkms status"), re.M)
    modules = sorted(dict.fromkeys(modules))
    seconds = {module: [] for module in modules}
    for _ in range(ROUNDS):
        for module in modules:
            seconds[module].append(measure(tree, kernel, module))
    print(f"DKMS builds for {kernel}, median of {ROUNDS} in turns")
    for module in modules:
        print(f"{module:24}{statistics.median(seconds[module]):6.2f} s   "
              f"({min(seconds[module]):.2f} to {max(seconds[module]):.2f})")
    ours, other = (statistics.median(seconds[module]) for module in modules)
    print(f"{modules[0]} takes {ours / other:.2f} times as long as {modules[1]}")


def main():
    try:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            run(pathlib.Path(directory))
    except roots.RootError as error:
        sys.exit(f"make bench-dkms: {error}")


if __name__ == "__main__":
    main()
