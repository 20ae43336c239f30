#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The packages carry the version and the date that the project has."""

import datetime
import email.utils
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def found(path, pattern):
    """What the pattern's group matches first in a file."""
    match = re.search(pattern, (TOP / path).read_text(), re.M)
    return match and match.group(1)


def main():
    version = found("dkms.conf", r'^PACKAGE_VERSION="(.*)"')
    spec = "rpm/ivshmem.spec"
    debian_date = email.utils.parsedate_to_datetime(
        found("debian/changelog", r"^ -- .*>  (.*)")).date()
    rpm_date = datetime.datetime.strptime(
        found(spec, r"%changelog\n\* (\w+ \w+ \d+ \d+)"), "%a %b %d %Y").date()
    checks = [
        ("debian/changelog has the version", version,
         found("debian/changelog", r"\Aivshmem \((.*)\)")),
        ("the spec has the version", version, found(spec, r"^Version:\s*(.*)")),
        ("the spec's changelog has the version", version,
         found(spec, r"%changelog\n.* - (.*)-")),
        ("both changelogs have the same date", debian_date, rpm_date),
    ]
    failures = 0
    for number, (name, wanted, there) in enumerate(checks, 1):
        good = wanted and wanted == there
        failures += not good
        print(f"{'' if good else 'not '}ok {number} - {name}")
        if not good:
            print(f"# {wanted} expected, {there} found")
    print(f"1..{len(checks)}")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
