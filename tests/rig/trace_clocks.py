# SPDX-License-Identifier: GPL-2.0-only
"""The clocks of two guests: pings there and back tell by how much they differ."""

import typing


class Event(typing.Protocol):
    name: str
    clock: float


E = typing.TypeVar("E", bound=Event)


class Exchange:
    """One ring from guest 0 to guest 1 and the one back."""

    def __init__(self, ring: Event, heard: Event, answer: Event, end: Event) -> None:
        self.ring, self.heard, self.answer, self.end = ring, heard, answer, end

    @property
    def seconds(self) -> float:
        return self.end.clock - self.ring.clock

    def slept(self, zero: typing.Iterable[Event], one: typing.Iterable[Event]) -> bool:
        """Did both sides sleep until they were woken?"""
        return any(
            event.name == "wake" and self.ring.clock < event.clock < self.end.clock + 0.01
            for event in zero
        ) and any(
            event.name == "wake" and self.heard.clock < event.clock < self.answer.clock
            for event in one
        )


def exchanges(zero: typing.Iterable[Event], one: typing.Iterable[Event]) -> list[Exchange]:
    """Those of a trace, counted from its end: in the beginning one may ring before
    the other listens."""

    def named(events: typing.Iterable[Event], name: str) -> typing.Iterator[Event]:
        return reversed([event for event in events if event.name == name])

    return [
        Exchange(*events)
        for events in reversed(
            list(
                zip(
                    named(zero, "ring"),
                    named(one, "interrupt"),
                    named(one, "ring"),
                    named(zero, "interrupt"),
                )
            )
        )
    ]


def ahead(near: list[Exchange]) -> tuple[float, float]:
    """By how much guest 1's clock is ahead of guest 0's, at least and at most: no
    doorbell comes in before it was rung."""
    return (
        max(each.answer.clock - each.end.clock for each in near),
        min(each.heard.clock - each.ring.clock for each in near),
    )


def between(events: typing.Iterable[E], start: float, end: float) -> list[E]:
    return [event for event in events if start <= event.clock <= end]


def difference(low: float, high: float) -> str:
    """In words, by how much guest 1's clock is ahead of guest 0's."""
    if low < 0 and high < 0:
        low, high, word = -high, -low, "behind"
    else:
        word = "ahead of"
    return f"between {low * 1000:.3f} and {high * 1000:.3f} ms {word} guest 0's"
