# SPDX-License-Identifier: GPL-2.0-only
"""What the modules take of the kernel has bounds: stack, memory, no floating point;
and what one exports is what transports and drivers of nodes need and use.

They are looked at as they are built for the guests of the default kernel. Each
check is also given something bad, which it must find.
"""

import pathlib
import re
import shutil
import subprocess
import typing

import pytest

import arches
import build
import cache
import kernels


class Sizes(typing.NamedTuple):
    """Bytes as size(1) counts them."""

    text: int
    data: int  # and bss


# A fifth above what gcc 12 makes for Linux 6.12 (pytest -s shows it), so that growth is
# noticed.
LIMITS = {
    "ivshmem": Sizes(153000, 21600),
    "ivshmem_soft": Sizes(29500, 3900),
    "ivshmem_rings": Sizes(30500, 2300),
    "ivshmem_net": Sizes(28500, 2300),
    "ivshmem_vsock": Sizes(25000, 2800),
}

# The directories of src/ that a module is made of.
ROOMS = {
    "ivshmem": ("core", "pci"),
    "ivshmem_soft": ("soft",),
    "ivshmem_rings": ("rings",),
    "ivshmem_net": ("net",),
    "ivshmem_vsock": ("vsock",),
}

# Those that export something, and what declares it.
HEADERS = {
    "ivshmem": ("core/transport.h", "core/client.h"),
    "ivshmem_rings": ("rings/port.h",),
}

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

GOOD_EXPORT = "0x0\tivshmem_a\tbuild/ivshmem\tEXPORT_SYMBOL_GPL\tIVSHMEM"


class Frame(typing.NamedTuple):
    size: int
    function: str
    kind: str


class Export(typing.NamedTuple):
    module: str
    kind: str
    namespace: str


def tool(arch: str, name: str, *arguments: str | pathlib.Path) -> str:
    """What a program of the binutils or the compiler prints."""
    return subprocess.run(
        [f"{arches.ALL[arch].triplet}-{name}", *arguments],
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


def stack_files(path: pathlib.Path) -> list[pathlib.Path]:
    """What the compiler has left about the objects of a module."""
    return [file for room in ROOMS[path.stem] for file in sorted(path.parent.glob(f"{room}/*.su"))]


def frames(paths: typing.Iterable[pathlib.Path]) -> list[Frame]:
    """Stack that each function uses, the largest first."""
    rows = (line.split("\t") for path in paths for line in path.read_text().splitlines())
    return sorted(
        (Frame(int(size), place.rpartition(":")[2], kind) for place, size, kind in rows),
        reverse=True,
    )


def stack_problems(found: list[Frame]) -> list[str]:
    if not found:
        return ["there is no function"]
    return [
        f"{frame.function}() uses {frame.size} bytes, {frame.kind}"
        for frame in found
        if frame.size > build.STACK_LIMIT or frame.kind == "dynamic"
    ]


def sizes(arch: str, path: pathlib.Path) -> Sizes:
    """What it takes while it is loaded."""
    text, data, bss, *_ = tool(arch, "size", path).splitlines()[1].split()
    return Sizes(int(text), int(data) + int(bss))


def size_problems(measured: Sizes, limits: Sizes) -> list[str]:
    return [
        f"{size} bytes of {name}, at most {limit} are allowed"
        for name, size, limit in zip(Sizes._fields, measured, limits)
        if not 0 < size <= limit
    ]


def float_problems(arch: str, path: pathlib.Path) -> list[str]:
    """The instructions that need what the kernel doesn't save when it is entered."""
    lines = tool(arch, "objdump", "-d", "--no-show-raw-insn", path).splitlines()
    found = [line.partition("\t") for line in lines if re.match(r" *[0-9a-f]+:\t", line)]
    if not found:
        return ["there is no code"]
    # Addresses of jumps are written as registers are.
    plain = (re.sub(r"[0-9a-f]+ <.*?>", "", code) for _, _, code in found)
    return [code for code in plain if FLOAT[arch].search(code)]


def exports(lines: typing.Iterable[str]) -> dict[str, Export]:
    """What Module.symvers has, by symbol."""
    rows = (line.split("\t") for line in lines)
    return {
        symbol: Export(module.rpartition("/")[2], kind, namespace)
        for _, symbol, module, kind, namespace in rows
    }


def export_problems(found: dict[str, Export]) -> list[str]:
    if not found:
        return ["nothing is exported"]
    return [
        f"{symbol}: {' '.join(row)}"
        for symbol, row in found.items()
        if row.module not in HEADERS
        or row[1:] != ("EXPORT_SYMBOL_GPL", "IVSHMEM")
        or not symbol.startswith("ivshmem_")
    ]


def differences(wanted: set[str], found: set[str]) -> list[str]:
    return [
        *(f"{name} is missing" for name in sorted(wanted - found)),
        *(f"{name} is not expected" for name in sorted(found - wanted)),
    ]


def declared() -> set[str]:
    """The functions in the headers of those that export."""
    headers = (build.SOURCE / name for names in HEADERS.values() for name in names)
    text = "".join(header.read_text() for header in headers)
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    # Pointers to functions are members of structures.
    return set(re.findall(r"\b(ivshmem_\w+)\((?!\*)(?:[^()]|\(\*\w+\)|\([^()]*\))*\);", code))


def imported(arch: str, path: pathlib.Path) -> set[str]:
    """What a module takes of ours."""
    return set(re.findall(r"\b(ivshmem_\w+)", tool(arch, "nm", "-u", path)))


def arm64_kernel() -> kernels.Kernel | None:
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


class Built(typing.NamedTuple):
    """The modules for a kernel, by name."""

    arch: str
    modules: dict[str, pathlib.Path]


def built_for(kernel: kernels.Kernel) -> Built:
    return Built(kernel.arch, {path.stem: path for path in build.module(kernel)})


SAMPLE = "ivshmem_sample"  # of tests/sample
IMPORTER = "ivshmem_importer"  # of tests/importer
MUTATIONS = "ivshmem_mutations"  # of tests/mutations


@pytest.fixture(name="default", scope="session")
def fixture_default() -> Built:
    return built_for(kernels.find(kernels.DEFAULT))


@pytest.fixture(name="arm64", scope="session")
def fixture_arm64() -> Built:
    kernel = arm64_kernel()
    if kernel is None:
        pytest.skip("no kernel of arm64 is cached, or no compiler here")
    return built_for(kernel)


@pytest.fixture(name="built", params=FLOAT)
def fixture_built(request: pytest.FixtureRequest) -> Built:
    return request.getfixturevalue("arm64" if request.param == "arm64" else "default")


each_module = pytest.mark.parametrize("name", LIMITS)


@each_module
def test_no_frame_is_large(built: Built, name: str) -> None:
    found = frames(stack_files(built.modules[name]))
    assert not stack_problems(found)
    print(f"{name}, {built.arch}: {found[0].function}() has {found[0].size} bytes")


@each_module
def test_there_is_no_floating_point(built: Built, name: str) -> None:
    assert not float_problems(built.arch, built.modules[name])


@each_module
def test_text_and_data_stay_small(default: Built, name: str) -> None:
    measured = sizes(default.arch, default.modules[name])
    print(f"{name}: {measured.text} bytes of text, {measured.data} of data")
    assert not size_problems(measured, LIMITS[name])


def test_the_modules_are_those_that_have_limits(default: Built) -> None:
    assert not differences({*LIMITS, SAMPLE, IMPORTER, MUTATIONS}, set(default.modules))


@pytest.fixture(name="exported")
def fixture_exported(default: Built) -> dict[str, Export]:
    path = default.modules["ivshmem"].with_name("Module.symvers")
    return exports(path.read_text().splitlines())


def test_exports_are_ours_for_the_gpl_in_our_namespace(exported: dict[str, Export]) -> None:
    assert not export_problems(exported)


def test_exports_are_what_the_headers_declare(exported: dict[str, Export]) -> None:
    assert not differences(declared(), set(exported))


def test_all_exports_are_used(default: Built, exported: dict[str, Export]) -> None:
    used = set(re.findall(r"\bivshmem_\w+", (build.SOURCE / "pci" / "pci.c").read_text()))
    for module in ("ivshmem_soft", "ivshmem_rings", "ivshmem_net", "ivshmem_vsock", SAMPLE):
        used |= imported(default.arch, default.modules[module])
    assert not set(exported) - used


# Are the checks able to fail?


class Object(typing.NamedTuple):
    arch: str
    path: pathlib.Path


def compiled(arch: str, directory: pathlib.Path, text: str) -> Object:
    if not shutil.which(f"{arches.ALL[arch].triplet}-gcc"):
        pytest.skip(f"no compiler for {arch}")
    source, output = directory / "bad.c", directory / "bad.o"
    source.write_text(text)
    tool(arch, "gcc", "-O2", "-fstack-usage", "-c", "-o", output, source)
    return Object(arch, output)


@pytest.fixture(name="bad", params=FLOAT)
def fixture_bad(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Object:
    return compiled(request.param, tmp_path, BAD_CODE)


@pytest.fixture(name="empty", params=FLOAT)
def fixture_empty(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Object:
    return compiled(request.param, tmp_path, "")


def test_a_frame_of_1_kib_is_found(bad: Object) -> None:
    found = stack_problems(frames([bad.path.with_suffix(".su")]))
    assert [text for text in found if text.startswith("scalar()")]


def test_floating_point_is_found(bad: Object) -> None:
    found = float_problems(bad.arch, bad.path)
    wanted = {"amd64": ("mulsd|addsd", "^fadd|^fld"), "arm64": ("^fmadd|^fmul", r"\bd\d")}
    for pattern in wanted[bad.arch]:
        assert [code for code in found if re.search(pattern, code)], pattern


def test_what_is_too_large_is_found(bad: Object) -> None:
    text, data = sizes(bad.arch, bad.path)
    assert len(size_problems(Sizes(text, data + 2), Sizes(text - 1, 1))) == 2


def test_it_is_found_that_there_is_nothing(empty: Object) -> None:
    assert stack_problems(frames([empty.path.with_suffix(".su")]))
    assert float_problems(empty.arch, empty.path)
    assert size_problems(sizes(empty.arch, empty.path), Sizes(1, 1))


@pytest.mark.parametrize("line", BAD_EXPORTS.values(), ids=BAD_EXPORTS.keys())
def test_a_bad_export_is_found(line: str) -> None:
    assert export_problems(exports([line]))


def test_a_good_export_is_none_of_these() -> None:
    assert not export_problems(exports([GOOD_EXPORT]))


def test_it_is_found_that_nothing_is_exported() -> None:
    assert export_problems({})


def test_what_is_missing_and_what_is_too_much_is_found() -> None:
    assert differences({"a"}, {"b"}) == ["a is missing", "b is not expected"]
