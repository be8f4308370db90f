"""A desktop's life on a host, with real libvirt, QEMU and a guest; the broker is a fake that says what is wanted."""
import os
import signal
import time

import pytest

from harness.spice import Session
from harness.wait import wait_until
from rig import new_id

SECRET = "s" * 43


def console(revision, secret=SECRET, seconds=300):
    return {"revision": revision, "secret": secret, "valid_until": int(time.time()) + seconds}


@pytest.mark.limit(300)
def test_a_whole_life(host):
    desktop = new_id()
    host.broker.want(desktop, "office-1")
    host.wait_state(desktop, "creating starting")
    seen = host.wait_state(desktop, "ready failed")
    assert (seen["state"], seen["starts"]) == ("ready", 1)
    assert wait_until(lambda: host.boots(desktop)[1], 30, "the guest has said who it is") == 1
    assert host.boots(desktop)[0] == "office-1"

    at = host.console(desktop)
    assert at["host"] == "127.0.0.1" and at["port"] > 0
    assert not host.lets_in(desktop, SECRET), "before a secret is set nobody gets in"
    assert not host.lets_in(desktop, ""), "nor without one"
    host.broker.change(desktop, console=console(1))
    host.wait_state(desktop, "ready", console_revision=1)
    assert host.lets_in(desktop, SECRET)
    assert not host.lets_in(desktop, "wrong")
    assert SECRET not in host.hostd.tail()

    pid, = host.libvirt.qemu_pids().values()
    os.kill(pid, signal.SIGKILL)
    seen = host.wait_state(desktop, "starting", 30, starts=2)
    assert "crashed" in seen["reason"]
    host.wait_state(desktop, "ready", starts=2)
    assert wait_until(lambda: host.boots(desktop)[1] == 2, 30, "the guest came back on its own disk")
    host.wait_state(desktop, "ready", console_revision=1)
    assert host.lets_in(desktop, SECRET), "the wanted secret is in force on the new QEMU too"

    host.broker.change(desktop, restart_revision=1)
    host.wait_state(desktop, "starting", 30)
    seen = host.wait_state(desktop, "ready", restart_revision=1)
    assert seen["starts"] == 2, "a restart keeps the machine, and the sessions on it"

    host.broker.change(desktop, wanted="stopped")
    host.wait_state(desktop, "stopped", 60)
    assert host.console(desktop) is None and host.libvirt.qemu_pids() == {}
    host.broker.change(desktop, wanted="running")
    host.wait_state(desktop, "ready", starts=3)

    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)


@pytest.mark.limit(200)
def test_a_secret_expires_and_sessions_stay(host):
    desktop = new_id()
    host.broker.want(desktop, "office-1", console=console(1, seconds=600))
    host.wait_state(desktop, "ready", console_revision=1)
    at = host.console(desktop)
    with Session((at["host"], at["port"]), SECRET) as session:
        brief = console(2, "t" * 43, seconds=3)
        host.broker.change(desktop, console=brief)
        host.wait_state(desktop, "ready", console_revision=2)
        assert not host.lets_in(desktop, SECRET), "the old secret is out of force"
        wait_until(lambda: time.time() > brief["valid_until"] + 1, 10, "the new one expires")
        assert not host.lets_in(desktop, "t" * 43), "the new one is too, in time"
        assert session.alive(), "who was in stays in"


@pytest.mark.limit(200)
def test_libvirtd_dies_and_comes_back(host):
    desktop, other = new_id(), new_id()
    host.broker.want(desktop, "office-1")
    host.wait_state(desktop, "ready")
    pids = host.libvirt.qemu_pids()
    host.libvirt.kill("libvirtd")
    host.broker.want(other, "office-2")
    time.sleep(2)  # nothing may happen meanwhile
    assert host.broker.seen(desktop)["state"] == "ready", "what could not be asked is as last seen"
    assert host.libvirt.qemu_pids() == pids
    host.libvirt.start("libvirtd")
    host.wait_state(other, "ready")
    assert host.broker.seen(desktop)["starts"] == 1
    pid = next(pid for name, pid in host.libvirt.qemu_pids().items() if desktop in name)
    os.kill(pid, signal.SIGKILL)
    host.wait_state(desktop, "ready", starts=2)  # events come on the new connection as well
    for one in (desktop, other):
        host.broker.change(one, wanted="gone")
    host.wait_state(other, "absent", 60)
    host.broker.forget(other)
    host.wait_over(desktop)


@pytest.mark.limit(200)
def test_the_broker_goes_and_another_answers(host):
    desktop = new_id()
    host.broker.want(desktop, "office-1")
    host.wait_state(desktop, "ready")
    host.broker.stop()
    pid, = host.libvirt.qemu_pids().values()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.libvirt.qemu_pids() and host.libvirt.qemu_pids() != {f"usher-{desktop}": pid}, 30,
               "it is started again without the broker")
    host.broker.answers_as = new_id()  # a broker of another deployment that wants it gone
    host.broker.change(desktop, wanted="gone")
    host.broker.start()
    requests = host.broker.requests
    wait_until(lambda: host.broker.requests > requests + 2, 60, "hostd asks")
    assert host.libvirt.qemu_pids(), "it is not obeyed"
    host.broker.answers_as = None
    host.wait_over(desktop)


@pytest.mark.limit(120)
def test_hostd_starts_into_a_running_desktop(host):
    desktop = new_id()
    host.broker.want(desktop, "office-1", console=console(1))
    host.wait_state(desktop, "ready", console_revision=1)
    pids = host.libvirt.qemu_pids()
    host.hostd.kill()
    with host.broker.changed:
        host.broker.reports = {}
    host.start()
    first = wait_until(lambda: host.broker.seen(desktop), 20, "it is reported")
    assert (first["state"], first["console_revision"], first["starts"]) == ("ready", 1, 1), "at once, not first as starting"
    assert host.libvirt.qemu_pids() == pids


@pytest.mark.limit(120)
def test_orphans_end_and_others_are_left_alone(idle_host):
    host = idle_host
    orphan, half, foreign = new_id(), new_id(), new_id()
    xml = ("<domain type='qemu'><name>{name}</name><uuid>{id}</uuid>{metadata}<memory unit='MiB'>64</memory>"
           "<os><type>hvm</type></os></domain>")
    ours = f"<metadata><usher:desktop xmlns:usher='urn:usher:desktop:1' deployment='{host.broker.deployment}'/></metadata>"
    theirs = "<metadata><usher:desktop xmlns:usher='urn:usher:desktop:1' deployment='another'/></metadata>"
    for name, uuid, metadata in (("orphan", orphan, ours), ("foreign", foreign, theirs)):
        file = host.root / f"{name}.xml"
        file.write_text(xml.format(name=name, id=uuid, metadata=metadata))
        host.libvirt.virsh("define", str(file))
        host.libvirt.virsh("start", name)
    host.directory(half).mkdir(parents=True)
    (host.directory(half) / "disk.qcow2.new").write_text("half")
    (host.run / "consoles").mkdir(parents=True)
    (host.run / "consoles" / new_id()).write_text("{}")
    host.start()
    wait_until(lambda: host.libvirt.virsh("list", "--all", "--name").split() == ["foreign"], 30, "the orphan is gone, the foreign one is not")
    wait_until(lambda: list((host.state / "desktops").iterdir()) == [], 10, "the half-made directory is gone")
    wait_until(lambda: list((host.run / "consoles").iterdir()) == [], 10, "the stale console file is gone")

    host.broker.want(foreign, "office-9")
    seen = host.wait_state(foreign, "failed", 20)
    assert "not ours" in seen["reason"]
    assert host.libvirt.virsh("domstate", "foreign").strip() == "running"


@pytest.mark.limit(120)
def test_a_lost_disk_is_not_replaced_by_a_blank_one(host):
    desktop = new_id()
    host.broker.want(desktop, "office-1")
    host.wait_state(desktop, "ready")
    host.hostd.kill()
    host.libvirt.virsh("destroy", f"usher-{desktop}")
    (host.directory(desktop) / "disk.qcow2").unlink()
    host.start()
    seen = host.wait_state(desktop, "failed", 30)
    assert "disk" in seen["reason"]
    assert not (host.directory(desktop) / "disk.qcow2").exists()
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)
