# SPDX-License-Identifier: GPL-2.0-only
"""The completions of each shell know each verb and option of --help, and no others."""

import pathlib
import re
import shutil
import subprocess

import ctl
import pytest

TOOLS = ctl.ROOT / "tools"
FILES = sorted([*TOOLS.glob("*/*.bash"), *TOOLS.glob("*/*.zsh"), *TOOLS.glob("*/*.fish")])
# An option in --help: "  -j, --json                 Print JSON".
OPTION = re.compile(r"^ +(?:-(.), |    )--([a-z-]+)", re.M)


def help_of(program: pathlib.Path, *words: str) -> str:
    text = subprocess.run(
        [program, *words, "--help"],
        env=ctl.environment(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    assert "--help" in text
    return text


def options(text: str) -> set[str]:
    """Those of --help: "--json", and "-j" if it has a letter."""
    found = OPTION.findall(text)
    assert found
    return {f"--{name}" for _, name in found} | {f"-{letter}" for letter, _ in found if letter}


GENERAL = help_of(ctl.CTL)
VERBS = re.findall(r"^  ([a-z]+) ", GENERAL, re.M)
# Options by the words before them.
Commands = dict[tuple[str, ...], set[str]]
CONTROL: Commands = {
    (): options(GENERAL),
    **{(verb,): options(help_of(ctl.CTL, verb)) for verb in VERBS},
}
SERVER: Commands = {(): options(help_of(ctl.SERVER))}
PROGRAMS = {"ivshmemctl": CONTROL, "ivshmem-server": SERVER}
CASES = [(name, words) for name, commands in PROGRAMS.items() for words in commands]


def source(name: str, shell: str) -> pathlib.Path:
    (path,) = TOOLS.glob(f"*/{name}.{shell}")
    return path


def wanted(name: str, words: tuple[str, ...], short: bool = True) -> set[str]:
    """-? is for those who know nothing yet, and needs no completion."""
    return {
        option
        for option in PROGRAMS[name][words] - {"-?", "-h"}
        if short or option.startswith("--")
    }


def bash(name: str, *words: str) -> set[str]:
    """What bash offers after these words."""
    function = f"_{name.replace('-', '_')}"
    script = f"""
        source {source(name, 'bash')}
        COMP_WORDS=({name} {' '.join(f"'{word}'" for word in words)})
        COMP_CWORD={len(words)}
        {function}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    found = subprocess.run(["bash", "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    return {*found.stdout.split()}


def fish(name: str, words: tuple[str, ...]) -> set[str]:
    """The options of the lines whose condition names the verb, or none."""
    found = set()
    text = source(name, "fish").read_text()
    for line in re.findall("^complete .*", text, re.M):
        condition = re.search(r" -n (?:'__fish_seen_subcommand_from ([^']+)'|\$none)", line)
        verbs = (condition.group(1) or "").split() if condition else []
        if [*words] == verbs or (words and words[0] in verbs):
            found |= {f"-{letter}" for letter in re.findall(r" -s (.)\b", line)}
            found |= {f"--{option}" for option in re.findall(r" -l ([a-z-]+)", line)}
    return found - {"-h"}


def zsh(name: str, words: tuple[str, ...]) -> set[str]:
    """The options of the _arguments of the verb, or of those for no verb."""
    text = source(name, "zsh").read_text()
    for array, content in re.findall(r"local -a (\w+)=\(\n(.*?)\n\t\)", text, re.S):
        text = text.replace(f"${array}", content)
    if words:
        text = text[text.index("case $1") : text.index("esac")]
        cases = re.findall(r"^\t([a-z |]+)\)\n(.*?);;", text, re.M | re.S)
        (text,) = [body for verbs, body in cases if words[0] in verbs.split(" | ")]
    else:
        text = text[text.rindex("_arguments -s") :]
    text = re.sub("_arguments -s( -C)?", "", text)
    return {*re.findall(r"(?<=['({,])(-\w|--[a-z-]+)(?=[=\[,}) ])", text)} - {"-h"}


@pytest.mark.parametrize("name,words", CASES)
def test_bash(name: str, words: tuple[str, ...]) -> None:
    assert bash(name, *words, "--") == wanted(name, words, False)


@pytest.mark.parametrize("name,words", CASES)
def test_fish(name: str, words: tuple[str, ...]) -> None:
    assert fish(name, words) == wanted(name, words)


@pytest.mark.parametrize("name,words", CASES)
def test_zsh(name: str, words: tuple[str, ...]) -> None:
    assert zsh(name, words) == wanted(name, words)


def test_verbs() -> None:
    verbs = {*VERBS, "help"}
    assert len(VERBS) > 10
    assert bash("ivshmemctl", "") == verbs
    text = source("ivshmemctl", "fish").read_text()
    assert {*re.findall(r"-n \$none -a (\w+)", text)} == verbs
    assert verbs == {*re.findall(r"set -l verbs (.*)", text)[0].split()}
    text = source("ivshmemctl", "zsh").read_text()
    assert {*re.findall(r"^\t\t'(\w+):", text, re.M)} == verbs


@pytest.mark.parametrize(
    "words",
    [("-d", "x"), ("-j",), ("--device", "=", "x", "-j"), ("--json", "--device", "x")],
)
def test_bash_finds_the_verb_after_options(words: tuple[str, ...]) -> None:
    assert "send" in bash("ivshmemctl", *words, "se")
    assert "--answer" in bash("ivshmemctl", *words, "ping", "--a")


def test_bash_completes_no_number() -> None:
    assert bash("ivshmemctl", "wait", "--count", "=", "") == set()
    assert bash("ivshmem-server", "--size", "=") == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_syntax(path: pathlib.Path) -> None:
    shell = path.suffix[1:]
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", path], check=True)


def test_all_are_installed(tmp_path: pathlib.Path) -> None:
    """Where each shell looks for them."""
    subprocess.run(
        ["make", "-s", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr"],
        cwd=ctl.ROOT,
        check=True,
    )
    share = tmp_path / "usr/share"
    installed = set()
    for name in PROGRAMS:
        for shell, path in (
            ("bash", f"bash-completion/completions/{name}"),
            ("zsh", f"zsh/site-functions/_{name}"),
            ("fish", f"fish/vendor_completions.d/{name}.fish"),
        ):
            assert (share / path).read_text() == source(name, shell).read_text()
            installed |= set((share / path).parent.iterdir())
    assert len(FILES) == len(installed)
