#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What differs between kernels is in compat.h alone, each probe of Kbuild is used
there, and docs/kernels.md tells what each covers."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def names(path, pattern):
    return set(re.findall(pattern, (TOP / path).read_text(), re.M))


def main():
    probes = {f"HAVE_{name}" for name in
              names("src/Kbuild", r"^probes .*\$\(call probe,.*,(\w+)\)$")}
    elsewhere = {f"{path.name}: {word}" for path in (TOP / "src").rglob("*.[ch]")
                 if path.name != "compat.h" for word in
                 names(path, r"\b(HAVE_\w+|LINUX_VERSION_CODE|KERNEL_VERSION)\b")}
    checks = [
        ("compat.h uses the probes of Kbuild", probes,
         names("src/core/compat.h", r"^#if.*\b(HAVE_\w+)")),
        ("docs/kernels.md lists them", probes,
         names("docs/kernels.md", r"^\| `(HAVE_\w+)` \| .*\d+\.\d+ \| .+ \|$")),
        ("no other file knows of differences", set(), elsewhere),
    ]
    failures = 0
    for number, (name, wanted, there) in enumerate(checks, 1):
        good = wanted == there and probes
        failures += not good
        print(f"{'' if good else 'not '}ok {number} - {name}")
        if not good:
            print(f"# {sorted(wanted)} expected, {sorted(there)} found")
    print(f"1..{len(checks)}")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
