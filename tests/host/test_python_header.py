# SPDX-License-Identifier: GPL-2.0-only
"""The Python package declares what the headers do, as a compiler reads them."""

import ctypes
import pathlib
import re
import subprocess
import typing

import binding
import pytest
from ctl import ROOT
from ivshmem import Cache, Kind, Transport, _library

HEADERS = ("ivshmem.h", "ivshmem_channel.h", "ivshmem_sync.h")
INCLUDES = "".join(f"#include <{name}>\n" for name in HEADERS)
GCC = ("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'lib/include'}", "-xc")
STRUCTURES = {
    "ivshmem_properties": _library.Properties,
    "ivshmem_wait_options": _library.WaitOptions,
    "ivshmem_wait_result": _library.WaitResult,
    "ivshmem_peer": _library.Peer,
    "ivshmem_channel_options": _library.ChannelOptions,
    "ivshmem_channel_properties": _library.ChannelProperties,
}
CONSTANTS = {
    **{
        name: value
        for name, value in vars(_library).items()
        if name.isupper() and isinstance(value, int)
    },
    **{f"CACHE_{cache.name}": cache.value for cache in Cache},
    **{f"KIND_{kind.name}": kind.value for kind in Kind},
    **{f"TRANSPORT_{transport.name}": transport.value for transport in Transport},
}
TYPES: dict[str, typing.Any] = {
    "void": None,
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
}


def preprocessed() -> str:
    """The headers without comments, macros and what they include."""
    text = "".join((ROOT / "lib/include" / name).read_text() for name in HEADERS)
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"^#(.*\\\n)*.*", "", text, flags=re.M)


TEXT = preprocessed()


def fields(structure: str) -> list[str]:
    """The names of a structure's fields in the header."""
    body = re.search(rf"struct {structure} {{(.*?)}};", TEXT, re.S)
    assert body
    return re.findall(r"(\w+)(?:\[\d+\])?;", body[1])


def numbers(directory: pathlib.Path, expressions: typing.Iterable[str]) -> list[int]:
    """What a C program makes of them."""
    lines = "".join(f'\tprintf("%lld\\n", (long long)({text}));\n' for text in expressions)
    text = f"#include <stdio.h>\n{INCLUDES}int main(void)\n{{\n{lines}\treturn 0;\n}}\n"
    program = directory / "program"
    subprocess.run([*GCC, "-o", program, "-"], input=text, text=True, check=True)
    return [int(word) for word in subprocess.check_output([program]).split()]


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure_is_the_same(name: str, tmp_path: pathlib.Path) -> None:
    bound = STRUCTURES[name]
    names = [str(field[0]) for field in bound._fields_]
    assert names == fields(name)
    expressions = [f"sizeof(struct {name})"]
    found = [ctypes.sizeof(bound)]
    for field, kind in ((field[0], field[1]) for field in bound._fields_):
        element = getattr(kind, "_type_", kind)
        scalar = element if isinstance(element, type) else kind
        member = f"((struct {name} *)0)->{field}"
        expressions += [f"__builtin_offsetof(struct {name}, {field})", f"sizeof({member})"]
        found += [getattr(bound, field).offset, getattr(bound, field).size]
        if scalar in (ctypes.c_void_p, ctypes.c_char):
            continue  # it has no sign, or none that matters
        first = f"{member}[0]" if issubclass(kind, ctypes.Array) else member
        expressions.append(f"(__typeof__({first}))-1 < 1")
        found.append(scalar(-1).value < 1)
    assert found == numbers(tmp_path, expressions)


def test_structures_are_all_there() -> None:
    assert set(STRUCTURES) == set(re.findall(r"struct (\w+) {", TEXT))


def test_constants_are_the_same(tmp_path: pathlib.Path) -> None:
    assert len(CONSTANTS) >= 15
    assert list(CONSTANTS.values()) == numbers(tmp_path, (f"IVSHMEM_{name}" for name in CONSTANTS))


def matches(declared: str, bound: typing.Any) -> bool:
    """Whether an argument or a result of the header has this type of ctypes."""
    if "*" in declared:
        structure = re.search(r"struct (\w+) \*", declared)
        if structure and structure[1] in STRUCTURES:
            return bound is ctypes.POINTER(STRUCTURES[structure[1]])
        if declared.count("*") == 2:
            return bound is ctypes.POINTER(ctypes.c_void_p)
        element = re.sub(r"const |\*.*", "", declared).strip()
        if element in TYPES and element != "void":
            return bound is ctypes.POINTER(TYPES[element])
        return bound is (ctypes.c_char_p if element == "char" else ctypes.c_void_p)
    return bound is TYPES[re.sub(r" \w+$", "", declared) if declared not in TYPES else declared]


def test_functions_are_the_same() -> None:
    declared = {
        name: (result.strip(), [word.strip() for word in re.sub(r"\s+", " ", rest).split(",")])
        for result, name, rest in re.findall(
            r"^((?:const )?\w+ \*?)ivshmem_(\w+)\(([^()]*)\);", TEXT, re.M | re.S
        )
    }
    wrong = []
    for name, (result, arguments) in declared.items():
        bound_result, *bound = _library.SIGNATURES[name]
        words = [] if arguments == ["void"] else arguments
        if len(words) != len(bound) or not all(map(matches, words, bound)):
            wrong.append((name, words, bound))
        if bound_result is not (ctypes.c_char_p if "*" in result else TYPES[result]):
            wrong.append((name, result, bound_result))
    assert not wrong
    exported = re.findall(r"^\tivshmem_(\w+);", (ROOT / "lib/libivshmem.map").read_text(), re.M)
    assert set(exported) == set(declared) == set(_library.SIGNATURES)


def test_functions_are_in_the_library() -> None:
    assert binding.ENVIRONMENT
    for name in _library.SIGNATURES:
        assert getattr(_library.lib, name)
