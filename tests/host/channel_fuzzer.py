#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""channel_fuzz.c under libFuzzer, for some seconds, where clang has it."""

import pathlib
import subprocess
import sys
import tempfile

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
SOURCES = [TOP / "tests" / "host" / "channel_fuzz.c", *sorted(TOP.glob("lib/*.c"))]
SECONDS = 15


def build(program, *sources):
    """Whether clang could; what it said."""
    try:
        done = subprocess.run(
            ["clang", *FLAGS, "-o", program, *sources],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError:
        return False, "clang is not installed"
    return done.returncode == 0, done.stdout


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        probe = directory / "probe.c"
        probe.write_text(
            "int LLVMFuzzerTestOneInput(const char *d, long n);\n"
            "int LLVMFuzzerTestOneInput(const char *d, long n)"
            " { return !d && n; }\n"
        )
        if not build(directory / "probe", probe)[0]:
            print("ok 1 - libFuzzer finds nothing # SKIP clang has no libFuzzer\n1..1")
            return 0
        built, said = build(directory / "fuzz", *SOURCES)
        if built:
            done = subprocess.run(
                [
                    directory / "fuzz",
                    f"-max_total_time={SECONDS}",
                    "-timeout=20",
                    "-print_final_stats=1",
                ],
                cwd=directory,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            built, said = done.returncode == 0, done.stdout
    for line in said.splitlines()[-30:] if not built else said.splitlines()[-6:]:
        print(f"# {line}")
    print(f"{'' if built else 'not '}ok 1 - libFuzzer finds nothing\n1..1")
    return not built


if __name__ == "__main__":
    sys.exit(main())
