#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make what-is-called-when: lives of a device, traced in two guests just now, written
into docs/what-is-called-when.md as tables and sequence diagrams.

trace_scenarios.sh has what the guests do. What the driver does is known from "ivshmemctl
trace" alone.
"""

import ending

import concurrent.futures
import datetime
import json
import pathlib
import re
import sys
import typing

import archive
import boot
import build
import devices
import kernels
import qemu
import qmp
import run
import sequence_diagram
import settings
import topology
import trace_clocks
import verbs

DOCUMENT = build.TOP / "docs" / "what-is-called-when.md"
SCRIPT = build.TOP / "tests" / "rig" / "trace_scenarios.sh"
COMMAND = "make what-is-called-when"
SECONDS = 120
PINGS = 40
NEAR = 5  # pings on each side of one, which tell its clocks' difference
# Rings through a mapped register are not seen. While a device is plugged in, emulated
# processors have to run in turns: see docs/testing.md.
TOPOLOGY = dict(topology.DEFAULTS, guests="2", size="1M", turns="yes", modargs="map_registers=0")
ERRORS = (
    archive.ArchiveError,
    build.BuildError,
    devices.DeviceError,
    qemu.GuestError,
    qmp.QmpError,
)

# Where an event goes: into the driver, on in it, back to a program, out to the
# hypervisor or in from there.
CALL, INNER, BACK, OUT, IN = range(5)
KINDS = {
    "region_map": INNER,
    "register": INNER,
    "probe": INNER,
    "unregister": INNER,
    "region_unmap": INNER,
    "free": INNER,
    "ring": OUT,
    "interrupt": IN,
    "wake": BACK,
    "wake_any": BACK,
    "eventfd": BACK,
    "wait_end": BACK,
}
LANES = ("host", "QEMU", "kernel", "driver", "program", "shell")


# A line of ivshmemctl trace --json.
Line = dict[str, typing.Any]


class ScenarioError(Exception):
    """A scenario did not go as it should."""


class Event:
    """A line of ivshmemctl trace --json, which is no call of a function."""

    def __init__(self, line: Line, guest: int) -> None:
        self.guest = guest
        self.clock = line["monotonic"]  # in seconds
        self.is_mark = line["event"] == "mark"
        self.name = line["event"].replace("ivshmem_", "", 1)
        self.line = line

    def __getattr__(self, name: str) -> typing.Any:
        return self.line[name]

    @property
    def where(self) -> str:
        return "" if self.is_mark else f"{self.file} {self.function}()"

    @property
    def runs(self) -> str:
        """In what: for people."""
        off = ", interrupts off" if self.interrupts_off else ""
        return f"{self.context}{off}"

    @property
    def tone(self) -> str:
        if self.is_mark:
            return "outside"
        if self.context == "process":
            return "process"
        return "workqueue" if self.context in ("workqueue", "interrupt thread") else "interrupt"

    def _ends(self) -> tuple[str, str]:
        if self.is_mark:
            return self.text.partition(":")[0].split(" > ")
        kind = KINDS.get(self.name, CALL)
        caller = "kernel" if self.tone == "workqueue" else "program"
        return {
            CALL: (caller, "driver"),
            INNER: ("driver", "driver"),
            BACK: ("driver", "program"),
            OUT: ("driver", "QEMU"),
            IN: ("QEMU", "driver"),
        }[kind]

    def step(
        self, zero: float, lane: typing.Callable[["Event", str], str]
    ) -> sequence_diagram.Step:
        """As a step of a diagram, in lanes that lane() names."""
        source, target = (lane(self, end) for end in self._ends())
        words = self.text.partition(": ")[2] if self.is_mark else self.meaning
        return sequence_diagram.Step(
            f"{(self.clock - zero) * 1000:.3f}",
            source,
            target,
            words if self.is_mark else self.name,
            self.where,
            "" if self.is_mark else f"{self.runs}: {words}",
            self.tone,
        )

    def row(self, zero: float, with_guest: bool) -> str:
        """As a row of a table."""
        cells = [f"{(self.clock - zero) * 1000:.3f}"]
        cells += [str(self.guest)] if with_guest else []
        if self.is_mark:
            cells += ["", "", self.text.replace(" > ", " → ", 1), "", ""]
        else:
            cells += [
                self.runs,
                f"`{self.task}-{self.pid}`",
                f"`{self.event}` {self.text}: *{self.meaning}*",
                f"`{self.file}`: `{self.function}()`",
                self.held,
            ]
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def table(events: list[Event], zero: float, with_guest: bool = False) -> str:
    guest = "guest | " if with_guest else ""
    bar = "---|" if with_guest else ""
    return "\n".join(
        [
            f"| ms | {guest}runs in | task | event | where | held |",
            f"|---:|{bar}---|---|---|---|---|",
            *(event.row(zero, with_guest) for event in events),
        ]
    )


def graph(calls: list[Line], zero: float) -> str:
    """The calls of functions, to be unfolded."""
    if not calls:
        return "This kernel shows no calls of functions in an instance of its tracing."
    rows = [
        f"{(line['monotonic'] - zero) * 1000:10.3f}  {line['duration']:>12}  {line['call']}"
        for line in calls
    ]
    return "\n".join(
        [
            "<details><summary>The driver's functions in that time, and how "
            "long each took</summary>",
            "",
            "```",
            f"{'ms':>10}  {'duration':>12}",
            *rows,
            "```",
            "",
            "</details>",
        ]
    )


def picture(name: str) -> pathlib.Path:
    """The file with the diagram of a scenario."""
    return DOCUMENT.with_name(f"{DOCUMENT.stem}-{name}.svg")


def title(name: str) -> str:
    return f"![What calls what, from top to bottom]({picture(name).name})"


class Scenarios:
    def __init__(self, machines: boot.Boot) -> None:
        self.guests = machines.guests
        self.requests = verbs.Verbs(
            machines.guests, machines.devices, [0] * len(machines.guests), SECONDS
        )

    def run(self, index: int, command: str) -> list[str]:
        """Run something in a guest, answer what it asks the host; what it printed."""
        lines: list[str] = []

        def on_line(line: str) -> str | None:
            if line.startswith("@rig "):
                return self.requests.answer(index, line[len("@rig ") :])
            lines.append(line)
            return None

        if self.guests[index].run(command, qemu.patience(SECONDS), on_line):
            raise ScenarioError(f"guest {index}: {command}\n" + "\n".join(lines))
        return lines

    def trace(self, index: int, arguments: str) -> tuple[list[Event], list[Line]]:
        """What a guest saw of a scenario: its events, and calls of functions."""
        self.run(index, f"/tests/trace_scenarios.sh {arguments} 2>&1")
        lines = [
            json.loads(line) for line in self.run(index, "cat /tmp/trace") if line.startswith("{")
        ]
        return (
            [Event(line, index) for line in lines if "event" in line],
            [line for line in lines if "call" in line],
        )

    def alone(self, name: str) -> None:
        """A scenario of one guest."""
        events, calls = self.trace(0, name)
        zero = events[0].clock
        steps = [event.step(zero, lambda _, end: end) for event in events]
        lanes = [
            lane for lane in LANES if any(lane in (step.source, step.target) for step in steps)
        ]
        draw(name, lanes, steps)
        write(name, "\n\n".join([title(name), table(events, zero), graph(calls, zero)]))

    def ring(self) -> None:
        """A ring there and one back: both guests are traced at once."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(self.trace, index, f"ring{index} {PINGS}") for index in (0, 1)]
        failures = [str(job.exception()) for job in jobs if job.exception()]
        if failures:
            raise ScenarioError("\n".join(failures))
        (zero, _), (one, _) = (job.result() for job in jobs)
        write_ring(zero, one)


def write_ring(zero: list[Event], one: list[Event]) -> None:
    """A ring from guest 0 to guest 1 and one back, from what each has seen."""
    every = trace_clocks.exchanges(zero, one)
    chosen = [each for each in every if each.slept(zero, one)]
    if not chosen:
        raise ScenarioError("no ping found the other side asleep")
    best = min(chosen, key=lambda each: each.seconds)
    low, high = ahead(every, best)
    events = merge(zero, one, best, (low + high) / 2)
    begin = best.ring.clock
    lanes = [
        "program in guest 0",
        "driver in guest 0",
        "QEMU",
        "driver in guest 1",
        "program in guest 1",
    ]
    draw(
        "ring",
        lanes,
        [
            event.step(
                begin, lambda event, end: end if end == "QEMU" else f"{end} in guest {event.guest}"
            )
            for event in events
        ],
    )
    write(
        "ring",
        "\n\n".join(
            [
                title("ring"),
                f"This is the fastest of {len(chosen)} such exchanges. Guest 1's clock was "
                f"{trace_clocks.difference(low, high)}; the middle of that is taken, so its times "
                f"are right to {(high - low) * 500:.3f} ms.",
                table(events, begin, True),
            ]
        ),
    )


def ahead(every: list[trace_clocks.Exchange], best: trace_clocks.Exchange) -> tuple[float, float]:
    """By how much guest 1's clock is ahead around one exchange, at least and at most."""
    index = every.index(best)
    low, high = trace_clocks.ahead(every[max(index - NEAR, 0) : index + NEAR + 1])
    if low > high:
        raise ScenarioError(
            "the clocks of the guests run apart: " f"{low:.6f} to {high:.6f} seconds"
        )
    return low, high


def merge(
    zero: list[Event], one: list[Event], exchange: trace_clocks.Exchange, lead: float
) -> list[Event]:
    """All events of an exchange, by guest 0's clock: from where guest 1 falls asleep to
    where guest 0 is awake again."""
    asleep = max(
        event.clock
        for event in one
        if event.name == "wait_begin" and event.clock < exchange.heard.clock
    )
    awake = min(
        event.clock
        for event in zero
        if event.name == "wait_end" and event.clock > exchange.end.clock
    )
    events = trace_clocks.between(zero, exchange.ring.clock, awake)
    there = trace_clocks.between(one, asleep, exchange.answer.clock)
    for event in there:
        event.clock -= lead
    return sorted([*events, *there], key=lambda event: event.clock)


def draw(name: str, lanes: list[str], steps: list[sequence_diagram.Step]) -> None:
    path = picture(name)
    path.write_text(sequence_diagram.draw(lanes, steps))
    print(f"# wrote {path.relative_to(build.TOP)}", flush=True)


def marks(name: str) -> tuple[str, str]:
    """What the generated text of a scenario stands between."""
    return f"<!-- {name}: written by {COMMAND} -->", f"<!-- {name}: end -->"


def write(name: str, text: str) -> None:
    """Put a generated text into the document, in place of the one that is there."""
    begin, end = (re.escape(mark) for mark in marks(name))
    old = DOCUMENT.read_text()
    new, count = re.subn(f"(?s)(?<={begin}\n).*?(?={end})", lambda _: f"\n{text}\n\n", old)
    if count != 1:
        raise ScenarioError(f"{DOCUMENT.name} has no marks for {name}")
    DOCUMENT.write_text(new)


def start() -> tuple[boot.Setup, boot.Boot]:
    """Build what is needed and boot; the machines and what they were built for."""
    kernel = kernels.find(settings.get("KERNEL") or kernels.DEFAULT)
    build.targets(["build/ivshmem-server"])
    setup = run.setup_for(kernel, [])
    setup.programs["tests/trace_scenarios.sh"] = SCRIPT
    return setup, boot.start(setup, topology.Topology(**TOPOLOGY), [])


def emulator(machines: boot.Boot) -> str:
    version = machines.guests[0].qmp.command("query-version")["qemu"]
    return f"QEMU {version['major']}.{version['minor']}.{version['micro']}"


def main() -> int:
    settings.parse(__doc__, settings.MACHINE)
    setup = machines = None
    try:
        setup, machines = start()
        scenarios = Scenarios(machines)
        write(
            "machine",
            f"Traced on {datetime.date.today().isoformat()} in guests with "
            f"Linux {setup.kernel.release}, {emulator(machines)} with "
            f"{setup.accel.upper()}.",
        )
        scenarios.ring()
        for name in ("probe", "open", "unplug"):
            scenarios.alone(name)
        return 0
    except (ScenarioError, *ERRORS) as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 1
    finally:
        if machines:
            machines.stop()
        if setup:
            setup.close()


if __name__ == "__main__":
    ending.run(main)
