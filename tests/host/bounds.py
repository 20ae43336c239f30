#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the modules take of the kernel has bounds: stack, memory, no floating point;
and what one exports is what a transport needs and the other uses.

They are looked at as they are built for the guests of the default kernel. Each
check is also given something bad, which it must find.
"""

import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]

sys.path.insert(0, str(TOP / "tests" / "rig"))
import arches  # noqa: E402
import archive  # noqa: E402
import build  # noqa: E402
import cache  # noqa: E402
import kernels  # noqa: E402

# text and data (with bss) are bytes as size(1) counts them: a fifth above what gcc 12
# makes for Linux 6.12 (see the lines of this test that begin with #), so that growth is
# noticed.
Limits = collections.namedtuple("Limits", "text data")
LIMITS = {
    "ivshmem": Limits(74000, 19000),
    "ivshmem_soft": Limits(24000, 3650),
}

# The directories of src/ that a module is made of.
ROOMS = {"ivshmem": ("core", "pci"), "ivshmem_soft": ("soft",)}

# Floating point and vectors, as objdump writes them: registers, and the
# instructions that name none.
FLOAT = {
    "amd64": re.compile(
        r"%([xyz]?mm\d|st\b|k[0-7]\b)|"
        r"^(\w+ )*(f(?!s )\w+|emms|vzero\w+|v?(ld|st)mxcsr|xrstor\w*|xsave\w*)\b"
    ),
    "arm64": re.compile(r"\b([bhsdqvz]([12]?\d|3[01])|p(\d|1[0-5]))\b"),
}

BAD_CODE = """
double scalar(double a, int n)
{
	volatile char frame[1024];

	frame[n] = 0;
	return a * 2 + frame[0];
}

long double wide(long double a)
{
	return a * 2;
}
"""

# Lines of Module.symvers, and what is wrong with each.
BAD_EXPORTS = {
    "outside": "0x0\tivshmem_a\tbuild/ivshmem\tEXPORT_SYMBOL_GPL\t",
    "for all": "0x0\tivshmem_a\tbuild/ivshmem\tEXPORT_SYMBOL\tIVSHMEM",
    "name": "0x0\tdevice_a\tbuild/ivshmem\tEXPORT_SYMBOL_GPL\tIVSHMEM",
    "module": "0x0\tivshmem_a\tbuild/ivshmem_soft\tEXPORT_SYMBOL_GPL\tIVSHMEM",
}

Frame = collections.namedtuple("Frame", "bytes function kind")

points = failures = 0


def check(name, problems):
    """One point."""
    global points, failures
    points += 1
    failures += bool(problems)
    for problem in problems:
        print(f"# {problem}")
    print(f"{'not ' if problems else ''}ok {points} - {name}", flush=True)


def tool(arch, name, *arguments):
    """What a program of the binutils or the compiler prints."""
    return subprocess.run(
        [f"{arches.ALL[arch].triplet}-{name}", *arguments],
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


def stack_files(path):
    """What the compiler has left about the objects of a module."""
    return [file for room in ROOMS[path.stem] for file in sorted(path.parent.glob(f"{room}/*.su"))]


def frames(paths):
    """Stack that each function uses, the largest first."""
    rows = (line.split("\t") for path in paths for line in path.read_text().splitlines())
    return sorted(
        (Frame(int(size), place.rpartition(":")[2], kind) for place, size, kind in rows),
        reverse=True,
    )


def stack_problems(found):
    if not found:
        return ["there is no function"]
    return [
        f"{frame.function}() uses {frame.bytes} bytes, {frame.kind}"
        for frame in found
        if frame.bytes > build.STACK_LIMIT or frame.kind == "dynamic"
    ]


def sizes(arch, path):
    """Bytes that it takes while it is loaded: (text, data)."""
    text, data, bss, *_ = tool(arch, "size", path).splitlines()[1].split()
    return int(text), int(data) + int(bss)


def size_problems(measured, limits):
    return [
        f"{size} bytes of {name}, at most {limit} are allowed"
        for name, size, limit in zip(("text", "data"), measured, limits)
        if not 0 < size <= limit
    ]


def float_problems(arch, path):
    """The instructions that need what the kernel doesn't save when it is entered."""
    lines = tool(arch, "objdump", "-d", "--no-show-raw-insn", path).splitlines()
    found = [line.partition("\t") for line in lines if re.match(r" *[0-9a-f]+:\t", line)]
    if not found:
        return ["there is no code"]
    # Addresses of jumps are written as registers are.
    plain = (re.sub(r"[0-9a-f]+ <.*?>", "", code) for _, _, code in found)
    return [code for code in plain if FLOAT[arch].search(code)]


def exports(lines):
    """{symbol: (module, kind, namespace)} of Module.symvers."""
    rows = (line.split("\t") for line in lines)
    return {
        symbol: (module.rpartition("/")[2], kind, namespace)
        for _, symbol, module, kind, namespace in rows
    }


def export_problems(found):
    if not found:
        return ["nothing is exported"]
    return [
        f"{symbol}: {' '.join(row)}"
        for symbol, row in found.items()
        if row != ("ivshmem", "EXPORT_SYMBOL_GPL", "IVSHMEM") or not symbol.startswith("ivshmem_")
    ]


def differences(wanted, found):
    return [
        *(f"{name} is missing" for name in sorted(wanted - found)),
        *(f"{name} is not expected" for name in sorted(found - wanted)),
    ]


def declared():
    """The functions in transport.h."""
    text = (TOP / "src" / "core" / "transport.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return set(re.findall(r"\b(\w+)\([^()]*\);", code))


def imported(arch, path):
    """What a module takes of ours."""
    return set(re.findall(r"\b(ivshmem_\w+)", tool(arch, "nm", "-u", path)))


def check_code(kernel, modules):
    """What no module may do, however large it is."""
    for path in modules:
        found = frames(stack_files(path))
        if found:
            print(
                f"# {path.stem}, {kernel.arch}: {found[0].function}() has the largest "
                f"frame, {found[0].bytes} bytes"
            )
        check(
            f"{path.stem}, {kernel.arch}: no frame is larger than {build.STACK_LIMIT}",
            stack_problems(found),
        )
        check(f"{path.stem}, {kernel.arch}: no floating point", float_problems(kernel.arch, path))


def check_sizes(kernel, modules):
    for path in modules:
        text, data = measured = sizes(kernel.arch, path)
        print(f"# {path.stem}: {text} bytes of text, {data} of data")
        check(f"{path.stem}: text and data stay small", size_problems(measured, LIMITS[path.stem]))


def check_exports(kernel, modules):
    core, soft = modules
    found = exports(core.with_name("Module.symvers").read_text().splitlines())
    check(
        "what is exported is ivshmem's, GPL-only, in the namespace IVSHMEM", export_problems(found)
    )
    check("it is what transport.h declares", differences(declared(), set(found)))
    check(
        "all of it is used by ivshmem_soft", differences(set(found), imported(kernel.arch, soft))
    )


def arm64_kernel():
    """A kernel of arm64 that is here already, if this machine compiles for it."""
    if not shutil.which(f"{arches.ARM64.triplet}-gcc"):
        return None
    for path in sorted((cache.directory() / "kernels").glob("*-arm64/kernel.json")):
        line = path.parent.name[: -len("-arm64")]
        if re.fullmatch(r"\d+\.\d+", line):
            kernel = kernels.find(line, "arm64")
            if kernel.toolchain is None:
                return kernel
    return None


def check_arm64():
    global points
    kernel = arm64_kernel()
    if kernel:
        check_code(kernel, build.module(kernel))
    else:
        points += 1
        print(f"ok {points} - arm64 # SKIP no kernel of it is cached, or no compiler here")


def check_bad_code(arch, directory):
    """Are the checks of the code able to fail?"""
    source, output = directory / "bad.c", directory / "bad.o"
    source.write_text(BAD_CODE)
    tool(arch, "gcc", "-O2", "-fstack-usage", "-c", "-o", output, source)
    found = stack_problems(frames([output.with_suffix(".su")]))
    check(
        f"{arch}: a frame of 1 KiB is found",
        [] if [text for text in found if text.startswith("scalar()")] else found or ["none"],
    )
    found = float_problems(arch, output)
    wanted = {"amd64": ("mulsd|addsd", "^fadd|^fld"), "arm64": ("^fmadd|^fmul", r"\bd\d")}
    check(
        f"{arch}: floating point is found",
        [
            f"no {pattern}"
            for pattern in wanted[arch]
            if not any(re.search(pattern, code) for code in found)
        ],
    )
    text, data = sizes(arch, output)
    check(
        f"{arch}: what is too large is found",
        [] if len(size_problems((text, data + 2), Limits(text - 1, 1))) == 2 else ["it is not"],
    )
    source.write_text("")
    tool(arch, "gcc", "-fstack-usage", "-c", "-o", output, source)
    check(
        f"{arch}: it is found that there is nothing",
        []
        if stack_problems(frames([output.with_suffix(".su")]))
        and float_problems(arch, output)
        and size_problems(sizes(arch, output), Limits(1, 1))
        else ["it is not"],
    )


def check_bad_exports():
    good = "0x0\tivshmem_a\tbuild/ivshmem\tEXPORT_SYMBOL_GPL\tIVSHMEM"
    check(
        "each bad export is found",
        [name for name, line in BAD_EXPORTS.items() if not export_problems(exports([line]))]
        + export_problems(exports([good]))
        + ([] if export_problems({}) else ["none at all"]),
    )
    check(
        "what is missing and what is too much is found",
        []
        if differences({"a"}, {"b"}) == ["a is missing", "b is not expected"]
        else ["it is not"],
    )


def main():
    try:
        kernel = kernels.find(kernels.DEFAULT)
        modules = build.module(kernel)
        check(
            "the modules are those that have limits",
            differences(set(LIMITS), {path.stem for path in modules}),
        )
        check_code(kernel, modules)
        check_sizes(kernel, modules)
        check_exports(kernel, modules)
        check_arm64()
    except (archive.ArchiveError, build.BuildError) as error:
        first, *rest = str(error).splitlines() or ["failed"]
        print(f"Bail out! {first}", *(f"# {line}" for line in rest), sep="\n")
        return 1
    with tempfile.TemporaryDirectory() as name:
        for arch in FLOAT:
            if shutil.which(f"{arches.ALL[arch].triplet}-gcc"):
                check_bad_code(arch, pathlib.Path(name))
    check_bad_exports()
    print(f"1..{points}")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
