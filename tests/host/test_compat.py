# SPDX-License-Identifier: GPL-2.0-only
"""What differs between kernels is in compat.h alone, each probe of Kbuild is used
there, and docs/kernels.md tells what each covers."""

import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]


def names(path: pathlib.Path | str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (TOP / path).read_text(), re.M))


PROBES = {f"HAVE_{name}" for name in names("src/Kbuild", r"^probes .*\$\(call probe,.*,(\w+)\)$")}


def test_kbuild_has_probes() -> None:
    assert PROBES


def test_compat_h_uses_the_probes_of_kbuild() -> None:
    assert names("src/core/compat.h", r"^#if.*\b(HAVE_\w+)") == PROBES


def test_docs_kernels_md_lists_them() -> None:
    assert names("docs/kernels.md", r"^\| `(HAVE_\w+)` \| .*\d+\.\d+ \| .+ \|$") == PROBES


def test_no_other_file_knows_of_differences() -> None:
    assert not {
        f"{path.name}: {word}"
        for path in (TOP / "src").rglob("*.[ch]")
        if path.name != "compat.h"
        for word in names(path, r"\b(HAVE_\w+|LINUX_VERSION_CODE|KERNEL_VERSION)\b")
    }
