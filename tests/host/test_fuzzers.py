# SPDX-License-Identifier: GPL-2.0-only
"""channel_fuzz.c, label_fuzz.c and rings_fuzz.c under libFuzzer, for some seconds, where clang has it."""

import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
FLAGS = [
    "-std=gnu11",
    "-O1",
    "-g",
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
    "-D_GNU_SOURCE",
    "-D_FILE_OFFSET_BITS=64",
    "-DFUZZER",
    f"-I{TOP}/src/uapi",
    f"-I{TOP}/lib/include",
    "-pthread",
]
SOURCES = [
    TOP / "src" / "core" / "label.c",
    TOP / "tests" / "mutations" / "mutation.c",
    TOP / "tests" / "guest" / "lib" / "pattern.c",
    TOP / "tests" / "host" / "common" / "segment.c",
    *sorted(TOP.glob("lib/*.c")),
    *(TOP / "src" / "rings" / f"{name}.c" for name in ("broadcast", "layout", "ring")),
]
SECONDS = 15
PROBE = """
int LLVMFuzzerTestOneInput(const char *d, long n);
int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }
"""


def run(*command: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(name="directory")
def fixture_directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty directory to run in, if clang has libFuzzer."""
    if not shutil.which("clang"):
        pytest.skip("clang is not installed")
    monkeypatch.chdir(tmp_path)
    pathlib.Path("probe.c").write_text(PROBE)
    if run("clang", *FLAGS, "-o", "probe", "probe.c").returncode:
        pytest.skip("clang has no libFuzzer")
    return tmp_path


@pytest.mark.parametrize("name", ["channel_fuzz", "label_fuzz", "rings_fuzz"])
def test_libfuzzer_finds_nothing(directory: pathlib.Path, name: str) -> None:
    built = run("clang", *FLAGS, "-o", "fuzz", TOP / "tests" / "host" / f"{name}.c", *SOURCES)
    assert built.returncode == 0, built.stdout
    limits = [f"-max_total_time={SECONDS}", "-timeout=20", "-print_final_stats=1"]
    done = run(directory / "fuzz", *limits)
    print(*done.stdout.splitlines()[-6:], sep="\n")
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-30:])
