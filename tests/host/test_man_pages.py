# SPDX-License-Identifier: GPL-2.0-only
"""The manual pages format without a warning, and refer to pages and things that exist."""

import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for directory in ("docs", "lib", "tools")
    for path in (TOP / directory).rglob("*.[1-9]")
    if path.read_text().startswith('.\\"')
)
OURS = {path.name for path in PAGES}
DRIVER = (TOP / "docs/ivshmem.4").read_text().replace("\\-", "-")


def warnings(path: pathlib.Path) -> str:
    """What man says of it."""
    words = ["man", "--warnings", "--encoding=UTF-8", "-Tutf8", "--ditroff", "--local-file"]
    return subprocess.run(
        [*words, str(path)],
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ).stderr


def test_there_are_pages() -> None:
    assert {"ivshmem.4", "ivshmemctl.1", "ivshmem-server.1", "libivshmem.3"} <= OURS


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_warning(path: pathlib.Path) -> None:
    assert warnings(path) == ""


def test_a_wrong_page_has_warnings(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "wrong.1"
    page.write_text((TOP / "docs/ivshmem.4").read_text() + ".Bl -tag\n.It Pa x\n.NoSuchMacro\n")
    assert warnings(page)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_references(path: pathlib.Path) -> None:
    """Of the pages of this project; others are not looked for."""
    text = path.read_text().replace("\\-", "-")
    found = re.findall(r"^\.Xr (\S+) (\d)", text, re.M)
    found += re.findall(r"^\.BR (\S+) \((\d)\)", text, re.M)
    ours = {f"{name}.{section}" for name, section in found if "ivshmem" in name}
    assert ours and ours <= OURS


def names(path: str, pattern: str) -> set[str]:
    found = {*re.findall(pattern, (TOP / path).read_text(), re.M)}
    assert found
    return found


def test_the_driver_s_page_has_each_ioctl() -> None:
    ioctls = names("src/uapi/linux/ivshmem.h", r"^#define (IVSHMEM_IOC_\w+)\s+_IO")
    assert ioctls == {*re.findall(r"^\.It Dv (IVSHMEM_IOC_\w+)", DRIVER, re.M)}


def test_the_driver_s_page_has_each_attribute() -> None:
    paths = names("docs/ABI/sysfs-class-ivshmem", r"^What:\s+(\S+)")
    paths |= names("docs/ABI/sysfs-bus-ivshmem", r"^What:\s+(\S+)")
    assert paths == {*re.findall(r"^\.It Pa (/sys/(?:bus|class)\S+)", DRIVER, re.M)}


def test_the_driver_s_page_has_each_parameter() -> None:
    parameters = names("src/core/module.c", r"^module_param_(?:cb|named)\((\w+)")
    parameters |= names("src/soft/option.c", r"^module_param_array\((\w+)")
    parameters |= names("src/vsock/driver.c", r"^module_param\((\w+)")
    assert parameters == {*re.findall(r"^\.It Cm (\w+)", DRIVER, re.M)}
