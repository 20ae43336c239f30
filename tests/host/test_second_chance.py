# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of a guest test that fails, with guests that are made up."""

import pathlib
import types
import typing

import pytest

import boot
import kernels
import run
import second_chance
import selection
import tap
import topology

HERE = pathlib.Path()
KERNEL = kernels.Kernel("6.12", "amd64", "6.12.1", HERE, HERE, HERE)
WATCHING = KERNEL._replace(instruments=("KCOV",))
# What each run of each test gives.
Script = dict[str, list[list[tap.Point]]]
GOOD = tap.Point(True, "one", None, [])
BAD = tap.Point(False, "two", None, ["because"])
SKIPPED = tap.Point(True, "two", "no reason", [])


class FakeGuests:
    """Guests in which each test ends as the next line of a script says."""

    def __init__(self, script: Script, started: list["FakeGuests"]) -> None:
        self.script = script
        started.append(self)
        self.tests: list[str] = []

    def run(self, test: selection.Test, writer: tap.Sink) -> bool:
        self.tests.append(test.name)
        points = self.script[test.name].pop(0)
        for point in points:
            writer.point(test.name, point)
        return all(point.passed for point in points)

    def log(self) -> list[str]:
        return [f"log of {self.tests}"]

    def finish(self, name: str, writer: tap.Sink) -> None:
        """Nothing was found."""

    def stop(self) -> None:
        """Nothing to do."""


class Result(typing.NamedTuple):
    status: int
    output: str
    boots: list[list[str]]  # the tests that each of the guests ran


class Suite:
    """Runs the tests of a script."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.monkeypatch = monkeypatch
        self.directory = tmp_path / "flaky"
        self.capsys = capsys

    def run(self, script: Script, kernel: kernels.Kernel = KERNEL) -> Result:
        started: list[FakeGuests] = []
        self.monkeypatch.setattr(boot, "start", lambda *_: FakeGuests(script, started))
        writer = tap.Writer()
        chances = second_chance.SecondChances(writer, self.directory)
        wanted = topology.Topology()
        # Nothing else of it is looked at.
        setup = typing.cast(boot.Setup, types.SimpleNamespace(kernel=kernel))
        tests = [selection.Test(pathlib.Path(name), wanted, 60, None) for name in script]
        run.run_groups(setup, {wanted: tests}, writer, chances)
        chances.finish()
        status = writer.finish()
        return Result(status, self.capsys.readouterr().out, [each.tests for each in started])


@pytest.fixture(name="suite")
def fixture_suite(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> Suite:
    return Suite(monkeypatch, tmp_path, capsys)


def test_good_tests_share_a_boot(suite: Suite) -> None:
    status, output, boots = suite.run({"a": [[GOOD]], "b": [[GOOD]]})
    assert status == 0 and "2 passed, 0 failed" in output and boots == [["a", "b"]]


def test_a_test_that_passes_alone_is_flaky(suite: Suite, tmp_path: pathlib.Path) -> None:
    status, output, boots = suite.run({"a": [[GOOD, BAD], [GOOD, GOOD]], "b": [[GOOD]]})
    assert status == 0 and "3 passed, 0 failed, 0 skipped" in output
    assert "not ok" not in output and "# flaky: a: a: two" in output
    assert boots == [["a"], ["a"], ["b"]] or boots == [["a"], ["b"], ["a"]]
    failed = (tmp_path / "flaky/a-failed.log").read_text()
    assert "not ok - a: two\n#   because" in failed and "log of" in failed
    assert "not ok" not in (tmp_path / "flaky/a-passed.log").read_text()


def test_a_test_that_fails_twice_has_failed(suite: Suite) -> None:
    status, output, _ = suite.run({"a": [[GOOD, BAD], [BAD]]})
    assert status == 1 and "1 passed, 1 failed" in output and "# flaky" not in output
    assert output.count("not ok") == 1 and "1..2\n# failed: a: two\n#   because\n1 p" in output


def test_what_explains_a_failure_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    outer, reader = tap.Writer(), tap.Relay()
    inner = ["ok 1 - one", "not ok 2 - two", "#   because", "# note", "ok 3 - three", "1..3"]
    for line in inner:
        outer.take("part", reader, line)
    assert outer.finish() == 1
    assert "# failed: part: two\n#   because\n2 passed" in capsys.readouterr().out


def test_a_skip_takes_no_failure_back(suite: Suite) -> None:
    status, output, _ = suite.run({"a": [[BAD], [SKIPPED]]})
    assert status == 1 and "0 passed, 1 failed" in output


@pytest.mark.parametrize("count, status", [(2, 0), (3, 1)])
def test_too_many_flaky_tests_fail(suite: Suite, count: int, status: int) -> None:
    found, output, _ = suite.run({str(number): [[BAD], [GOOD]] for number in range(count)})
    assert found == status and output.count("# flaky: ") == count
    assert f"{count} passed, {status} failed" in output


def test_a_kernel_that_watches_gives_no_second_chance(suite: Suite) -> None:
    status, output, boots = suite.run({"a": [[BAD]]}, WATCHING)
    assert status == 1 and boots == [["a"]]
