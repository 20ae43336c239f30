# SPDX-License-Identifier: GPL-2.0-only
"""What a command has measured, below build/figures: NAME.json for programs and NAME.md
for people. Figures go out of date with each change, so none of them is source."""

import json
import typing

import build

T = typing.TypeVar("T")
DIRECTORY = build.BUILD / "figures"


def table(headings: typing.Sequence[str], rows: typing.Iterable[typing.Sequence[object]]) -> str:
    """Rows as a table of Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(
        "| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |\n" for line in lines
    )


def write(name: str, data: object, text: str) -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    (DIRECTORY / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")
    (DIRECTORY / f"{name}.md").write_text(text)
    print(f"# figures: {DIRECTORY.relative_to(build.TOP)}/{name}.md", flush=True)


def read(name: str, otherwise: T) -> T:
    """What was written last."""
    path = DIRECTORY / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else otherwise
