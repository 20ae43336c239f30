# SPDX-License-Identifier: GPL-2.0-only
"""What differs between kernels is in compat.h and, for vsock, in packet.h alone; each probe
of Kbuild is used there, and docs/kernels.md tells what each covers."""

import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]


def names(path: pathlib.Path | str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (TOP / path).read_text(), re.M))


KNOWING = {"src/core/compat.h", "src/vsock/packet.h"}

PROBES = {f"HAVE_{name}" for name in names("src/Kbuild", r"^probes .*\$\(call probe,.*,(\w+)\)$")}


def test_kbuild_has_probes() -> None:
    assert PROBES


def test_headers_use_the_probes_of_kbuild() -> None:
    assert set().union(*(names(path, r"^#if.*\b(HAVE_\w+)") for path in KNOWING)) == PROBES


def test_docs_kernels_md_lists_them() -> None:
    assert names("docs/kernels.md", r"^\| `(HAVE_\w+)` \| .*\d+\.\d+ \| .+ \|$") == PROBES


def test_no_other_file_knows_of_differences() -> None:
    assert not {
        f"{path.name}: {word}"
        for path in (TOP / "src").rglob("*.[ch]")
        if str(path.relative_to(TOP)) not in KNOWING
        for word in names(path, r"\b(HAVE_\w+|LINUX_VERSION_CODE|KERNEL_VERSION)\b")
    }
