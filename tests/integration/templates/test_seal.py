"""Sealing takes out of a root what two machines may not share; the check finds each thing that was left, and fails by it."""
import os
import subprocess

import pytest

from harness.stack import SOURCE

SEAL = SOURCE / "templates/seal"

# What a machine leaves behind: file, what is in it, the step that takes it out.
LEFT = [
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n", "machine-id"),
    ("var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n", "machine-id"),
    ("var/lib/usher/identity-of", "builder\n", "machine-id"),
    ("etc/hostname", "builder\n", "host-name"),
    ("etc/ssh/ssh_host_rsa_key", "secret", "ssh-host-keys"),
    ("etc/ssh/ssh_host_ed25519_key.pub", "public", "ssh-host-keys"),
    ("etc/xrdp/rsakeys.ini", "[keys]", "rdp-keys"),
    ("etc/ssl/private/ssl-cert-snakeoil.key", "secret", "rdp-keys"),
    ("var/lib/dhcp/dhclient.eth0.leases", "lease {}", "leases"),
    ("var/lib/NetworkManager/timestamps", "", "leases"),
    ("var/lib/systemd/network/lease", "x", "leases"),
    ("var/lib/systemd/random-seed", "x" * 512, "random-seed"),
    ("var/log/auth.log", "Accepted password for builder", "logs"),
    ("var/log/journal/0123/system.journal", "x", "logs"),
    ("root/.bash_history", "rm -rf", "history"),
    ("root/.python_history", "import os", "history"),
    ("home/user/.bash_history", "secret", "history"),
    ("home/user/.Xauthority", "cookie", "history"),
    ("home/user/.cache/thumbnails/1.png", "x", "history"),
    ("home/user/.ssh/id_ed25519", "secret", "history"),
    ("var/cache/apt/archives/x.deb", "x", "apt-caches"),
    ("tmp/build.log", "x", "temporary-files"),
    ("var/tmp/x", "", "temporary-files"),
    ("var/mail/root", "From:", "mail"),
    ("var/spool/cron/crontabs/builder", "* * * * * x", "mail"),
]


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


def put(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path):
    """A root with nothing in it that had to go."""
    put(tmp_path, "etc/passwd", "root:x:0:0:root,,,:/root:/bin/bash\nuser:x:1000:1000:Desktop user:/srv/user:/bin/bash\n")
    put(tmp_path, "etc/shadow", "root:*:19000:0:99999:7:::\nuser:!:19000:0:99999:7:::\n")
    put(tmp_path, "etc/group", "root:x:0:\nsudo:x:27:\nuser:x:1000:\n")
    put(tmp_path, "etc/machine-id", "")
    put(tmp_path, "home/user/.bashrc", "PS1=")
    put(tmp_path, "var/log/wtmp", "")
    for name in ("tmp", "run", "root"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_sealed_root_passes(root):
    checked = run(SEAL / "check", root)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize("name, text, step", LEFT, ids=[entry[0] for entry in LEFT])
def test_each_leftover_is_found_and_taken_out(root, name, text, step):
    put(root, name, text)
    found = run(SEAL / "check", root)
    assert found.returncode == 1
    assert found.stdout.startswith(f"{step}: "), found.stdout
    assert step in run(SEAL / "run", root).stdout.split()
    assert run(SEAL / "check", root).stdout == ""
    assert (root / "home/user/.bashrc").read_text() == "PS1="


def test_an_account_with_a_password_is_found_and_its_builder_removed(root):
    put(root, "etc/passwd", (root / "etc/passwd").read_text() + "builder:x:1001:1001:B,,,:/srv/builder:/bin/bash\n")
    put(root, "etc/shadow", (root / "etc/shadow").read_text() + "builder:$6$salt$hash:19000:0:99999:7:::\n")
    put(root, "etc/group", "root:x:0:\nsudo:x:27:other,builder,last\nadm:x:4:builder\nbuilders:x:9:builder,a\n")
    put(root, "etc/sudoers.d/builder", "builder ALL=(ALL) NOPASSWD: ALL\n")
    put(root, "home/builder/notes", "x")
    found = run(SEAL / "check", root)
    assert found.returncode == 1
    assert found.stdout.splitlines() == ["accounts: etc/shadow: builder has a password", "accounts: etc/sudoers.d/builder"]
    assert "accounts" in run(SEAL / "run", root, "builder").stdout.split()
    assert run(SEAL / "check", root).returncode == 0
    assert not (root / "home/builder").exists()
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:root,,,:/root")
    assert "builder" not in (root / "etc/passwd").read_text()
    assert (root / "etc/group").read_text() == "root:x:0:\nsudo:x:27:other,last\nadm:x:4:\nbuilders:x:9:a\n"


def test_an_authorized_key_is_found(root):
    put(root, "root/.ssh/authorized_keys", "ssh-ed25519 AAAA builder")
    assert "accounts: root/.ssh/authorized_keys" in run(SEAL / "check", root).stdout


def test_the_running_system_and_a_folder_that_is_none_are_refused(tmp_path):
    assert run(SEAL / "run", "/").returncode == 1
    assert run(SEAL / "run", tmp_path).returncode == 1
    assert run(SEAL / "check", tmp_path).returncode == 2
    assert run(SEAL / "check", tmp_path / "none").returncode == 2
    assert os.path.exists("/etc/passwd")


def clone(folder, name, machine_id, key):
    put(folder, "etc/hostname", f"{name}\n")
    put(folder, "etc/machine-id", f"{machine_id}\n")
    put(folder, "etc/ssh/ssh_host_ed25519_key.pub", f"ssh-ed25519 {key} root@{name}\n")
    return folder


def test_two_mounted_clones_are_compared(tmp_path):
    one = clone(tmp_path / "one", "office-1", "1" * 32, "AAAA1")
    two = clone(tmp_path / "two", "office-2", "2" * 32, "AAAA2")
    same = clone(tmp_path / "same", "office-3", "1" * 32, "AAAA2")
    answer = run(SEAL / "check", "clones", one, two)
    assert (answer.returncode, answer.stdout) == (0, "different: hostname machine-id ssh-key\n")
    answer = run(SEAL / "check", "clones", one, same)
    assert (answer.returncode, answer.stdout) == (1, f"both have machine-id {'1' * 32}\n")
    answer = run(SEAL / "check", "clones", two, same)
    assert (answer.returncode, answer.stdout) == (1, "both have ssh-key ssh-ed25519 AAAA2\n")


def test_what_cannot_be_found_out_is_not_different(tmp_path):
    one = clone(tmp_path / "one", "office-1", "1" * 32, "AAAA1")
    two = put(tmp_path, "two/etc/hostname", "office-2\n").parent.parent
    answer = run(SEAL / "check", "clones", one, two)
    assert answer.returncode == 2
    assert "no machine-id" in answer.stderr
