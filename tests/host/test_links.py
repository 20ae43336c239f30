# SPDX-License-Identifier: GPL-2.0-only
"""The links of all documents lead somewhere: to a file, to a heading in it, and to
the symbol that the link names:

    [`src/core/module.c`: `ivshmem_init()`](../src/core/module.c)

Comments in C do not count, so that a symbol that is gone is not found in the text
that tells of it. Documents that are wrong in each of these ways are found as such.
"""

import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").rglob("*.md"))]

LINK = re.compile(r"\[((?:[^][]|\[[^][]*\])*)\]\(([^()\s]+)\)")
NAMED = re.compile(r"`([^`]+)`:\s+(.+)", re.S)

SOURCE = "/* lost() */ int there; // lost\n"
GOOD = """# A `heading`, of 2
[one](#a-heading-of-2) [two](sub/b.md#again-1) [`sub`](sub) [web](https://nowhere/)
[`sub/a.c`:
`there`](sub/a.c)

    [code](no.md)

```c
call[code](no.md);
```
"""
OTHER = "# Again\n# Again\n[back](../good.md#a-heading-of-2)\n"
BAD = (
    "[file](no.md)",
    "[heading](#no)",
    "[heading](sub/b.md#again-2)",
    "[root](/no.md)",
    "[heading of a source](sub/a.c#there)",
    "[`sub/a.c`: `lost()`](sub/a.c)",
    "[`sub/a.c`: `ther`](sub/a.c)",
    "[`sub/a.c`: `there`, `lost`](sub/a.c)",
    "[`sub/a.c`: nothing](sub/a.c)",
    "[`sub/c.c`: `there`](sub/a.c)",
)


def prose(text: str) -> str:
    """A document without what it shows as code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"^(    |\t).*$", "", text, flags=re.M)


def anchors(path: pathlib.Path) -> set[str]:
    """What a document's headings are called in links."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(path.read_text()), re.M):
        plain = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        count = sum(
            re.fullmatch(re.escape(plain) + r"(-\d+)?", name) is not None for name in found
        )
        found.add(f"{plain}-{count}" if count else plain)
    return found


def code(path: pathlib.Path) -> str:
    """A source without its comments."""
    text = path.read_text()
    if path.suffix in (".c", ".h"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    return text


def symbol_problem(text: str, path: pathlib.Path, top: pathlib.Path) -> str | None:
    """What is wrong with the file and the symbols that a link names, or None."""
    named = NAMED.fullmatch(text)
    if not named:
        return None
    if top / named.group(1) != path:
        return "leads to another file than it names"
    symbols = re.findall(r"`([^`()]+)(?:\(\))?`", named.group(2))
    if not symbols:
        return "names no symbol"
    source = code(path)
    lost = [
        symbol
        for symbol in symbols
        if not re.search(rf"(?<![\w-]){re.escape(symbol)}(?![\w-])", source)
    ]
    return f"{', '.join(lost)} is not there" if lost else None


def problem(text: str, target: str, document: pathlib.Path, top: pathlib.Path) -> str | None:
    """What is wrong with a link, or None."""
    if re.match(r"\w+:", target):
        return None
    name, _, anchor = target.partition("#")
    path = (document.parent / name).resolve() if name else document
    if not path.exists():
        return "there is no such file"
    if anchor and not (path.suffix == ".md" and anchor in anchors(path)):
        return "there is no such heading"
    return symbol_problem(text, path, top)


def links(document: pathlib.Path) -> list[tuple[str, str]]:
    """(text, target) of each link."""
    return LINK.findall(prose(document.read_text()))


def problems(document: pathlib.Path, top: pathlib.Path) -> list[str]:
    """What is wrong with the links of a document."""
    found = (
        (text, target, problem(text, target, document, top)) for text, target in links(document)
    )
    return [f"[{text}]({target}): {wrong}" for text, target, wrong in found if wrong]


@pytest.fixture(name="top")
def fixture_top(tmp_path: pathlib.Path) -> pathlib.Path:
    """A tree with two good documents, and sources."""
    top = tmp_path.resolve()
    (top / "sub").mkdir()
    (top / "sub" / "a.c").write_text(SOURCE)
    (top / "sub" / "c.c").write_text(SOURCE)
    (top / "sub" / "b.md").write_text(OTHER)
    (top / "good.md").write_text(GOOD)
    return top


def test_good_links_are_seen_and_right(top: pathlib.Path) -> None:
    assert len(links(top / "good.md")) == 5
    assert not problems(top / "good.md", top) + problems(top / "sub" / "b.md", top)


@pytest.mark.parametrize("text", BAD)
def test_a_bad_link_is_found(top: pathlib.Path, text: str) -> None:
    (top / "bad.md").write_text(text)
    assert len(problems(top / "bad.md", top)) == 1


@pytest.mark.parametrize("name", [str(path.relative_to(TOP)) for path in DOCUMENTS])
def test_links_lead_somewhere(name: str) -> None:
    assert not problems(TOP / name, TOP)
