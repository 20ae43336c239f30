# SPDX-License-Identifier: GPL-2.0-only
"""Wrong inputs of ivshmem-server, each with the exit code and the text that it gets. What
holds for all of them is in common/wrong_input.py."""

import typing

import ctl
import pytest
import wrong_input
from wrong_input import CLOSED, FULL, UNPRINTED, Row

INVALID, FAILED = 2, 1
HELP = "--help"
EMPTY = "is empty"
CONTROL = "contains a control character"
VECTORS = "vectors must be 1 to 256, not"
MODE = "mode must be 0 to 777, not"
SIZE = "use a number with an optional suffix K, M, G or T, such as 4M"
POWER = "is not a power of two of at least one page"
EXCLUSIVE = "-M, -m and --memfd are mutually exclusive"
NAME = "use letters, digits, - and _"
SOCKET = "use another socket (-S)"
LENGTH = "it is longer than 107 bytes; use a shorter one (-S)"
PID_FILE = "use another file (-p) or stay in the foreground (-F)"
LOCK_HELD = 'exec flock {scratch}/held.lock "$@"'
PASSED = 'LISTEN_PID=$$ exec "$@"'

# Where a server would start that wrongly accepts the rest: in the foreground, so that the
# limit of time ends it.
HERE = ["-F", "-S", "{scratch}/socket"]
ANY = [*HERE, "--memfd"]
OBJECT = f"{ctl.REGION}-wrong"

OPTIONS = [
    Row([*ANY, "word"], INVALID, ['"word" is no option', HELP]),
    Row([*ANY, "--", "-n"], INVALID, ['"-n" is no option', HELP]),
    Row([*ANY, ""], INVALID, ['"" is no option', HELP]),
    Row([*ANY, "a\nb"], INVALID, ["no option contains a control character", HELP]),
    Row([*ANY, "-Z"], INVALID, ["invalid option -- 'Z'", HELP]),
    Row([*ANY, "--nonsense"], INVALID, ["unrecognized option '--nonsense'", HELP]),
    Row([*ANY, "--vektors=2"], INVALID, ["unrecognized option '--vektors=2'", HELP]),
    Row([*ANY, "--device=x"], INVALID, ["unrecognized option '--device=x'", HELP]),
    Row([*ANY, "--json"], INVALID, ["unrecognized option '--json'", HELP]),
    Row([*ANY, "--ver"], INVALID, ["option '--ver' is ambiguous", HELP]),
    Row([*ANY, "--m"], INVALID, ["option '--m' is ambiguous", HELP]),
    Row([*ANY, "--foreground=yes"], INVALID, ["doesn't allow an argument", HELP]),
    Row([*ANY, "--reuse-ids=1"], INVALID, ["doesn't allow an argument", HELP]),
    Row([*ANY, "-n"], INVALID, ["option requires an argument -- 'n'", HELP]),
    Row([*ANY, "-S"], INVALID, ["option requires an argument -- 'S'", HELP]),
    Row([*ANY, "--size"], INVALID, ["'--size' requires an argument", HELP]),
    Row([*ANY, "--pid-file"], INVALID, ["'--pid-file' requires an argument", HELP]),
    Row([*ANY, "--mode"], INVALID, ["'--mode' requires an argument", HELP]),
    Row([*HERE, "-m", "{scratch}", "-M", OBJECT], INVALID, [EXCLUSIVE, HELP]),
    Row([*HERE, "-m", "{scratch}", "--memfd"], INVALID, [EXCLUSIVE, HELP]),
    Row([*HERE, "--memfd", "-M", OBJECT], INVALID, [EXCLUSIVE, HELP]),
    Row([*HERE, "-M", OBJECT, "-M", OBJECT], INVALID, [EXCLUSIVE, HELP]),
]

NUMBERS = [
    Row([*ANY, "-n", "0"], INVALID, [f"{VECTORS} 0"]),
    Row([*ANY, "-n", "257"], INVALID, [f"{VECTORS} 257"]),
    Row([*ANY, "-n", "-1"], INVALID, [f"{VECTORS} -1"]),
    Row([*ANY, "-n", "+1"], INVALID, [f"{VECTORS} +1"]),
    Row([*ANY, "-n", " 1"], INVALID, [f"{VECTORS}  1"]),
    Row([*ANY, "-n", "1x"], INVALID, [f"{VECTORS} 1x"]),
    Row([*ANY, "-n", "0x10"], INVALID, [f"{VECTORS} 0x10"]),
    Row([*ANY, "-n", "1.5"], INVALID, [f"{VECTORS} 1.5"]),
    Row([*ANY, "-n", "4294967297"], INVALID, [f"{VECTORS} 4294967297"]),
    Row([*ANY, "-n", "18446744073709551617"], INVALID, [VECTORS]),
    Row([*ANY, "-n", ""], INVALID, ["--vectors", EMPTY]),
    Row([*ANY, "-n", "1\n"], INVALID, ["--vectors", CONTROL]),
    Row([*ANY, "-n", "\udcff"], INVALID, [f"{VECTORS} \ufffd"]),
    Row([*ANY, "--mode", "8"], INVALID, [f"{MODE} 8"]),
    Row([*ANY, "--mode", "1000"], INVALID, [f"{MODE} 1000"]),
    Row([*ANY, "--mode", "-1"], INVALID, [f"{MODE} -1"]),
    Row([*ANY, "--mode", "rw-rw----"], INVALID, [f"{MODE} rw-rw----"]),
    Row([*ANY, "--mode", "0o660"], INVALID, [f"{MODE} 0o660"]),
    Row([*ANY, "--mode="], INVALID, ["--mode", EMPTY]),
    Row([*ANY, "-l", "4X"], INVALID, ['invalid size "4X"', SIZE]),
    Row([*ANY, "-l", "-4M"], INVALID, ['invalid size "-4M"', SIZE]),
    Row([*ANY, "-l", "4MB"], INVALID, ['invalid size "4MB"', SIZE]),
    Row([*ANY, "-l", "M"], INVALID, ['invalid size "M"', SIZE]),
    Row([*ANY, "-l", "0x"], INVALID, ['invalid size "0x"', SIZE]),
    Row([*ANY, "-l", "4,0M"], INVALID, ['invalid size "4,0M"', SIZE]),
    Row([*ANY, "-l", ""], INVALID, ["--size", EMPTY]),
    Row([*ANY, "-l", "4M\n"], INVALID, ["--size", CONTROL]),
    Row([*ANY, "-l", "0"], INVALID, [f"size 0 {POWER}", "use "]),
    Row([*ANY, "-l", "1"], INVALID, [f"size 1 {POWER}", "use "]),
    Row([*ANY, "-l", "3M"], INVALID, [f"size 3M {POWER}", "use 4M"]),
    Row([*ANY, "-l", "0x100001"], INVALID, [POWER, "use 2M"]),
    Row([*ANY, "-l", "4097M"], INVALID, [POWER, "use 8G"]),
    Row([*ANY, "-l", "8388608T"], INVALID, ["too large", "maximum is 4194304T"]),
    Row([*ANY, "-l", "16777216T"], INVALID, ["too large", "maximum is 4194304T"]),
    Row([*ANY, "-l", "99999999999999999999"], INVALID, ["too large", "maximum is 4194304T"]),
]

MEMORY = [
    Row([*HERE, "-M", ""], INVALID, ["--name", EMPTY]),
    Row([*HERE, "-M", "/"], INVALID, ['invalid name "/"', NAME]),
    Row([*HERE, "-M", "a/b"], INVALID, ['invalid name "a/b"', NAME]),
    Row([*HERE, "-M", "/.."], INVALID, ['invalid name "/.."', NAME]),
    Row([*HERE, "-M", "{long}"], INVALID, ['invalid name "xxx', NAME]),
    Row([*HERE, "-M", f"{OBJECT}\n"], INVALID, ["--name", CONTROL]),
    Row([*HERE, "-m", ""], INVALID, ["--directory", EMPTY]),
    Row([*HERE, "-m", "{scratch}/none"], FAILED, ["{scratch}/none", "another directory (-m)"]),
    Row([*HERE, "-m", "{scratch}/file"], FAILED, ["{scratch}/file", "another directory (-m)"]),
    Row([*HERE, "-m", "/proc"], FAILED, ["a file in /proc", "another directory (-m)"]),
    Row([*HERE, "-m", "{scratch}/{long}"], FAILED, ["too long", "another directory (-m)"]),
    Row(
        [*HERE, "-m", "{scratch}/locked"],
        FAILED,
        ["{scratch}/locked: Permission denied", "another directory (-m)"],
        user=True,
    ),
    Row(
        [*HERE, "-m", "{scratch}", "-l", "4194304T"],
        FAILED,
        ["cannot create 4194304T bytes", "({scratch})", "use less (-l)"],
    ),
]

FILES = [
    Row(["-F", "--memfd", "-S", ""], INVALID, ["--socket", EMPTY]),
    Row(["-F", "--memfd", "-S", "./a\nb"], INVALID, ["--socket", CONTROL]),
    Row(["-F", "--memfd", "-S", "{scratch}/\x1b[2J"], INVALID, ["--socket", CONTROL]),
    Row(["-F", "--memfd", "-S", "{scratch}/{long}"], INVALID, ["invalid socket path", LENGTH]),
    Row(["-F", "--memfd", "-S", "{scratch}/s.control"], INVALID, ["for control sockets", "(-S)"]),
    Row(["-F", "--memfd", "-S", "{scratch}/no/s"], FAILED, ["{scratch}/no/s.lock", SOCKET]),
    Row(["-F", "--memfd", "-S", "{scratch}/file/s"], FAILED, ["Not a directory", SOCKET]),
    Row(["-F", "--memfd", "-S", "{scratch}/file"], FAILED, ["file exists", "not a socket"]),
    Row(["-F", "--memfd", "-S", "{scratch}/empty"], FAILED, ["empty exists", "not a socket"]),
    Row(["-F", "--memfd", "-S", "{scratch}/loop"], FAILED, ["loop exists", "not a socket"]),
    Row(["-F", "--memfd", "-S", "{scratch}/fifo"], FAILED, ["fifo exists", "not a socket"]),
    Row(["-F", "--memfd", "-S", "{scratch}/busy"], FAILED, ["is listening on", "stop it"]),
    Row(["-F", "--memfd", "-S", "{scratch}/datagrams"], FAILED, ["{scratch}/datagrams"]),
    Row(
        ["-F", "--memfd", "-S", "{scratch}/locked/s"],
        FAILED,
        ["{scratch}/locked/s.lock: Permission denied", SOCKET],
        user=True,
    ),
    Row(
        ["-F", "--memfd", "-S", "{scratch}/held"],
        FAILED,
        ["{scratch}/held.lock: locked by", SOCKET],
        shell=LOCK_HELD,
    ),
    Row([*ANY, "-p", ""], INVALID, ["--pid-file", EMPTY]),
    Row([*ANY, "-p", "{scratch}/a\tb"], INVALID, ["--pid-file", CONTROL]),
    Row([*ANY, "-p", "{scratch}/no/pid"], FAILED, ["{scratch}/no/pid", PID_FILE]),
    Row([*ANY, "-p", "{scratch}/empty"], FAILED, ["empty: Is a directory", PID_FILE]),
    Row([*ANY, "-p", "{scratch}/fifo"], FAILED, ["fifo: not a regular file", PID_FILE]),
    Row([*ANY, "-p", "{scratch}/loop"], FAILED, ["{scratch}/loop", PID_FILE]),
    Row([*ANY, "-p", "{scratch}/file"], FAILED, ["not contain a process id", "(-p)"]),
    Row([*ANY, "-p", "{scratch}/{long}"], FAILED, ["File name too long", PID_FILE]),
    Row([*ANY, "-p", "/dev/full"], FAILED, ["/dev/full: not a regular file", PID_FILE]),
    Row([*ANY, "-p", "{scratch}/secret"], FAILED, ["Permission denied", PID_FILE], user=True),
    Row(
        ["-S", "{scratch}/socket", "--memfd", "-p", "{scratch}/no/pid"],
        FAILED,
        ["{scratch}/no/pid", PID_FILE],
    ),
]

NOT_A_NUMBER = ["LISTEN_FDS must be a number", "unset it"]
ENVIRONMENT = [
    Row(ANY, FAILED, NOT_A_NUMBER, env={"LISTEN_FDS": "many"}, shell=PASSED),
    Row(ANY, FAILED, NOT_A_NUMBER, env={"LISTEN_FDS": ""}, shell=PASSED),
    Row(ANY, FAILED, NOT_A_NUMBER, env={"LISTEN_FDS": "-1"}, shell=PASSED),
    Row(ANY, FAILED, NOT_A_NUMBER, env={"LISTEN_FDS": "1x"}, shell=PASSED),
    Row(ANY, FAILED, NOT_A_NUMBER, env={"LISTEN_FDS": "2147483647"}, shell=PASSED),
    Row(ANY, FAILED, NOT_A_NUMBER, env={"LISTEN_FDS": "99999999999999999999"}, shell=PASSED),
    Row(ANY, FAILED, ["passed something other", "ListenStream="], {"LISTEN_FDS": "1"}, PASSED),
    Row(
        ["-S", "{scratch}/socket", "--memfd"],
        FAILED,
        ["no place for the pid file", "name a file (-p)"],
        env={"XDG_RUNTIME_DIR": "relative"},
        user=True,
    ),
    Row(
        ["-S", "{scratch}/socket", "--memfd"],
        FAILED,
        ["{scratch}/file/ivshmem-server.pid", PID_FILE],
        env={"XDG_RUNTIME_DIR": "{scratch}/file"},
        user=True,
    ),
    Row([*ANY, "-n", "0"], INVALID, [VECTORS], env={"NOTIFY_SOCKET": "nonsense"}),
]


OUTPUT = [
    Row(["--help"], FAILED, [UNPRINTED], shell=FULL),
    Row(["-h"], FAILED, [UNPRINTED], shell=CLOSED),
    Row(["--usage"], FAILED, [UNPRINTED], shell=FULL),
    Row(["--version"], FAILED, [UNPRINTED], shell=FULL),
]


@pytest.fixture(name="place", scope="module")
def fixture_place() -> typing.Iterator[wrong_input.Place]:
    with wrong_input.place(ctl.SERVER) as place:
        (place.directory / "held.lock").touch()
        yield place


@pytest.mark.parametrize(
    "row", [*OPTIONS, *NUMBERS, *MEMORY, *FILES, *ENVIRONMENT, *OUTPUT], ids=wrong_input.name_of
)
def test_row(place: wrong_input.Place, row: Row) -> None:
    place.check(row)
