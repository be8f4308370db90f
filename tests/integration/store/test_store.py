"""The store against a real PostgreSQL: one fresh database for each test of store-test (see main.c)."""
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(SOURCE / "tests"))

from harness.postgres import PrivatePostgres  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("USHER_BUILD", SOURCE / "build")) / "tests/integration/store/store-test"
NAMES = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="module")
def postgres():
    with PrivatePostgres() as server:
        server.run_file(SOURCE / "broker/store/roles.sql")
        server.run_file(SOURCE / "broker/store/roles.sql")  # may be run again
        yield server


@pytest.mark.parametrize("name", NAMES)
def test_store(postgres, name):
    postgres.query("DROP DATABASE usher WITH (FORCE)")
    postgres.run_file(SOURCE / "broker/store/roles.sql")
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT", USHER_TEST_OWNER=postgres.conninfo("usher", "usher_owner"),
                       USHER_TEST_BROKER=postgres.conninfo("usher", "usher_broker"),
                       USHER_TEST_SUPER=postgres.conninfo("usher"))
    does = {"@kill": postgres.kill, "@start": postgres.start}
    said = []
    with subprocess.Popen([PROGRAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment) as program:
        for line in program.stdout:
            said.append(line)
            if line.strip() in does:
                does[line.strip()]()
                program.stdin.write("done\n")
                program.stdin.flush()
        assert program.wait(60) == 0, "".join(said)
    assert any(f"OK ] {name}" in line for line in said), "".join(said)
