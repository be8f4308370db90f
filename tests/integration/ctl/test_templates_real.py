"""usherctl template against a whole Usher: gateway, broker and host, on libvirt's test driver."""
import hashlib
import json
import os
import signal
import subprocess

import pytest

from harness.ctl import Ctl
from harness.idle import idle_libvirt
from harness.stack import Stack
from harness.wait import wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(**idle_libvirt(tmp_path_factory.mktemp("idle"))) as running:
        yield running


@pytest.fixture
def nobody(stack, tmp_path):
    return Ctl(tmp_path, stack)


@pytest.fixture
def admin(nobody):
    nobody.sign_in("admin")
    return nobody


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A raw disk that firmware could boot, most of it random: some megabytes on the wire."""
    path = tmp_path_factory.mktemp("image") / "disk.img"
    data = bytearray(os.urandom(10 * MIB)) + bytes(6 * MIB)
    data[510:512] = b"\x55\xaa"
    path.write_bytes(data)
    return path


def folder_of(path, disk, name, **more):
    """A version's folder as a recipe makes it, around a disk's octets."""
    path.mkdir()
    (path / "disk.qcow2").write_bytes(disk)
    size = json.loads(subprocess.run(["qemu-img", "info", "--output=json", "-U", path / "disk.qcow2"], check=True, capture_output=True).stdout)
    (path / "manifest.json").write_text(json.dumps({
        "name": name, "version": 1, "boot": None, "machine": "pc-q35-7.2", "guest": "linux", "video": "qxl",
        "disk": {"file": "disk.qcow2", "format": "qcow2", "sha256": hashlib.sha256(disk).hexdigest(), "virtual_size": size["virtual-size"]},
        "minimum": {"vcpus": 1, "ram_mib": 64}, "default": {"vcpus": 1, "ram_mib": 64}, "ready": {"rule": "running", "timeout_s": 60},
        "sealed": [], **more}))
    return path


def test_an_image_becomes_desktops(admin, stack, image):
    words = ("template", "import", image, "--name", "office", "--ready", "running", "--ram-mib", 64, "--vcpus", 1, "--note", "the first")
    assert admin(*words, "--publish") == "office/1 is uploaded and published\n"
    assert admin(*words, "--publish") == "office/1 is there already and published\n"
    admin("apply", "-f", "-", text="kind: pool\nname: office\nspec: {display_name: Office, template: office, spares: 1, maximum: 2, vcpus: 1,"
                                   " ram_mib: 64, naming: 'office-{n}'}\n")

    def row():
        line = admin("template", "versions", "office").splitlines()[1].split()
        return line if line[1] == "published" and "kvm1" in line and line[5:6] == ["1"] else None
    wait_until(row, 60, "the host has the version, and a desktop stands on it")
    wait_until(lambda: any(desktop["status"]["state"] == "spare" for desktop in admin.json("get", "desktops")), 60, "a desktop")
    described = admin.json("describe", "template", "office")
    assert [(version["version"], version["state"], version["hosts"]) for version in described["versions"]] == [(1, "published", ["kvm1"])]


def test_publish_rollback_retire(admin, image, tmp_path):
    for note in ("one", "two"):
        admin("template", "import", image, "--name", "turns", "--note", note, "--vcpus", 1 if note == "one" else 2, "--publish")
    assert admin("template", "rollback", "turns") == "turns/1 is published again\n"
    assert admin("template", "retire", "turns", 1, status=1).count("\n") >= 2   # the message, and at least one reason
    assert admin("template", "retire", "turns", 2) == "turns/2 is retired\n"
    assert "retired" in admin("template", "publish", "turns", 2, status=1)
    admin("template", "rollback", "turns", status=1)
    admin("template", "publish", "turns", 77, status=1)
    states = {record["spec"]["version"]: record["status"]["state"] for record in admin.json("template", "versions", "turns")}
    assert states == {1: "published", 2: "retired"}


def test_export_is_what_was_imported(admin, image, tmp_path):
    admin("template", "import", image, "--name", "there")
    admin("template", "export", "there", 1, tmp_path / "out")
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", image, tmp_path / "out/disk.qcow2"], check=True)
    assert admin("template", "import", tmp_path / "out") == "there/1 is there already\n"
    admin.killed("template", "export", "there", 1, tmp_path / "again", fault="ctl.export.piece:5")
    part = tmp_path / "again/.disk.qcow2.part"
    assert 0 < part.stat().st_size < (tmp_path / "out/disk.qcow2").stat().st_size
    admin("template", "export", "there", 1, tmp_path / "again")
    assert "going on at byte" in admin.said
    assert (tmp_path / "again/disk.qcow2").read_bytes() == (tmp_path / "out/disk.qcow2").read_bytes()


@pytest.mark.parametrize("part", ["broker", "gateway"])
def test_an_upload_outlives_broker_and_gateway(admin, stack, image, tmp_path, part):
    stack.daemons[part].kill()
    running = admin.start("template", "import", image, "--name", f"outlives-{part}")
    try:
        said = running.stdout.readline()
        assert "trying again" in said, said
        stack.daemons[part].start()
        assert running.wait(60) == 0, running.stdout.read()
    finally:
        running.stdout.close()
        stack.start_what_is_down()


def test_a_broker_killed_while_it_takes_chunks(admin, stack, image):
    """The chunks go on where the new broker says."""
    for number in range(3):
        running = admin.start("template", "import", image, "--name", f"killed-{number}")
        try:
            wait_until(lambda: stack.rows("select 1 from template_upload") or running.poll() is not None, 30, "the upload has begun", 0.01)
            stack.daemons["broker"].kill()
            stack.daemons["broker"].start()
            assert running.wait(90) == 0, running.stdout.read()
        finally:
            running.stdout.close()
            stack.start_what_is_down()
    assert not stack.rows("select id from template_upload")


def test_ctrl_c_and_on_again(admin, stack, image):
    admin.killed("template", "import", image, "--name", "onward", fault="ctl.upload.chunk:5")
    admin("template", "import", image, "--name", "onward")
    assert "going on at byte 4194304" in admin.said
    running = admin.start("template", "import", image, "--name", "stopped")
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130
    running.stdout.close()
    admin("template", "import", image, "--name", "stopped")


def test_what_the_broker_refuses_says_why(admin, stack, tmp_path):
    subprocess.run("qemu-img create -q -f qcow2 base 1M && qemu-img create -q -f qcow2 -b base -F qcow2 top", shell=True, check=True, cwd=tmp_path)
    folder = folder_of(tmp_path / "v", (tmp_path / "top").read_bytes(), "bad")
    message = admin("template", "import", folder, status=1)
    assert "backing file" in message, message
    admin("template", "versions", "bad", status=1)
    assert not stack.rows("select 1 from template_upload where template = 'bad'")


def test_people_who_may_not_are_told_before_the_work(nobody, image):
    nobody("template", "import", image, "--name", "x", status=2)    # nobody signed in, and no server
    nobody.sign_in("alice")
    message = nobody("template", "import", image, "--name", "x", status=1)
    assert "administrators" in message and "converting" not in message
    nobody("template", "versions", "office", status=1)
