"""What a test leaves behind is found and ended."""
import os
import pathlib
import subprocess
import uuid

TOP = pathlib.Path(__file__).resolve().parents[3]


def look(tmp_path, marker):
    before = tmp_path / "before"
    subprocess.run([TOP / "tests/run-leftovers", "--begin", "--before", before], check=True)
    return subprocess.run([TOP / "tests/run-leftovers", "--end", "--before", before, "--marker", marker, "--directory",
                           f"/nonexistent/{marker}"], capture_output=True, text=True, check=False)


def test_nothing(tmp_path):
    done = look(tmp_path, uuid.uuid4().hex)
    assert done.returncode == 0 and done.stdout.count("\nok ") == 3


def test_a_process_is_found_by_its_environment_and_ended(tmp_path):
    marker = uuid.uuid4().hex
    left = subprocess.Popen(["sleep", "60"], env=dict(os.environ, USHER_CHECK_RUN=marker), start_new_session=True)
    done = look(tmp_path, marker)
    assert done.returncode == 1 and f"# left: {left.pid} sleep 60" in done.stdout
    assert left.wait(5) < 0


def test_a_process_is_found_by_its_directory(tmp_path):
    left = subprocess.Popen(["sleep", "60"], cwd=tmp_path, start_new_session=True)
    done = subprocess.run([TOP / "tests/run-leftovers", "--end", "--before", tmp_path / "none", "--marker", uuid.uuid4().hex,
                           "--directory", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "sleep 60" in done.stdout
    assert left.wait(5) < 0
