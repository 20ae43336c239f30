# SPDX-License-Identifier: GPL-2.0-only
"""What the documents show of other programs' files is right: as far as those programs are
here, they say so themselves."""

import os
import pathlib
import re
import shutil
import subprocess
import textwrap
import typing
import xml.etree.ElementTree

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").rglob("*.md"))]
QUADLET = "/usr/libexec/podman/quadlet"
# A domain that is valid but for what its devices may be.
DOMAIN = """<domain type='qemu'><name>guest</name><memory unit='MiB'>256</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>{}</devices></domain>"""


def blocks(language: str) -> list[typing.Any]:
    """The blocks of code in a language, one parameter each."""
    return [
        pytest.param(textwrap.dedent(text), id=f"{path.name}-{number}")
        for path in DOCUMENTS
        for number, text in enumerate(
            re.findall(rf"^ *```{language}\n(.*?)^ *```$", path.read_text(), re.M | re.S)
        )
    ]


def accepted(program: str, package: str, *words: str | pathlib.Path, **changes: str) -> bool:
    """Does a program, which a package has, accept a file?"""
    if not shutil.which(program):
        pytest.skip(f"{program} is not here: apt install {package}")
    done = subprocess.run(
        [program, *map(str, words)],
        env={**os.environ, **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    return done.returncode == 0


def is_domain(devices: str, directory: pathlib.Path) -> bool:
    path = directory / "guest.xml"
    path.write_text(DOMAIN.format(devices))
    return accepted("virt-xml-validate", "libvirt-clients", path, "domain")


def is_quadlet(text: str, directory: pathlib.Path) -> bool:
    (directory / "one.container").write_text(text)
    return accepted(QUADLET, "podman", "-dryrun", QUADLET_UNIT_DIRS=str(directory))


def is_user_data(text: str, directory: pathlib.Path) -> bool:
    path = directory / "user-data"
    path.write_text(text)
    return accepted("cloud-init", "cloud-init", "schema", "--config-file", path)


@pytest.mark.parametrize("text", blocks("xml"))
def test_xml_is_well_formed(text: str) -> None:
    assert xml.etree.ElementTree.fromstring(text).tag == "shmem"


@pytest.mark.parametrize("text", blocks("xml"))
def test_libvirt(text: str, tmp_path: pathlib.Path) -> None:
    assert is_domain(text, tmp_path)
    assert not is_domain(text.replace("ivshmem-", "ivshmem-no-"), tmp_path)


@pytest.mark.parametrize("text", blocks("ini"))
def test_quadlet(text: str, tmp_path: pathlib.Path) -> None:
    assert is_quadlet(text, tmp_path)
    assert not is_quadlet(text.replace("AddDevice", "AddDevices"), tmp_path)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_cloud_init(text: str, tmp_path: pathlib.Path) -> None:
    assert is_user_data(text, tmp_path)
    assert not is_user_data(text.replace("runcmd:", "runcmd: 1 #"), tmp_path)
