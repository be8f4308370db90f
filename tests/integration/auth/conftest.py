"""Asking a directory through the broker's own code: see ask.c."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(SOURCE / "tests"))

from harness.slapd import PrivateSlapd  # noqa: E402

BUILD = pathlib.Path(os.environ.get("USHER_BUILD", SOURCE / "build"))


class Asker:
    """One process with `threads` handles, kept between questions as the broker keeps its workers."""

    def __init__(self, path, settings, threads=1):
        path.write_text(settings)
        self.threads = threads
        self.process = subprocess.Popen(
            [BUILD / "tests/integration/auth/ask", path, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def all(self, *words):
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        return [json.loads(self.process.stdout.readline()) for _ in range(self.threads)]

    def __call__(self, *words):
        return self.all(*words)[0]

    def sign_in(self, user, password=None):
        return self("sign-in", user, f"{user}-demo" if password is None else password)

    def close(self):
        """Ends it and returns what it logged; it must end by itself and well."""
        _, log = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, log
        return log


@pytest.fixture
def ask(tmp_path):
    """Makes askers: ask(settings text, threads=1)."""
    made = []

    def make(settings, threads=1):
        made.append(Asker(tmp_path / f"{len(made)}.conf", settings, threads))
        return made[-1]

    yield make
    for one in made:
        if one.process.returncode is None:
            one.close()


@pytest.fixture(scope="module")
def slapd():
    """One for the tests that leave it as it is."""
    with PrivateSlapd(tls=True) as server:
        yield server


@pytest.fixture
def own_slapd():
    """One to kill."""
    with PrivateSlapd(tls=True) as server:
        yield server
