# SPDX-License-Identifier: GPL-2.0-only
"""Wrong inputs of ivshmemctl, each with the exit code and the text that it gets. What holds
for all of them is in common/wrong_input.py; those of the server are in another table."""

import typing

import ctl
import pytest
import wrong_input
from ctl import DENIED, FAILED, NO_DEVICE, TIMEOUT, USAGE
from wrong_input import CLOSED, FULL, UNPRINTED, Row

NUMBER = "is not a number (examples: 4096, 0x1000, 4K)"
SECONDS = "is not a number of seconds (examples: 2, 0.5)"
HELP = "see 'ivshmemctl --help'"
MORE = "See 'ivshmemctl --help'"
START = "start a server with 'ivshmem-server -S"
FILE = ["without doorbells", "ivshmem-server", "ivshmem-doorbell"]
NO_SERVER = ["not an ivshmem server", "'ivshmemctl list' shows servers"]
ADD = ["add", "cam0", "--size"]
PART = ["partition", "add", "a"]


VERB = [
    Row([], USAGE, ["no verb", "--help"]),
    Row(["juggle"], USAGE, ["unknown verb 'juggle'", HELP]),
    Row([""], USAGE, ["unknown verb ''", HELP]),
    Row(["LIST"], USAGE, ["unknown verb 'LIST'", "did you mean 'list'?", MORE]),
    Row(["lis"], USAGE, ["unknown verb 'lis'", "did you mean 'list'?", MORE]),
    Row(["list "], USAGE, ["unknown verb 'list '", "did you mean 'list'?", MORE]),
    Row(["ls"], USAGE, ["unknown verb 'ls'", "did you mean 'list'?", MORE]),
    Row(["rcev", "-t", "1"], USAGE, ["unknown verb 'rcev'", "did you mean 'recv'?", MORE]),
    Row(["-j", "peer"], USAGE, ["unknown verb 'peer'", "did you mean 'peers'?", MORE]),
    Row(["docter"], USAGE, ["unknown verb 'docter'", "did you mean 'doctor'?", MORE]),
    Row(["{long}"], USAGE, ["unknown verb 'xxx", HELP]),
    Row(["list\nlist"], USAGE, ["unknown verb 'list?list'", HELP]),
    Row(["\x1b[2Jlist"], USAGE, ["unknown verb '?[2Jlist'", HELP]),
    Row(["\udcff"], USAGE, ["unknown verb '?'", HELP]),
    Row(["help", "list"], USAGE, ["unknown verb 'help'", HELP]),
    Row(["--", "--json"], USAGE, ["unknown verb '--json'", HELP]),
    Row(["-"], USAGE, ["unknown verb '-'", HELP]),
    Row(["--nonsense"], USAGE, ["unknown option before the verb '--nonsense'", HELP]),
    Row(["--count=1", "wait"], USAGE, ["unknown option before the verb '--count=1'", HELP]),
    Row(["-d"], USAGE, ["no value after option '-d'", HELP]),
    Row(["--device"], USAGE, ["no value after option '--device'", HELP]),
    Row(["-d", "ivshmem0"], USAGE, ["no verb", "--help"]),
]

OPERANDS = [
    Row(["list", "all"], USAGE, ["list: Too many arguments", "--help"]),
    Row(["info", "ivshmem0"], USAGE, ["info: Too many arguments", "--help"]),
    Row(["doctor", "now"], USAGE, ["doctor: Too many arguments", "--help"]),
    Row(["read", "0", "1", "2"], USAGE, ["read: too many arguments", "--help"]),
    Row(["read", ""], USAGE, ["OFFSET ''", NUMBER]),
    Row(["read", "--", "-1"], USAGE, ["negative OFFSET '-1'"]),
    Row(["read", "-1"], USAGE, ["negative OFFSET '-1'", "--help"]),
    Row(["read", "-0x10"], USAGE, ["negative OFFSET '-0x10'"]),
    Row(["read", "0", "-4K"], USAGE, ["negative LENGTH '-4K'"]),
    Row(["read", "-1", "-d", "{device}"], USAGE, ["negative OFFSET '-1'"]),
    Row(["read", "-d", "{device}", "0", "-12"], USAGE, ["negative LENGTH '-12'"]),
    Row(["read", "0", "1", "-2"], USAGE, ["read: too many arguments"]),
    Row(["read", "-j5"], USAGE, ["read: invalid option -- '5'"]),
    Row(["info", "-1"], USAGE, ["info: invalid option -- '1'"]),
    Row(["send", "-1"], USAGE, ["send: invalid option -- '1'"]),
    Row(["read", "0x"], USAGE, ["OFFSET '0x'", NUMBER]),
    Row(["read", "0xz"], USAGE, ["OFFSET '0xz'", NUMBER]),
    Row(["read", "4KB"], USAGE, ["OFFSET '4KB'", NUMBER]),
    Row(["read", "4 K"], USAGE, ["OFFSET '4 K'", NUMBER]),
    Row(["read", "1.5K"], USAGE, ["OFFSET '1.5K'", NUMBER]),
    Row(["read", "18446744073709551616"], USAGE, ["OFFSET 18446744073709551616 is too large"]),
    Row(["read", "16777216T"], USAGE, ["OFFSET 16777216T is too large", "maximum"]),
    Row(["read", "0", "1\n"], USAGE, ["LENGTH '1?'", NUMBER]),
    Row(["read", "0", "\udcfe"], USAGE, ["LENGTH '?'", NUMBER]),
    Row(["read", "--json", "--raw"], USAGE, ["--json excludes --raw and --output"]),
    Row(["read", "-j", "-o", "{scratch}/new"], USAGE, ["--json excludes --raw and --output"]),
    Row(["write", "0", "a", "b"], USAGE, ["too many arguments", "quote TEXT"]),
    Row(["write", "0", "a", "-i", "{scratch}/file"], USAGE, ["TEXT excludes --input"]),
    Row(["write", "text"], USAGE, ["OFFSET 'text'", NUMBER]),
    Row(["write", "-1", "text"], USAGE, ["negative OFFSET '-1'"]),
    Row(["write", "0", "-1", "-2"], USAGE, ["write: too many arguments"]),
    Row(["ring"], USAGE, ["ring: missing operand PEER", "--help"]),
    Row(["ring", "1", "2", "3"], USAGE, ["ring: too many arguments"]),
    Row(["ring", "65536"], USAGE, ["PEER 65536 is too large", "maximum is 65535"]),
    Row(["ring", "1", "256"], USAGE, ["VECTOR 256 is too large", "maximum is 255"]),
    Row(["ring", "0b1"], USAGE, ["PEER '0b1'", NUMBER]),
    Row(["ring", "-1"], USAGE, ["negative PEER '-1'"]),
    Row(["ring", "1", "-2"], USAGE, ["negative VECTOR '-2'"]),
    Row(["ping", "-1", "--answer"], USAGE, ["negative PEER '-1'"]),
    Row(["wait", "0", "-3"], USAGE, ["negative VECTOR '-3'"]),
    Row(["wait", "+1"], USAGE, ["VECTOR '+1'", NUMBER]),
    Row(["wait", "0,1"], USAGE, ["VECTOR '0,1'", NUMBER]),
    Row(["ping"], USAGE, ["ping: missing operand PEER"]),
    Row(["ping", "1", "2"], USAGE, ["ping: too many arguments"]),
    Row(["ping", "0x10000"], USAGE, ["PEER 0x10000 is too large", "maximum is 65535"]),
    Row(["send", "a", "b"], USAGE, ["send: too many arguments"]),
    Row(["recv", "a", "b"], USAGE, ["recv: too many arguments"]),
    Row(["peers", "ivshmem0"], USAGE, ["peers: Too many arguments"]),
    Row(["top", "ivshmem0"], USAGE, ["top: Too many arguments"]),
    Row(["add"], USAGE, ["add: missing operand NAME"]),
    Row(["add", "a", "b", "--size", "4K"], USAGE, ["add: too many arguments"]),
    Row(["add", "", "--size", "4K"], USAGE, ["invalid name ''", "must not"]),
    Row(["add", "../cam", "--size", "4K"], USAGE, ["invalid name '../cam'", "must not"]),
    Row(["add", "a/\nb", "--size", "4K"], USAGE, ["invalid name 'a/?b'", "must not"]),
    Row(["remove"], USAGE, ["remove: missing operand NAME"]),
    Row(["remove", "a", "b"], USAGE, ["remove: too many arguments"]),
    Row(["partition"], USAGE, ["missing operand: list, add, remove or resize"]),
    Row(["partition", "make"], USAGE, ["unknown action 'make'", "list, add, remove or resize"]),
    Row(["partition", "list", "a"], USAGE, ["too many arguments for list"]),
    Row(["partition", "add"], USAGE, ["missing operand NAME of add"]),
    Row(["partition", "add", ""], USAGE, ["invalid name ''", "up to 31"]),
    Row(["partition", "add", ".a"], USAGE, ["invalid name '.a'", "up to 31"]),
    Row(["partition", "add", "a/\nb"], USAGE, ["invalid name 'a/?b'", "up to 31"]),
    Row(["partition", "add", "{long}"], USAGE, ["invalid name 'xxx", "up to 31"]),
    Row([*PART, "0"], USAGE, ["SIZE must be at least 1"]),
    Row([*PART, "4KB"], USAGE, ["SIZE '4KB'", NUMBER]),
    Row([*PART, "8388608T"], USAGE, ["SIZE 8388608T is too large"]),
    Row([*PART, "4K", "5"], USAGE, ["too many arguments for add"]),
    Row(["partition", "remove"], USAGE, ["missing operand NAME of remove"]),
    Row(["partition", "remove", "a", "b"], USAGE, ["too many arguments for remove"]),
    Row(["partition", "resize", "a"], USAGE, ["missing operand SIZE of resize"]),
    Row(["label", "all"], USAGE, ["label: Too many arguments"]),
    Row(["format", "now"], USAGE, ["format: Too many arguments"]),
    Row(["rescan", "all"], USAGE, ["rescan: Too many arguments"]),
    Row(["remove", "."], USAGE, ["invalid name '.'", "must not"]),
]

OPTIONS = [
    Row(["list", "--jason"], USAGE, ["list: unrecognized option '--jason'", "--help"]),
    Row(["list", "--json=yes"], USAGE, ["'--json' doesn't allow an argument"]),
    Row(["list", "-d", "{device}"], USAGE, ["list: invalid option -- 'd'"]),
    Row(["-d", "{device}", "doctor"], USAGE, ["doctor: invalid option -- 'd'"]),
    Row(["info", "--raw"], USAGE, ["info: unrecognized option '--raw'"]),
    Row(["read", "-o"], USAGE, ["read: option requires an argument -- 'o'"]),
    Row(["write", "--json"], USAGE, ["write: unrecognized option '--json'"]),
    Row(["ring", "1", "--count"], USAGE, ["'--count' requires an argument"]),
    Row(["ring", "1", "-c", "-1"], USAGE, ["negative --count '-1'"]),
    Row(["ring", "1", "-c", "0"], USAGE, ["ring: --count must be at least 1"]),
    Row(["wait", "-c", "0"], USAGE, ["wait: --count must be at least 1"]),
    Row(["wait", "--count=0x0"], USAGE, ["wait: --count must be at least 1"]),
    Row(["ring", "1", "-t", "1"], USAGE, ["ring: invalid option -- 't'"]),
    Row(["wait", "-c", "many"], USAGE, ["--count 'many'", NUMBER]),
    Row(["wait", "-t", ""], USAGE, ["--timeout ''", SECONDS]),
    Row(["wait", "-t", "nan"], USAGE, ["--timeout 'nan'", SECONDS]),
    Row(["wait", "-t", "0x1"], USAGE, ["--timeout '0x1'", SECONDS]),
    Row(["wait", "-t", "."], USAGE, ["--timeout '.'", SECONDS]),
    Row(["wait", "-t", "1.2.3"], USAGE, ["--timeout '1.2.3'", SECONDS]),
    Row(["wait", "-t", "1\n2"], USAGE, ["--timeout '1?2'", SECONDS]),
    # Terminals take it for the beginning of a command, as they do ESC [.
    Row(["wait", "-t", "1\u009b2"], USAGE, ["--timeout '1??2'", SECONDS]),
    Row(["wait", "-t", "1\u00e92"], USAGE, ["--timeout '1\u00e92'", SECONDS]),
    Row(["wait", "-t", "1000000001"], USAGE, ["too large", "maximum is 1000000000 seconds"]),
    Row(["ping", "0", "-t", "-1"], USAGE, ["negative --timeout '-1'"]),
    Row(["wait", "-t", "-0.5"], USAGE, ["negative --timeout '-0.5'"]),
    Row(["wait", "-t", "-.5"], USAGE, ["--timeout '-.5'", SECONDS]),
    Row(["ping", "0", "-i", "1s"], USAGE, ["--interval '1s'", SECONDS]),
    Row(["ping", "0", "-v", "256"], USAGE, ["--vector 256 is too large", "maximum is 255"]),
    Row(["ping", "0", "-s", "2G"], USAGE, ["--spin 2G is too large", "maximum"]),
    Row(["peers", "--count", "1"], USAGE, ["--count needs --watch"]),
    Row(["peers", "-w", "-c", "0"], USAGE, ["peers: --count must be at least 1"]),
    Row(["top", "-i", "0.05"], USAGE, ["--interval must be 0.1 to 3600 seconds"]),
    Row(["top", "-i", "2h"], USAGE, ["--interval '2h'", SECONDS]),
    Row(["send", "-t", "0.5"], USAGE, ["--timeout must be at least 1"]),
    Row(["send", "-S", "8K8"], USAGE, ["--size '8K8'", NUMBER]),
    Row(["recv", "-O", "page"], USAGE, ["--offset 'page'", NUMBER]),
    Row(["recv", "--input", "a"], USAGE, ["recv: unrecognized option '--input'"]),
    Row(["add", "cam0"], USAGE, ["missing option --size"]),
    Row([*ADD, "x"], USAGE, ["size 'x'", NUMBER]),
    Row([*ADD, "4K", "--vectors", "257"], USAGE, ["vectors 257", "maximum is 256"]),
    Row([*ADD, "4K", "--irq", "4G"], USAGE, ["irq 4G is too large", "maximum is 4294967295"]),
    Row([*ADD, "4K", "--node", "2G"], USAGE, ["node 2G is too large", "maximum is 2147483647"]),
    Row([*ADD, "4K", "--address", "0xg"], USAGE, ["address '0xg'", NUMBER]),
    Row([*ADD, "4K", "--doorbell="], USAGE, ["doorbell ''", NUMBER]),
    Row(["remove", "cam0", "--json"], USAGE, ["remove: unrecognized option '--json'"]),
    Row(["format", "--peers", "129"], USAGE, ["--peers 129 is too large", "maximum is 128"]),
    Row(["format", "--peers=-1"], USAGE, ["negative --peers '-1'"]),
    Row(["format", "-b", "257"], USAGE, ["--doorbells 257 is too large", "maximum is 256"]),
    Row(["format", "4M"], USAGE, ["format: Too many arguments"]),
    Row(["format", "--net=4M", "4M"], USAGE, ["format: Too many arguments"]),
    Row(["format", "--net", "4KB"], USAGE, ["SIZE '4KB'", NUMBER]),
    Row(["format", "--net=0"], USAGE, ["SIZE must be at least 1"]),
    Row(["format", "--ports", "4"], USAGE, ["--ports needs --net or --vsock"]),
    Row(["format", "--net", "--vsock"], USAGE, ["--net or --vsock needs a SIZE"]),
    Row(["format", "--vsock", "--vsock"], USAGE, ["--vsock is given twice"]),
    Row(["format", "4M", "--vsock"], USAGE, ["format: Too many arguments"]),
    Row(["format", "--net", "--ports", "129"], USAGE, ["--ports 129 is too large"]),
    Row(["net", "a", "b"], USAGE, ["net: Too many arguments"]),
    Row(["net", "--tap"], USAGE, ["'--tap' requires an argument"]),
    Row(["net", "--tap="], USAGE, ["invalid name '' of an interface", "1 to 15"]),
    Row(["net", "-t", "a/b"], USAGE, ["invalid name 'a/b' of an interface"]),
    Row(["net", "-t", "a234567890123456"], USAGE, ["invalid name 'a234567890123456'"]),
    Row(["label", "--force"], USAGE, ["label: unrecognized option '--force'"]),
    Row(["wipe", "--json"], USAGE, ["wipe: unrecognized option '--json'"]),
    Row([*PART, "-t", "Raw"], USAGE, ["invalid type 'Raw'", "up to 15"]),
    Row([*PART, "-t", ""], USAGE, ["invalid type ''", "up to 15"]),
    Row([*PART, "-t", "a234567890123456"], USAGE, ["invalid type 'a23", "up to 15"]),
    Row([*PART, "-o", "512"], USAGE, ["--offset must be a multiple of 4096"]),
    Row([*PART, "-o", "8388608T"], USAGE, ["--offset 8388608T is too large"]),
    Row([*PART, "-v", "257"], USAGE, ["--vectors 257 is too large", "maximum is 256"]),
    Row([*PART, "-i", "3"], USAGE, ["--first-vector needs --vectors"]),
    Row([*PART, "-v", "1", "-i", "256"], USAGE, ["--first-vector 256 is too large"]),
    Row([*PART, "-f"], USAGE, ["add has no option -f"]),
    Row([*PART, "-t", "net", "-v", "0"], USAGE, ["--vectors must be at least 1 for --type net"]),
    Row([*PART, "4M", "-t", "vsock", "-v0"], USAGE, ["at least 1 for --type vsock"]),
    Row([*PART, "--ports", "2"], USAGE, ["--ports needs --type net or vsock"]),
    Row([*PART, "-t", "net", "-P", "x"], USAGE, ["--ports 'x'", NUMBER]),
    Row(["partition", "list", "--dry-run"], USAGE, ["list has no option -n"]),
    Row(["partition", "list", "-v", "1"], USAGE, ["list has no option -v"]),
    Row(["partition", "remove", "a", "-o", "4K"], USAGE, ["remove has no option -o"]),
    Row(["trace", "--timeout", "x"], USAGE, ["--timeout 'x'", SECONDS]),
    Row(["trace", "--grahp"], USAGE, ["trace: unrecognized option '--grahp'"]),
]

DEVICE = [
    Row(["info", "-d", "ivshmem99"], NO_DEVICE, ["no ", "ivshmem99"]),
    Row(["info", "-d", "/dev/ivshmem99"], NO_DEVICE, ["no ", "/dev/ivshmem99"]),
    Row(["info", "-d", "{scratch}/none"], NO_DEVICE, ["no socket", START, "{scratch}/none"]),
    Row(["info", "-d", "./a\nb"], NO_DEVICE, ["no socket ./a?b", START]),
    Row(["info", "-d", "./\udcff"], NO_DEVICE, ["no socket ./?", START]),
    Row(["info", "-d", "{scratch}/file/x"], NO_DEVICE, ["no socket {scratch}/file/x", START]),
    Row(["info", "-d", "{scratch}/{long}"], NO_DEVICE, ["is too long", "at most 107 bytes"]),
    Row(["info", "-d", "{long}"], NO_DEVICE, ["the name xxx", "is too long"]),
    Row(["ring", "0", "-d", "{scratch}/file"], FAILED, ["{scratch}/file is a file", *FILE]),
    Row(["wait", "-d", "{scratch}/file"], FAILED, ["{scratch}/file is a file", *FILE]),
    Row(["read", "1M", "-d", "{scratch}/file"], USAGE, ["offset 1048576 is beyond the end"]),
    Row(["info", "-d", "{scratch}/empty"], NO_DEVICE, ["{scratch}/empty is neither", "doctor"]),
    Row(["info", "-d", "{scratch}/fifo"], NO_DEVICE, ["{scratch}/fifo is neither", "doctor"]),
    Row(["info", "-d", "/dev/null"], NO_DEVICE, ["/dev/null is neither", "doctor"]),
    Row(["info", "-d", "{scratch}/datagrams"], FAILED, ["datagrams: not an ivshmem server"]),
    Row(["info", "-d", "{scratch}/dead"], NO_DEVICE, ["no server listens on", "start one"]),
    Row(["info", "-d", "{scratch}/loop"], FAILED, ["cannot open {scratch}/loop"]),
    Row(["info", "-d", "{scratch}/busy"], NO_DEVICE, ["{scratch}/busy is gone", "start it again"]),
    Row(
        ["info", "-d", "{scratch}/short"], NO_DEVICE, ["{scratch}/short is gone", "start it again"]
    ),
    *(
        Row(["info", "-d", f"{{scratch}}/{name}"], FAILED, [f"{{scratch}}/{name}: ", *NO_SERVER])
        for name in ("text", "negative", "monitor")
    ),
    Row(
        ["info", "-d", "{scratch}/silent"], TIMEOUT, ["{scratch}/silent: no answer", NO_SERVER[1]]
    ),
    Row(["info"], NO_DEVICE, ["no socket ./x", START], env={"IVSHMEM_DEVICE": "./x"}),
    Row(["ring", "0"], FAILED, ["file is a file"], env={"IVSHMEM_DEVICE": "{scratch}/file"}),
    Row(["read", "-d", "{scratch}/locked/s"], DENIED, ["no permission", "ls -l"], user=True),
    Row(["trace"], DENIED, ["only root can do this", "sudo"], user=True),
    Row(["format", "-d", "{scratch}/file"], USAGE, ["{scratch}/file is too small", "--peers"]),
    *(
        Row([*words, "-d", name], FAILED, [f"{name} has no label"])
        for words in (
            ["label"],
            ["net"],
            [*PART, "4K"],
            ["partition", "list"],
            ["wipe", "--force"],
        )
        for name in ("{scratch}/file", "{device}")
    ),
    Row(["format", "--net", "64M", "-d", "{device}"], FAILED, ["largest free range is 917504"]),
    Row(["format", "--net", "-p", "1", "-d", "{device}"], USAGE, ["has room for 1 peer,"]),
    Row(["format", "-N", "-P", "17", "-d", "{device}"], USAGE, ["--ports must be 2 to 16"]),
    Row(["format", "-N", "-P", "1", "-d", "{device}"], USAGE, ["--ports must be 2 to 16"]),
    Row(["format", "-N", "-d", "{device}"], USAGE, ["16 ports need", "at most --ports 13 fits"]),
    Row(["format", "-N64K", "-P8", "-d", "{device}"], USAGE, ["at most --ports 3 fits"]),
    Row(["format", "-N1", "-p2", "-d", "{scratch}/file"], USAGE, ["{scratch}/file is too small"]),
    Row(["peers", "-d", "ivshmem99"], NO_DEVICE, ["no ", "ivshmem99"]),
    Row(["peers", "-d", "{scratch}/none"], NO_DEVICE, ["no server listens on", "{scratch}/none"]),
    *(
        Row([*words, "-d", "{device}.control"], USAGE, ["is the control socket", "{device}"])
        for words in (["peers"], ["info"], ["ring", "0"], ["top"], ["net"])
    ),
    Row(["peers", "-d", "{scratch}/file"], FAILED, ["no label with room for peers", "format"]),
    Row(["peers", "-w", "-d", "{device}"], USAGE, ["is a server", "--watch", "log"]),
    Row(["top", "-d", "{device}"], USAGE, ["is a server", "'ivshmemctl peers'"]),
    Row(["top", "-d", "{scratch}/none"], USAGE, ["is a server", "'ivshmemctl peers'"]),
    Row(["rescan", "-d", "{device}"], USAGE, ["is no device of a driver", "in the guests"]),
    Row(["send", "-d", "{scratch}/busy"], NO_DEVICE, ["{scratch}/busy is gone"]),
    Row(["read", "2M", "-d", "{device}"], USAGE, ["offset 2097152 is beyond the end"]),
    Row(["write", "0x100001", "a", "-d", "{device}"], USAGE, ["offset 1048577 is beyond"]),
    Row(["wait", "4", "-d", "{device}"], USAGE, ["no vector 4", "0 to 3"]),
    Row(["ring", "77", "-d", "{device}"], FAILED, ["peer 77 is not connected", "connected peers"]),
    Row(["write", "-i", "{scratch}/no", "-d", "{device}"], FAILED, ["cannot open {scratch}/no"]),
    Row(["write", "-i", "{scratch}", "-d", "{device}"], FAILED, ["{scratch} is a directory"]),
    Row(["read", "-o", "{scratch}/a/b", "-d", "{device}"], FAILED, ["cannot open", "/a/b"]),
    Row(["read", "-o", "/dev/full", "-d", "{device}"], FAILED, ["cannot write to /dev/full"]),
    Row(
        ["send", "-O", "1", "-d", "{device}"],
        USAGE,
        ["--offset must be a multiple of the page size"],
    ),
    Row(["recv", "-S", "1", "-d", "{device}"], USAGE, ["1 byte is not enough"]),
    Row(["write", "1M", "x", "-d", "{device}"], USAGE, ["no space for 1 byte at offset 1048576"]),
    Row(["send", "-O", "1M", "-d", "{device}"], USAGE, ["--offset 1048576 is beyond the end"]),
    Row(["recv", "-S", "2M", "-d", "{device}"], USAGE, ["--size 2097152 does not fit"]),
    Row(
        ["send", "-S", "8191", "-d", "{device}"],
        USAGE,
        ["8191 bytes is not enough", "minimum is 8192"],
    ),
    Row(
        ["recv", "-O", "4K", "-S", "1M", "-d", "{device}"], USAGE, ["--size 1048576 does not fit"]
    ),
    Row(["send", "{scratch}/none", "-d", "{device}"], FAILED, ["cannot open {scratch}/none"]),
    Row(["read", "-o", "{scratch}", "-d", "{device}"], FAILED, ["cannot open {scratch}"]),
    Row(["send", "{scratch}/empty", "-d", "{device}"], FAILED, ["empty is a directory"]),
    Row(["recv", "{scratch}/{long}", "-d", "{device}"], FAILED, ["cannot open", "too long"]),
]

OUTPUT = [
    Row(["--version"], FAILED, [UNPRINTED], shell=FULL),
    Row(["help"], FAILED, [UNPRINTED], shell=CLOSED),
    Row(["list", "--help"], FAILED, [UNPRINTED], shell=FULL),
    Row(["ring", "-h"], FAILED, [UNPRINTED], shell=CLOSED),
    Row(["trace", "--usage"], FAILED, [UNPRINTED], shell=FULL),
    Row(["doctor", "--json"], FAILED, ["cannot write"], shell=FULL),
    Row(["info", "-d", "{device}"], FAILED, ["cannot write"], shell=FULL),
    Row(["info", "-j", "-d", "{device}"], FAILED, ["cannot write"], shell=CLOSED),
]


@pytest.fixture(name="place", scope="module")
def fixture_place() -> typing.Iterator[wrong_input.Place]:
    with ctl.server() as (device, _), wrong_input.place(ctl.CTL, str(device)) as place:
        yield place


@pytest.mark.parametrize(
    "row", [*VERB, *OPERANDS, *OPTIONS, *DEVICE, *OUTPUT], ids=wrong_input.name_of
)
def test_row(place: wrong_input.Place, row: Row) -> None:
    place.check(row)
