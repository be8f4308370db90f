"""Parents and forks on real QEMU: what a fork is, and what it cannot reach. test_clone_points.py and test_clone_kills.py kill who makes them."""
import base64
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import uuid

import pytest

from clones import KEY, Lab, Refused
from harness.libvirt import PrivateLibvirt
from harness.wait import wait_until

F_GET_SEALS, ALL_SEALS = 1034, 0b1111
GOLDEN_FD = 200


@pytest.fixture(scope="module")
def libvirt():
    with PrivateLibvirt(network=True) as running:
        yield running


@pytest.fixture(scope="module")
def frozen(libvirt):
    """A lab with a parent that can be forked."""
    lab = Lab(libvirt).start()
    try:
        lab.make_parent()
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def lab(frozen):
    """As `frozen`, with a driver that runs and no desktops."""
    if frozen.driver is None or frozen.driver.poll() is not None:
        frozen.start()
    if frozen.stages() == ["saved"]:
        frozen.do(f"load {KEY}")
    yield frozen
    for name in frozen.libvirt.virsh("list", "--all", "--name").split():
        frozen.libvirt.virsh("destroy", name, check=False)
        frozen.libvirt.virsh("undefine", name, check=False)
    shutil.rmtree(frozen.state / "desktops", ignore_errors=True)


def golden(lab, desktop):
    return f"/proc/{lab.qemu(desktop)}/fd/{GOLDEN_FD}"


def checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.blake2b(file.read()).hexdigest()


# -- what a parent is ---------------------------------------------------------------------------------


def test_a_frozen_parent(lab):
    assert lab.stages() == ["loaded"]
    assert not lab.libvirt.qemu_pids()
    folder = lab.state / "parents/tiny-1-1-192"
    assert {path.name for path in folder.iterdir()} >= {"parent.json", "state", "ram"}
    base, = (lab.state / "bases").iterdir()
    found = base.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o444)
    for name in ("state", "ram", "parent.json"):
        found = (folder / name).stat()
        assert (found.st_uid, found.st_mode & 0o077) == (0, 0), name
    assert (folder / "ram").stat().st_size == 192 << 20
    assert (lab.state / "golden.sock").stat().st_mode & 0o777 == 0o600


# -- what a fork is -----------------------------------------------------------------------------------


@pytest.mark.limit(120)
def test_forks_are_desktops_of_their_own(lab):
    desktops = lab.fork("office-1", "office-2", "office-3")
    macs = set()
    for name, desktop in desktops.items():
        assert lab.host_name(desktop) == name
        facts = lab.do(f"look {desktop}")
        assert (facts["state"], facts["ready"], facts["forking"], facts["start"]) == ("running", True, False, 1)
        live = lab.virsh("dumpxml", desktop)
        macs |= set(re.findall(r"mac address='([0-9a-f:]+)'", live))
        assert "<memballoon model='none'/>" in live
        cold = lab.virsh("dumpxml", desktop, "--inactive")
        assert "qemu:commandline" not in cold and "usher-run" not in cold
        disk = lab.state / "desktops" / desktop / "disk.qcow2"
        subprocess.run(["qemu-img", "check", "-q", "-U", disk], check=True)
        chain = json.loads(subprocess.run(["qemu-img", "info", "-U", "--backing-chain", "--output=json", disk], check=True,
                                          capture_output=True).stdout)
        assert [pathlib.Path(link["filename"]).parent.name for link in chain] == [desktop, "bases", "1"]
    assert len(macs) == 3
    lab.remove(*desktops.values())


@pytest.mark.limit(120)
def test_a_fork_that_ended_starts_cold_from_its_own_disk(lab):
    desktop = lab.fork("office-4")["office-4"]
    lab.do(f"destroy {desktop}")
    assert lab.do(f"look {desktop}")["state"] == "off"
    lab.do(f"start {desktop}")
    wait_until(lambda: lab.do(f"ping {desktop}")["answers"], 60, "it answers", 0.5)
    assert lab.host_name(desktop) == "office-4"
    serial = lab.state / "desktops" / desktop / "serial.log"
    # The parent's boot was the first of this disk.
    wait_until(lambda: "boot 2" in serial.read_text(errors="replace"), 60, "it boots its own disk")
    with pytest.raises(Refused) as refused:
        lab.do(f"elastic {desktop}")
    assert refused.value.code == "missing"
    lab.remove(desktop)


@pytest.mark.limit(180)
@pytest.mark.parametrize("how", ["reset", "reboot"])
def test_a_fork_restarts_as_itself(lab, how):
    desktop = lab.fork("office-14")["office-14"]
    pid, serial = lab.qemu(desktop), lab.state / "desktops" / desktop / "serial.log"
    lab.do(f"{how} {desktop}")
    wait_until(lambda: "office-14 is up" in serial.read_text(errors="replace"), 120, "it boots again", 0.5)
    wait_until(lambda: lab.do(f"ping {desktop}")["answers"], 60, "it answers", 0.5)
    assert lab.host_name(desktop) == "office-14"
    assert lab.qemu(desktop) == pid, "the same machine"
    lab.remove(desktop)


@pytest.mark.limit(120)
def test_memory_grows_and_shrinks(lab):
    desktop = lab.fork("office-5")["office-5"]

    def available():
        return int(re.search(r"MemTotal:\s+(\d+) kB", execute(lab, desktop, "cat", "/proc/meminfo"))[1]) // 1024

    before = available()
    assert lab.do(f"elastic {desktop} 256")["maximum"] == 640
    wait_until(lambda: lab.do(f"elastic {desktop}")["actual"] == 256, 60, "it grows", 0.5)
    wait_until(lambda: available() > before + 200, 30, "the guest has it", 0.5)
    lab.do(f"elastic {desktop} 0")
    wait_until(lambda: lab.do(f"elastic {desktop}")["actual"] == 0, 60, "it gives it back", 0.5)
    with pytest.raises(Refused) as refused:
        lab.do(f"elastic {desktop} 641")
    assert refused.value.code == "invalid"
    lab.remove(desktop)


def execute(lab, desktop, *command):
    pid = lab.agent(desktop, "guest-exec", path=command[0], arg=list(command[1:]), **{"capture-output": True})["pid"]
    ended = wait_until(lambda: (lambda status: status if status["exited"] else None)(lab.agent(desktop, "guest-exec-status", pid=pid)),
                       30, f"{command} ends")
    return base64.b64decode(ended.get("out-data", "")).decode()


# -- what a fork cannot reach -------------------------------------------------------------------------


@pytest.mark.limit(120)
def test_golden_ram_cannot_be_changed(lab):
    first, second = lab.fork("office-6", "office-7").values()
    path = golden(lab, first)
    before = checksum(path)
    for flags in (os.O_RDWR, os.O_WRONLY):
        fd = os.open(path, flags)
        assert fcntl.fcntl(fd, F_GET_SEALS) == ALL_SEALS
        for act in (lambda: os.pwrite(fd, b"x", 0), lambda: os.ftruncate(fd, 0), lambda: fallocate_hole(fd)):
            with pytest.raises(OSError) as problem:
                act()
            assert problem.value.errno == errno.EPERM
        os.close(fd)
    # By QEMU's own means: there is no balloon that could be blown up, also when asked past libvirt.
    answer = json.loads(lab.virsh("qemu-monitor-command", first, json.dumps({"execute": "balloon", "arguments": {"value": 64 << 20}})))
    assert answer["error"]["class"] == "DeviceNotActive"
    execute(lab, first, "sh", "-c", "head -c 10000000 /dev/urandom > /run/dirt; sync")
    os.kill(lab.qemu(second), 9)
    assert checksum(path) == before
    third = lab.fork("office-8")["office-8"]
    assert checksum(golden(lab, third)) == before
    lab.remove(first, second, third)


def fallocate_hole(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096)) < 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def _refusal(lab, file):
    """What the emulator said when the domain `intruder` was not started: libvirt's log has it even where libvirt's own message
    is that the monitor's socket refused it, as it is when the program ends between its check of the two."""
    tried = lab.libvirt.run(["virsh", "-c", lab.libvirt.uri, "create", str(file)], check=False, capture_output=True, text=True)
    assert tried.returncode != 0
    log = lab.libvirt.run(["cat", "/var/log/libvirt/qemu/intruder.log"], check=False, capture_output=True, text=True).stdout
    return log.rpartition("starting up")[2]


@pytest.mark.limit(120)
def test_ram_is_given_for_announced_starts_only(lab):
    desktop = lab.fork("office-9")["office-9"]
    live = re.sub(r"<uuid>.*?</uuid>", f"<uuid>{uuid.uuid4()}</uuid>", lab.virsh("dumpxml", desktop)).replace(
        f"usher-{desktop}", "intruder", 1)
    file = lab.root / "intruder.xml"
    file.write_text(re.sub(r"<(disk|interface|serial|console) .*?</\1>", "", live, flags=re.S))
    assert "no start of this domain was announced" in _refusal(lab, file)
    lab.end()  # nobody is there to ask
    assert "the host daemon is not there" in _refusal(lab, file)
    lab.start()
    lab.remove(desktop)


# -- restarts and losses ------------------------------------------------------------------------------


@pytest.mark.limit(120)
def test_a_new_daemon_loads_what_was_frozen(lab):
    desktop = lab.fork("office-10")["office-10"]
    before = checksum(golden(lab, desktop))
    lab.kill()
    lab.start()
    assert lab.stages() == ["saved"]
    with pytest.raises(Refused):
        lab.do(f"fork {uuid.uuid4()} office-11 {KEY}")
    lab.do(f"load {KEY}")
    assert lab.stages() == ["loaded"]
    assert lab.host_name(desktop) == "office-10", "it did not notice"
    other = lab.fork("office-11")["office-11"]
    assert checksum(golden(lab, other)) == before
    lab.remove(desktop, other)


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", ["ram", "state", "base", "parent.json"])
def test_a_damaged_parent_is_not_loaded(lab, name):
    lab.end()
    folder = lab.state / "parents/tiny-1-1-192"
    path, = (lab.state / "bases").iterdir() if name == "base" else [folder / name]
    mode, bytes_ = path.stat().st_mode, path.read_bytes()
    spot = next(i for i in range(len(bytes_) // 2, len(bytes_)) if bytes_[i] not in b"\0") if name != "parent.json" else 5
    path.chmod(0o600)
    path.write_bytes(bytes_[:spot] + bytes([bytes_[spot] ^ 0x55]) + bytes_[spot + 1:])
    lab.start()
    try:
        with pytest.raises(Refused) as refused:
            lab.do(f"load {KEY}")
        assert refused.value.code == "invalid" and "broken parent" in str(refused.value)
        assert lab.stages() == ["saved"]
    finally:
        path.write_bytes(bytes_)
        path.chmod(mode)
    lab.do(f"load {KEY}")


@pytest.mark.limit(240)
def test_the_disk_outlives_the_parent(lab):
    desktop = lab.fork("office-12")["office-12"]
    base, = (lab.state / "bases").iterdir()
    lab.do(f"retire {KEY}")
    assert lab.stages() == []
    assert base.exists()
    assert lab.host_name(desktop) == "office-12"
    lab.do(f"destroy {desktop}")
    lab.do(f"start {desktop}")
    wait_until(lambda: lab.do(f"ping {desktop}")["answers"], 60, "it starts from its disk", 0.5)
    lab.make_parent()
    other = lab.fork("office-13")["office-13"]
    lab.remove(desktop)
    lab.do("collect")
    assert not base.exists()
    assert len(list((lab.state / "bases").iterdir())) == 1
    lab.remove(other)
