"""What every recipe gets from templates/lib/recipe.sh, tried with one that makes next to nothing."""
import json
import os
import shutil
import signal
import subprocess

import pytest

from harness.stack import SOURCE
from harness.wait import wait_until

RECIPE = """#!/bin/bash
set -euo pipefail
recipe_root=$(realpath -- "$(dirname -- "$0")/..")
recipe_options="little"
. "$recipe_root/lib/recipe.sh"
recipe_begin little "$recipe_root/little" "$recipe_root/guest" "$recipe_root/seal" "$recipe_root/lib" -- "$@"
phase "a root"
root=$recipe_work/root
mkdir -p "$root"/{etc,var/log,root,home}
echo built > "$root/var/log/build.log"
install_guest "$root"
SECOND
phase "sealing"
seal "$root"
test -x "$root/usr/lib/usher/identity" && test -x "$root/usr/lib/usher/data-disk"
echo disk > "$recipe_work/version/disk.qcow2"
jq -n --argjson sealed "$recipe_sealed" '{sealed: $sealed}' > "$recipe_work/version/manifest.json"
recipe_finish
"""


@pytest.fixture
def little(tmp_path):
    """Writes the recipe with this in its middle."""
    top = tmp_path / "source"
    shutil.copytree(SOURCE / "templates", top / "templates")
    (top / "templates/little").mkdir()
    script = top / "templates/little/build"

    def write(second=":"):
        script.write_text(RECIPE.replace("SECOND", second))
        script.chmod(0o755)
        return script
    return write


def run(script, out, *options):
    return subprocess.run([script, out, *options], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def versions(out):
    return sorted(path.name for path in (out / "little").iterdir()) if (out / "little").exists() else []


def leftovers(out):
    return [path.name for path in out.iterdir() if path.name.startswith(".building")]


def test_a_version_is_made_once_and_a_changed_recipe_makes_the_next(little, tmp_path):
    out = tmp_path / "out"
    made = run(little(), out)
    assert made.returncode == 0, made.stderr
    assert [line.split(": ")[1] for line in made.stdout.splitlines()][:2] == ["a root", "sealing"]
    assert "machine-id" in json.loads((out / "little/1/manifest.json").read_text())["sealed"]
    again = run(little(), out)
    assert (again.returncode, again.stdout) == (0, "little/1 is built already\n")
    assert run(little(), out, "--rebuild").returncode == 0
    assert run(little("# changed"), out).returncode == 0
    assert versions(out) == ["1", "2", "3"]
    assert leftovers(out) == []


def test_a_changed_guest_program_makes_the_next_version(little, tmp_path):
    out = tmp_path / "out"
    script = little()
    assert run(script, out).returncode == 0
    with open(script.parent.parent / "guest/identity-later", "a", encoding="utf-8") as file:
        file.write("# more\n")
    assert run(script, out).returncode == 0
    assert versions(out) == ["1", "2"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_it_is_interrupted(little, tmp_path, number):
    out = tmp_path / "out"
    process = subprocess.Popen([little("touch \"$recipe_out/there\"; sleep 60 & wait"), out], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    wait_until((out / "there").exists, 30, "it is in the middle")
    assert leftovers(out) != []
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert (versions(out), leftovers(out)) == ([], [])


def test_what_was_left_by_one_that_was_killed_goes_with_the_next(little, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([little("touch \"$recipe_out/there\"; sleep 60"), out], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               start_new_session=True)
    wait_until((out / "there").exists, 30, "it is in the middle")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert leftovers(out) != []
    assert run(little(), out).returncode == 0
    assert (versions(out), leftovers(out)) == (["1"], [])


def test_it_fails_when_sealing_leaves_something(little, tmp_path):
    out = tmp_path / "out"
    made = run(little("echo 'root:$6$salt$hash:19000:0:99999:7:::' > \"$root/etc/shadow\""), out)
    assert made.returncode == 1
    assert "sealing left this:\naccounts: etc/shadow: root has a password" in made.stderr
    assert (versions(out), leftovers(out)) == ([], [])
