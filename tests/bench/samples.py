# SPDX-License-Identifier: GPL-2.0-only
"""How the bench measures: the ways of one thing take turns, again and again."""

import collections
import statistics
import time
import typing

import machines

# {label: {what a command printed: values}}
Samples = dict[str, dict[str, list[float]]]
REPETITIONS = 7


def interleaved(
    guests: machines.Programs,
    plan: dict[str, str],
    repetitions: int = REPETITIONS,
    seconds: float = 60,
) -> Samples:
    """Run all commands of a plan {label: command} in turn, again and again. Gives
    {label: {what the command printed: values}}."""
    samples: Samples = {label: collections.defaultdict(list) for label in plan}
    for _ in range(repetitions):
        for label, command in plan.items():
            for key, value in guests.measure(command, seconds).items():
                samples[label][key].append(value)
    return samples


def best(
    samples: Samples, labels: typing.Iterable[str], key: str, pick: typing.Callable[..., str] = min
) -> tuple[str, list[float]]:
    """Of some labels the one with the best median, and its values."""
    label = pick(labels, key=lambda label: statistics.median(samples[label][key]))
    return label, samples[label][key]


def command(program: str, way: str, *numbers: int) -> str:
    """A way may have an argument, which comes last."""
    name, *argument = way.split()
    return " ".join([program, name, *map(str, numbers), *argument])


def say(text: str) -> None:
    print(f"# {time.strftime('%H:%M:%S')} {text}", flush=True)
