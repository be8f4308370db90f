"""What a host loses and finds: libvirtd, the broker, disks, domains that nobody wants; with real libvirt and QEMU."""
import os
import signal
import time

import pytest

from harness.wait import wait_until
from rig import new_id


@pytest.mark.limit(300)
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


@pytest.mark.limit(300)
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


@pytest.mark.limit(200)
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


@pytest.mark.limit(200)
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
