"""The program that makes a fork a machine of its own, here below a folder: it writes what it was told and nothing else."""
import base64
import json
import subprocess

import pytest

from harness.stack import BUILD

ID = "0123456789abcdef0123456789abcdef"


def document(**members):
    return {"hostname": "office-7", "machine_id": ID, "user": "alice", "time": 1790000000.25,
            "seed": base64.b64encode(bytes(64)).decode(), **members}


def identity(root, told):
    return subprocess.run([BUILD / "usher-guest-identity", "--root", root], input=told, capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path):
    for name in ("etc/ssh", "etc/ssl/private", "usr/sbin", "run", "var/lib/dbus"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "usr/sbin/sshd").touch()
    (tmp_path / "etc/hostname").write_text("parent\n")
    (tmp_path / "etc/machine-id").write_text("f" * 32 + "\n")
    (tmp_path / "etc/ssh/ssh_host_rsa_key").write_text("shared")
    (tmp_path / "etc/ssh/ssh_host_rsa_key.pub").write_text("shared")
    (tmp_path / "etc/ssl/private/ssl-cert-snakeoil.key").write_text("shared")
    return tmp_path


def test_it_writes_what_it_was_told(root):
    answer = identity(root, json.dumps(document(user="Zoë \"z\"")))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert (root / "etc/hostname").read_text() == "office-7\n"
    assert (root / "etc/machine-id").read_text() == ID + "\n"
    assert json.loads((root / "run/usher/identity").read_text()) == {
        "hostname": "office-7", "machine_id": ID, "user": "Zoë \"z\"", "time": 1790000000.25}
    assert (root / "var/lib/usher/identity-of").read_text() == "office-7\n"
    assert sorted(path.name for path in root.rglob("*.usher-new")) == []


def test_the_user_alone_may_be_told_later(root):
    assert identity(root, json.dumps(document(user=""))).returncode == 0
    key = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
    answer = identity(root, '{"user": "bob"}')
    assert (answer.returncode, answer.stderr) == (0, "")
    record = json.loads((root / "run/usher/identity").read_text())
    assert (record["hostname"], record["machine_id"], record["user"]) == ("office-7", ID, "bob")
    assert (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text() == key
    (root / "etc/machine-id").unlink()
    answer = identity(root, '{"user": "bob"}')
    assert answer.returncode == 1 and "/etc/machine-id" in answer.stderr


def test_shared_keys_are_gone_and_a_new_one_is_there(root):
    assert identity(root, json.dumps(document())).returncode == 0
    first = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
    assert sorted(path.name for path in (root / "etc/ssh").iterdir()) == ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]
    assert (root / "etc/ssh/ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert list((root / "etc/ssl/private").iterdir()) == []
    shown = subprocess.run(["ssh-keygen", "-y", "-f", root / "etc/ssh/ssh_host_ed25519_key"], capture_output=True, text=True, check=True)
    assert shown.stdout == first
    assert identity(root, json.dumps(document())).returncode == 0
    assert (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text() != first


def test_without_a_server_there_is_no_key(root):
    (root / "usr/sbin/sshd").unlink()
    assert identity(root, json.dumps(document())).returncode == 0
    assert list((root / "etc/ssh").iterdir()) == []


@pytest.mark.parametrize("told, says", [
    ("", "not a JSON object"),
    (json.dumps(document(hostname="a b")), "hostname: must be"),
    (json.dumps(document(machine_id="x")), "machine_id: must be"),
    (json.dumps(document(time="now")), "time: must be"),
    (json.dumps(document(seed="AA==")), "seed: must be"),
    (json.dumps({"hostname": "a"}), "machine_id: is missing"),
    (" " * 9000, "more than 8192 octets"),
])
def test_what_is_wrong_is_named_and_nothing_is_touched(root, told, says):
    answer = identity(root, told)
    assert answer.returncode == 1
    assert says in answer.stderr
    assert (root / "etc/hostname").read_text() == "parent\n"
    assert (root / "etc/ssh/ssh_host_rsa_key").exists()


def test_a_file_that_cannot_be_written_is_a_failure_and_the_rest_is_done(root):
    (root / "etc/machine-id").unlink()
    (root / "etc/machine-id").mkdir()
    (root / "etc/machine-id/x").touch()
    answer = identity(root, json.dumps(document()))
    assert answer.returncode == 1
    assert "/etc/machine-id" in answer.stderr
    assert (root / "etc/hostname").read_text() == "office-7\n"
