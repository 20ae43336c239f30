# SPDX-License-Identifier: GPL-2.0-only
"""A sequence diagram as SVG: who does what to whom, from top to bottom."""

import html
import typing


class Step(typing.NamedTuple):
    """A step from one lane to another, or in one lane if both are the same."""

    when: str
    source: str
    target: str
    name: str
    where: str
    how: str
    tone: str  # one of TONES


# Each context has a colour of its own. All on white, whatever is around it.
TONES = {
    "process": "#1f5fa8",
    "workqueue": "#2e7d32",
    "interrupt": "#b3261e",
    "outside": "#555555",
}
LEGEND = {
    "process": "in a process",
    "workqueue": "in a workqueue or thread of the kernel",
    "interrupt": "in an interrupt handler",
    "outside": "a mark of who ran this",
}
INK, FAINT = "#1a1a1a", "#b0b0b0"
TIME, LANE, ROW, HEAD = 96, 176, 42, 64
STYLE = (
    """text { font: 13px sans-serif; fill: %s }
.m { font: 12px monospace } .s { font-size: 11px; fill: #555 } .b { font-weight: bold }
.t { font: 12px monospace; text-anchor: end } .c { text-anchor: middle }"""
    % INK
)


class Drawing:
    def __init__(self, width: int, height: int) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}">',
            f"<style>{STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
        ]

    def line(self, x1: float, y1: float, x2: float, y2: float, color: str, more: str = "") -> None:
        self.parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" ' f'stroke="{color}" {more}/>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, color: str, fill: str = "#fff"
    ) -> None:
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" '
            f'rx="4" fill="{fill}" stroke="{color}" stroke-width="1.5"/>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "", more: str = "") -> None:
        self.parts.append(
            f'<text class="{kind}" x="{x}" y="{y}" {more}>'
            f"{html.escape(text, quote=False)}</text>"
        )

    def arrow(self, x1: float, x2: float, y: float, color: str) -> None:
        """With a white halo: it may cross other lanes."""
        tip = 9 if x2 > x1 else -9
        self.line(x1, y, x2 - tip / 2, y, color, 'stroke-width="1.8"')
        self.parts.append(f'<path d="M{x2} {y} l{-tip} -5 v10 z" fill="{color}"/>')

    def label(self, x: float, y: float, text: str, color: str) -> None:
        """A name in the middle of something, readable over a line."""
        width = 7.3 * len(text) + 6
        self.parts.append(
            f'<rect x="{x - width / 2:.0f}" y="{y - 11}" '
            f'width="{width:.0f}" height="14" fill="#fff"/>'
        )
        self.text(x, y, text, "m b c", f'style="fill:{color}"')

    def finish(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def _draw_step(drawing: Drawing, step: Step, row: int, place: dict[str, int]) -> None:
    y = HEAD + ROW * row + 30
    color = TONES[step.tone]
    source, target = place[step.source], place[step.target]
    drawing.text(TIME - 12, y + 4, step.when, "t")
    if source == target:
        width = 7.3 * len(step.name) + 16
        drawing.box(source - width / 2, y - 12, width, 23, color)
        drawing.text(source, y + 4, step.name, "m b c", f'style="fill:{color}"')
    else:
        drawing.arrow(source, target, y + 5, color)
        drawing.label((source + target) / 2, y - 2, step.name, color)
    x = TIME + LANE * len(place) + 8
    drawing.text(x, y - 2, step.where, "m")
    drawing.text(x, y + 13, step.how, "s")


def draw(lanes: typing.Sequence[str], steps: typing.Sequence[Step]) -> str:
    """The SVG of some steps, top down. Each lane is named once."""
    place = {lane: TIME + LANE * index + LANE // 2 for index, lane in enumerate(lanes)}
    bottom = HEAD + ROW * len(steps) + 24
    text = max(max(8 * len(step.where), 6.4 * len(step.how)) for step in steps)
    drawing = Drawing(TIME + LANE * len(lanes) + int(text) + 24, bottom + 34)
    for lane, x in place.items():
        drawing.line(x, HEAD - 14, x, bottom, FAINT, 'stroke-dasharray="4 4"')
        drawing.box(x - LANE // 2 + 10, 16, LANE - 20, HEAD - 30, INK, "#f2f2f2")
        drawing.text(x, 38, lane, "b c")
    drawing.text(TIME - 12, 38, "ms", "t")
    for row, step in enumerate(steps):
        _draw_step(drawing, step, row, place)
    x = TIME
    for tone, color in TONES.items():
        if any(step.tone == tone for step in steps):
            drawing.box(x, bottom + 6, 14, 14, color, color)
            drawing.text(x + 20, bottom + 18, LEGEND[tone])
            x += 44 + 7 * len(LEGEND[tone])
    return drawing.finish()
