#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The links of all documents lead somewhere: to a file, to a heading in it, and to
the symbol that the link names:

    [`src/core/module.c`: `ivshmem_init()`](../src/core/module.c)

Comments in C do not count, so that a symbol that is gone is not found in the text
that tells of it. Documents that are wrong in each of these ways are found as such.
"""

import pathlib
import re
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]

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


def prose(text):
    """A document without what it shows as code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"^(    |\t).*$", "", text, flags=re.M)


def anchors(path):
    """What a document's headings are called in links."""
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(path.read_text()), re.M):
        plain = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        count = sum(
            re.fullmatch(re.escape(plain) + r"(-\d+)?", name) is not None for name in found
        )
        found.add(f"{plain}-{count}" if count else plain)
    return found


def code(path):
    """A source without its comments."""
    text = path.read_text()
    if path.suffix in (".c", ".h"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    return text


def symbol_problem(text, path, top):
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


def problem(text, target, document, top):
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


def check_document(document, top):
    """(the number of links, what is wrong with them)"""
    links = LINK.findall(prose(document.read_text()))
    found = ((text, target, problem(text, target, document, top)) for text, target in links)
    return len(links), [f"[{text}]({target}): {wrong}" for text, target, wrong in found if wrong]


def find_bad(top):
    """What is wrong with this test itself."""
    (top / "sub").mkdir()
    (top / "sub" / "a.c").write_text(SOURCE)
    (top / "sub" / "c.c").write_text(SOURCE)
    (top / "sub" / "b.md").write_text(OTHER)
    (top / "good.md").write_text(GOOD)
    yield from (
        f"refused: {found}"
        for name in ("good.md", "sub/b.md")
        for found in check_document(top / name, top)[1]
    )
    if check_document(top / "good.md", top)[0] != 5:
        yield "not all links were seen"
    for text in BAD:
        (top / "bad.md").write_text(text)
        if len(check_document(top / "bad.md", top)[1]) != 1:
            yield f"not found: {text}"


def main():
    with tempfile.TemporaryDirectory() as name:
        results = [
            (
                "bad links are found, good ones are not",
                list(find_bad(pathlib.Path(name).resolve())),
            )
        ]
    for document in [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").rglob("*.md"))]:
        count, wrong = check_document(document, TOP)
        results.append((f"{document.relative_to(TOP)}: {count} links", wrong))
    for number, (name, wrong) in enumerate(results, 1):
        print(
            *(f"# {line}" for line in wrong),
            f"{'not ' if wrong else ''}ok {number} - {name}",
            sep="\n",
        )
    print(f"1..{len(results)}")
    return any(wrong for _, wrong in results)


if __name__ == "__main__":
    sys.exit(main())
