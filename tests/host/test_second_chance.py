# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of a guest test that fails, with guests that are made up."""

import collections
import types

import pytest

import boot
import run
import second_chance
import tap

KERNEL = types.SimpleNamespace(instruments=())
TEST = collections.namedtuple("Test", "name")
GOOD = tap.Point(True, "one", None, [])
BAD = tap.Point(False, "two", None, ["because"])
SKIPPED = tap.Point(True, "two", "no reason", [])


class FakeGuests:
    """Guests in which each test ends as the next line of a script says."""

    def __init__(self, script, started):
        self.script = script
        started.append(self)
        self.tests = []

    def run(self, test, writer):
        self.tests.append(test.name)
        points = self.script[test.name].pop(0)
        for point in points:
            writer.point(test.name, point)
        return all(point.passed for point in points)

    def log(self):
        return [f"log of {self.tests}"]

    def finish(self, name, writer):
        """Nothing was found."""

    def stop(self):
        """Nothing to do."""


@pytest.fixture(name="suite")
def fixture_suite(monkeypatch, tmp_path, capsys):
    def suite(script, kernel=KERNEL):
        """Run the tests of a script: (exit status, output, the guests that were booted)."""
        started = []
        monkeypatch.setattr(boot, "start", lambda *_: FakeGuests(script, started))
        writer = tap.Writer()
        chances = second_chance.SecondChances(writer, tmp_path / "flaky")
        run.run_group(
            types.SimpleNamespace(kernel=kernel),
            None,
            [TEST(name) for name in script],
            writer,
            chances,
        )
        chances.finish()
        return writer.finish(), capsys.readouterr().out, [each.tests for each in started]

    return suite


def test_good_tests_share_a_boot(suite):
    status, output, boots = suite({"a": [[GOOD]], "b": [[GOOD]]})
    assert status == 0 and "2 passed, 0 failed" in output and boots == [["a", "b"]]


def test_a_test_that_passes_alone_is_flaky(suite, tmp_path):
    status, output, boots = suite({"a": [[GOOD, BAD], [GOOD, GOOD]], "b": [[GOOD]]})
    assert status == 0 and "3 passed, 0 failed, 0 skipped" in output
    assert "not ok" not in output and "# flaky: a: a: two" in output
    assert boots == [["a"], ["a"], ["b"]] or boots == [["a"], ["b"], ["a"]]
    failed = (tmp_path / "flaky/a-failed.log").read_text()
    assert "not ok - a: two\n#   because" in failed and "log of" in failed
    assert "not ok" not in (tmp_path / "flaky/a-passed.log").read_text()


def test_a_test_that_fails_twice_has_failed(suite):
    status, output, _ = suite({"a": [[GOOD, BAD], [BAD]]})
    assert status == 1 and "1 passed, 1 failed" in output and "# flaky" not in output
    assert output.count("not ok") == 1


def test_a_skip_takes_no_failure_back(suite):
    status, output, _ = suite({"a": [[BAD], [SKIPPED]]})
    assert status == 1 and "0 passed, 1 failed" in output


@pytest.mark.parametrize("count, status", [(2, 0), (3, 1)])
def test_too_many_flaky_tests_fail(suite, count, status):
    found, output, _ = suite({str(number): [[BAD], [GOOD]] for number in range(count)})
    assert found == status and output.count("# flaky: ") == count
    assert f"{count} passed, {status} failed" in output


def test_a_kernel_that_watches_gives_no_second_chance(suite):
    status, output, boots = suite({"a": [[BAD]]}, types.SimpleNamespace(instruments=("KCOV",)))
    assert status == 1 and boots == [["a"]]
