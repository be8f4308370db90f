"""The harness's own parts against the real programs: PostgreSQL, QEMU's SPICE server, certificates."""
import subprocess

import pytest

from harness import spice
from harness.net import accepts, free_port
from harness.pki import Pki
from harness.postgres import PrivatePostgres
from harness.wait import TooLate, wait_until


def test_postgres_keeps_what_was_committed_when_killed():
    with PrivatePostgres() as postgres:
        postgres.query("create table t (x int); insert into t values (7)")
        postgres.kill()
        postgres.start()
        assert postgres.query("select x from t") == [["7"]]


@pytest.fixture
def desktop():
    """(address, password) of a QEMU that stands before any guest."""
    address = ("127.0.0.1", free_port())
    qemu = subprocess.Popen(["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", "64", "-nodefaults", "-device", "qxl-vga",
                             "-object", "secret,id=ticket,data=secret-of-the-vm", "-display", "none", "-spice",
                             f"addr={address[0]},port={address[1]},password-secret=ticket"])
    try:
        wait_until(lambda: accepts(address), 30, "QEMU's SPICE server listens")
        yield address, "secret-of-the-vm"
    finally:
        qemu.kill()
        qemu.wait()


def test_a_spice_session_is_held_and_asked(desktop):
    address, password = desktop
    with spice.Session(address, password) as session:
        assert session.alive() and session.alive()
        assert not session.wait_closed(0.5)


def test_a_wrong_ticket_is_refused(desktop):
    address, _ = desktop
    with pytest.raises(spice.LinkRefused) as refused:
        spice.Session(address, "wrong")
    assert refused.value.code == spice.LINK_PERMISSION_DENIED


def test_certificates_are_good_for_localhost(tmp_path):
    pki = Pki(tmp_path / "pki")
    certificate, _ = pki.issue("gateway")
    subprocess.run(["openssl", "verify", "-CAfile", pki.ca, "-verify_hostname", "localhost", certificate], check=True)


def test_waiting_has_an_end():
    with pytest.raises(TooLate, match="the moon"):
        wait_until(lambda: None, 0.2, "the moon")
