# SPDX-License-Identifier: GPL-2.0-only
"""A plugin of pytest that prints TAP: a point for each test, after what explains it."""

import pytest

COUNT = 0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Failed assertions ask for this, which is pytest's terminal's."""
    parser.addoption("--verbose", type=int, default=0)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    global COUNT
    if report.when != "call" and report.passed:
        return
    COUNT += 1
    # A # would begin a directive.
    name = report.nodeid.partition("::")[2].removeprefix("test_").replace("#", "")
    name = name.replace("_", " ")
    for line in report.capstdout.splitlines():
        print(f"# {line}")
    if report.failed:
        print(report.longreprtext)
    skip = f" # SKIP {report.longrepr[2]}" if isinstance(report.longrepr, tuple) else ""
    print(f"{'not ' if report.failed else ''}ok {COUNT} - {name}{skip}", flush=True)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        print(f"{report.longreprtext}\nBail out! {report.nodeid} cannot be read", flush=True)


def pytest_sessionfinish() -> None:
    print(f"1..{COUNT}", flush=True)
