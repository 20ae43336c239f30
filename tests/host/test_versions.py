# SPDX-License-Identifier: GPL-2.0-only
"""The packages carry the version and the date that the project has."""

import datetime
import email.utils
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
SPEC = "rpm/ivshmem.spec"


def found(path: str, pattern: str) -> str:
    """What the pattern's group matches first in a file."""
    match = re.search(pattern, (TOP / path).read_text(), re.M)
    assert match, f"{path} has no {pattern}"
    return match.group(1)


VERSION = found("dkms.conf", r'^PACKAGE_VERSION="(.+)"')


def test_debian_changelog_has_the_version() -> None:
    assert found("debian/changelog", r"\Aivshmem \((.*)\)") == VERSION


def test_the_spec_has_the_version() -> None:
    assert found(SPEC, r"^Version:\s*(.*)") == VERSION


def test_the_python_package_has_the_version() -> None:
    assert found("python/pyproject.toml", r'^version = "(.*)"') == VERSION


def test_the_header_of_the_library_has_the_version() -> None:
    parts = ("MAJOR", "MINOR", "PATCH")
    assert VERSION == ".".join(
        found("lib/include/ivshmem.h", rf"^#define IVSHMEM_LIB_VERSION_{part}\s+(\d+)")
        for part in parts
    )


def test_the_changelog_of_the_spec_has_the_version() -> None:
    assert found(SPEC, r"%changelog\n.* - (.*)-") == VERSION


def test_both_changelogs_have_the_same_date() -> None:
    debian = email.utils.parsedate_to_datetime(found("debian/changelog", r"^ -- .*>  (.*)")).date()
    assert (
        datetime.datetime.strptime(
            found(SPEC, r"%changelog\n\* (\w+ \w+ \d+ \d+)"), "%a %b %d %Y"
        ).date()
        == debian
    )
