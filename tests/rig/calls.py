#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make what-is-called-when: lives of a device, traced in two guests just now, written
into docs/what-is-called-when.md as tables and sequence diagrams.

calls.sh has what the guests do. What the driver does is known from "ivshmemctl
trace" alone.
"""

import datetime
import json
import re
import sys
import threading

import archive
import boot
import build
import devices
import kernels
import qemu
import qmp
import run
import sequence
import settings
import topology
import verbs

DOCUMENT = build.TOP / "docs" / "what-is-called-when.md"
SCRIPT = build.TOP / "tests" / "rig" / "calls.sh"
COMMAND = "make what-is-called-when"
SECONDS = 120
PINGS = 40
NEAR = 5                # pings on each side of one, which tell its clocks' difference
# Rings through a mapped register are not seen. While a device is plugged in, emulated
# processors have to run in turns: see docs/testing.md.
TOPOLOGY = dict(topology.DEFAULTS, guests="2", size="1M", turns="yes",
                modargs="map_registers=0")
ERRORS = (archive.ArchiveError, build.BuildError, devices.DeviceError, qemu.GuestError,
          qmp.QmpError)

# Where an event goes: into the driver, on in it, back to a program, out to the
# hypervisor or in from there.
CALL, INNER, BACK, OUT, IN = range(5)
KINDS = {"region_map": INNER, "register": INNER, "probe": INNER, "unregister": INNER,
         "region_unmap": INNER, "free": INNER, "ring": OUT, "interrupt": IN,
         "wake": BACK, "wake_any": BACK, "eventfd": BACK, "wait_end": BACK}
LANES = ("host", "QEMU", "kernel", "driver", "program", "shell")


class CallsError(Exception):
    """A story did not go as it should."""


class Event:
    """A line of ivshmemctl trace --json, which is no call of a function."""

    def __init__(self, line, guest):
        self.guest = guest
        self.clock = line["monotonic"]          # in seconds
        self.is_mark = line["event"] == "mark"
        self.name = line["event"].replace("ivshmem_", "", 1)
        self.line = line

    def __getattr__(self, name):
        return self.line[name]

    @property
    def where(self):
        return "" if self.is_mark else f"{self.file} {self.function}()"

    @property
    def runs(self):
        """In what: for people."""
        off = ", interrupts off" if self.interrupts_off else ""
        return f"{self.context}{off}"

    @property
    def tone(self):
        if self.is_mark:
            return "outside"
        if self.context == "process":
            return "process"
        return "workqueue" if self.context in ("workqueue", "interrupt thread") else \
            "interrupt"

    def _ends(self):
        if self.is_mark:
            return self.text.partition(":")[0].split(" > ")
        kind = KINDS.get(self.name, CALL)
        caller = "kernel" if self.tone == "workqueue" else "program"
        return {CALL: (caller, "driver"), INNER: ("driver", "driver"),
                BACK: ("driver", "program"), OUT: ("driver", "QEMU"),
                IN: ("QEMU", "driver")}[kind]

    def step(self, zero, lane):
        """As a step of a diagram, in lanes that lane() names."""
        source, target = (lane(self, end) for end in self._ends())
        words = self.text.partition(": ")[2] if self.is_mark else self.meaning
        return sequence.Step(f"{(self.clock - zero) * 1000:.3f}", source, target,
                             words if self.is_mark else self.name, self.where,
                             "" if self.is_mark else f"{self.runs}: {words}", self.tone)

    def row(self, zero, with_guest):
        """As a row of a table."""
        cells = [f"{(self.clock - zero) * 1000:.3f}"]
        cells += [str(self.guest)] if with_guest else []
        if self.is_mark:
            cells += ["", "", self.text.replace(" > ", " → ", 1), "", ""]
        else:
            cells += [self.runs, f"`{self.task}-{self.pid}`",
                      f"`{self.event}` {self.text}: *{self.meaning}*",
                      f"`{self.file}`: `{self.function}()`", self.held]
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def table(events, zero, with_guest=False):
    guest = "guest | " if with_guest else ""
    bar = "---|" if with_guest else ""
    return "\n".join([
        f"| ms | {guest}runs in | task | event | where | held |",
        f"|---:|{bar}---|---|---|---|---|",
        *(event.row(zero, with_guest) for event in events)])


def graph(calls, zero):
    """The calls of functions, to be unfolded."""
    if not calls:
        return "This kernel shows no calls of functions in an instance of its tracing."
    rows = [f"{(line['monotonic'] - zero) * 1000:10.3f}  {line['duration']:>12}  {line['call']}"
            for line in calls]
    return "\n".join(["<details><summary>The driver's functions in that time, and how "
                      "long each took</summary>", "", "```",
                      f"{'ms':>10}  {'duration':>12}", *rows, "```", "", "</details>"])


def picture(name):
    """The file with the diagram of a story."""
    return DOCUMENT.with_name(f"{DOCUMENT.stem}-{name}.svg")


def title(name):
    return f"![What calls what, from top to bottom]({picture(name).name})"


class Stories:
    def __init__(self, machines):
        self.guests = machines.guests
        self.requests = verbs.Verbs(machines.guests, machines.devices,
                                    [0] * len(machines.guests), SECONDS)

    def run(self, index, command):
        """Run something in a guest, answer what it asks the host; what it printed."""
        lines = []

        def on_line(line):
            if line.startswith("@rig "):
                return self.requests.answer(index, line[len("@rig "):])
            lines.append(line)
            return None

        if self.guests[index].run(command, qemu.patience(SECONDS), on_line):
            raise CallsError(f"guest {index}: {command}\n" + "\n".join(lines))
        return lines

    def trace(self, index, arguments):
        """What a guest saw of a story: its events, and calls of functions."""
        self.run(index, f"/tests/calls.sh {arguments} 2>&1")
        lines = [json.loads(line) for line in self.run(index, "cat /tmp/trace")
                 if line.startswith("{")]
        return ([Event(line, index) for line in lines if "event" in line],
                [line for line in lines if "call" in line])

    def alone(self, name):
        """A story of one guest."""
        events, calls = self.trace(0, name)
        zero = events[0].clock
        steps = [event.step(zero, lambda _, end: end) for event in events]
        lanes = [lane for lane in LANES
                 if any(lane in (step.source, step.target) for step in steps)]
        draw(name, lanes, steps)
        write(name, "\n\n".join([title(name), table(events, zero), graph(calls, zero)]))

    def ring(self):
        """A ring there and one back: both guests are traced at once."""
        traces = [None, None]

        def work(index):
            try:
                traces[index] = self.trace(index, f"ring{index} {PINGS}")[0]
            except (CallsError, qemu.GuestError) as error:
                traces[index] = error

        threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        failures = [str(trace) for trace in traces if isinstance(trace, Exception)]
        if failures:
            raise CallsError("\n".join(failures))
        write_ring(*traces)


class Exchange:
    """One ring from guest 0 to guest 1 and the one back."""

    def __init__(self, ring, heard, answer, end):
        self.ring, self.heard, self.answer, self.end = ring, heard, answer, end

    @property
    def seconds(self):
        return self.end.clock - self.ring.clock

    def slept(self, zero, one):
        """Did both sides sleep until they were woken?"""
        return any(event.name == "wake" and self.ring.clock < event.clock <
                   self.end.clock + 0.01 for event in zero) and \
            any(event.name == "wake" and self.heard.clock < event.clock <
                self.answer.clock for event in one)


def exchanges(zero, one):
    """Those of a trace, counted from its end: in the beginning one may ring before
    the other listens."""
    def named(events, name):
        return reversed([event for event in events if event.name == name])

    return [Exchange(*events) for events in reversed(list(zip(
        named(zero, "ring"), named(one, "interrupt"), named(one, "ring"),
        named(zero, "interrupt"))))]


def clocks(near):
    """By how much guest 1's clock is ahead of guest 0's, at least and at most: no
    doorbell comes in before it was rung."""
    low = max(each.answer.clock - each.end.clock for each in near)
    high = min(each.heard.clock - each.ring.clock for each in near)
    if low > high:
        raise CallsError("the clocks of the guests run apart: "
                         f"{low:.6f} to {high:.6f} seconds")
    return low, high


def between(events, start, end):
    return [event for event in events if start <= event.clock <= end]


def difference(low, high):
    """In words, by how much guest 1's clock is ahead of guest 0's."""
    if low < 0 and high < 0:
        low, high, word = -high, -low, "behind"
    else:
        word = "ahead of"
    return f"between {low * 1000:.3f} and {high * 1000:.3f} ms {word} guest 0's"


def write_ring(zero, one):
    every = exchanges(zero, one)
    chosen = [each for each in every if each.slept(zero, one)]
    if not chosen:
        raise CallsError("no ping found the other side asleep")
    best = min(chosen, key=lambda each: each.seconds)
    place = every.index(best)
    low, high = clocks(every[max(place - NEAR, 0):place + NEAR + 1])
    asleep = max(event.clock for event in one if event.name == "wait_begin" and
                 event.clock < best.heard.clock)
    awake = min(event.clock for event in zero if event.name == "wait_end" and
                event.clock > best.end.clock)
    events = between(zero, best.ring.clock, awake)
    there = between(one, asleep, best.answer.clock)
    for event in there:
        event.clock -= (low + high) / 2
    events = sorted([*events, *there], key=lambda event: event.clock)

    lanes = ["program in guest 0", "driver in guest 0", "QEMU", "driver in guest 1",
             "program in guest 1"]
    begin = best.ring.clock
    draw("ring", lanes, [
        event.step(begin, lambda event, end: end if end == "QEMU" else
                   f"{end} in guest {event.guest}") for event in events])
    write("ring", "\n\n".join([
        title("ring"),
        f"This is the fastest of {len(chosen)} such exchanges. Guest 1's clock was "
        f"{difference(low, high)}; the middle of that is taken, so its times are right to "
        f"{(high - low) * 500:.3f} ms.", table(events, begin, True)]))


def draw(name, lanes, steps):
    path = picture(name)
    path.write_text(sequence.draw(lanes, steps))
    print(f"# wrote {path.relative_to(build.TOP)}", flush=True)


def marks(name):
    """What the generated text of a story stands between."""
    return f"<!-- {name}: written by {COMMAND} -->", f"<!-- {name}: end -->"


def write(name, text):
    """Put a generated text into the document, in place of the one that is there."""
    begin, end = map(re.escape, marks(name))
    old = DOCUMENT.read_text()
    new, count = re.subn(f"(?s)({begin}\n).*?({end})",
                         lambda found: f"{found[1]}\n{text}\n\n{found[2]}", old)
    if count != 1:
        raise CallsError(f"{DOCUMENT.name} has no marks for {name}")
    DOCUMENT.write_text(new)


def start():
    """Build what is needed and boot; the machines and what they were built for."""
    kernel = kernels.find(settings.get("KERNEL") or kernels.DEFAULT)
    build.targets(["build/ivshmem-server"])
    setup = run.setup_for(kernel, [])
    setup.programs["tests/calls.sh"] = SCRIPT
    return setup, boot.start(setup, topology.Topology(**TOPOLOGY), [])


def emulator(machines):
    version = machines.guests[0].qmp.command("query-version")["qemu"]
    return f"QEMU {version['major']}.{version['minor']}.{version['micro']}"


def main():
    settings.parse(__doc__, settings.MACHINE)
    setup = machines = None
    try:
        setup, machines = start()
        stories = Stories(machines)
        write("machine", f"Traced on {datetime.date.today().isoformat()} in guests with "
              f"Linux {setup.kernel.release}, {emulator(machines)} with "
              f"{setup.accel.upper()}.")
        stories.ring()
        for name in ("probe", "open", "unplug"):
            stories.alone(name)
        return 0
    except (CallsError, *ERRORS) as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if machines:
            machines.stop()
        if setup:
            setup.close()


if __name__ == "__main__":
    sys.exit(main())
