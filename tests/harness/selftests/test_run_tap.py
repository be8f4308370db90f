"""The counter counts: what fails, is skipped, dies, hangs or says nothing can't pass."""
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[3]


def run_tap(tmp_path, script, *options):
    tally = tmp_path / "tally"
    tally.unlink(missing_ok=True)
    done = subprocess.run([TOP / "tests/run-tap", "--part", "p", "--name", "n", "--tally", tally, "--log", tmp_path / "log", *options,
                           "--", "bash", "-c", script], capture_output=True, text=True, check=False)
    lines = tally.read_text().splitlines()
    passed = sum(line.startswith("pass\t") for line in lines)
    assert done.returncode == (0 if passed == len(lines) else 1)
    return passed, len(lines) - passed, done.stdout


@pytest.mark.parametrize("script, passed, failed", [
    ("echo 1..2; echo ok 1 - a; echo ok 2 - b", 2, 0),
    ("echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1", 1, 1),
    ("echo 1..3; echo ok 1 - a; kill -SEGV $$", 1, 3),
    ("echo 1..1; echo 'ok 1 - a # SKIP no such thing'", 0, 1),
    ("echo 1..1; echo 'not ok 1 - a # TODO later'", 0, 1),
    ("echo 1..1; echo 'ok 1 - handles # signs'", 1, 0),
    ("echo nothing", 0, 1),
    ("echo 1..1; echo ok 1 - a; exit 3", 1, 1),
    ("echo 1..1; echo ok 1 - a; echo 1..1; echo ok 1 - b", 2, 0),
    ("echo '    ok 1 - inner'; echo '    1..1'; echo 'ok 1 - outer'; echo 1..1", 1, 0),
    ("echo '    not ok 1 - inner'; echo '    1..1'; echo 'not ok 1 - outer'; echo 1..1; exit 1", 0, 1),
    ("echo '    ok 1 - inner'; echo '    1..1'; echo 'not ok 1 - outer (hook)'; echo 1..1; exit 1", 1, 1),
])
def test_counting(tmp_path, script, passed, failed):
    assert run_tap(tmp_path, script)[:2] == (passed, failed)


def test_a_program_that_hangs_is_ended(tmp_path):
    passed, failed, output = run_tap(tmp_path, "echo 1..2; echo ok 1 - a; sleep 60 & sleep 60", "--timeout", "1")
    assert (passed, failed) == (1, 2) and "still running after 1.0 s" in output


def test_plain_is_one_case_and_shows_the_end_of_the_output(tmp_path):
    assert run_tap(tmp_path, "true", "--plain")[:2] == (1, 0)
    passed, failed, output = run_tap(tmp_path, "echo the reason; false", "--plain")
    assert (passed, failed) == (0, 1) and "| the reason" in output


def test_pytest_tells_tap(tmp_path):
    (tmp_path / "test_x.py").write_text(
        "import pytest, time\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "def test_skipped(): pytest.skip('why')\n"
        "@pytest.mark.limit(0.3)\n"
        "def test_late(): time.sleep(20)\n"
        "@pytest.fixture\n"
        "def broken(): raise RuntimeError\n"
        "def test_set_up(broken): pass\n")
    passed, failed, output = run_tap(tmp_path, f"PYTHONPATH={TOP}/tests /usr/bin/python3 -m pytest -q --tb=no -rN -p no:cacheprovider "
                                               f"-p harness.pytest_tap {tmp_path}")
    assert (passed, failed) == (1, 4)
    assert "still running after 0.3 s" in (tmp_path / "log").read_text()
