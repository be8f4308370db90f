"""System disk and data disk: what a fresh system replaces and what it keeps; with real libvirt, QEMU and a guest."""
import pytest

from harness.wait import wait_until
from rig import new_id, second_version

GIB = 2**30


def write_on_data_disk(host, desktop, text):
    """On the disk itself, while nothing runs: what guests make of it is theirs."""
    path = host.directory(desktop) / "data.qcow2"
    host.libvirt.run(["qemu-io", "-f", "qcow2", "-c", f"write -P {ord(text)} 1M 4k", path], capture_output=True)


def is_on_data_disk(host, desktop, text):
    path = host.directory(desktop) / "data.qcow2"
    said = host.libvirt.run(["qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {ord(text)} 1M 4k", path],
                            capture_output=True, text=True).stdout
    return "Pattern verification failed" not in said


@pytest.mark.limit(400)
def test_a_fresh_system_keeps_the_data(host):
    desktop = new_id()
    second_version(host)
    host.broker.want(desktop, "office-1", data_gib=2)
    seen = host.wait_state(desktop, "ready", system_revision=0)
    assert (seen["clone"], seen["clone_reason"]) == ("linked", "")
    assert host.disk(desktop, "data.qcow2")["virtual-size"] == 2 * GIB
    assert "usher-data" in host.agent(desktop, "/bin/cat", "/sys/block/vdb/serial"), "the guest can tell it"
    base = host.disk(desktop)["full-backing-filename"]
    assert base == str(host.templates / "tiny/1/disk.qcow2")

    host.broker.change(desktop, wanted="stopped")
    host.wait_state(desktop, "stopped", 60)
    write_on_data_disk(host, desktop, "D")
    host.broker.change(desktop, wanted="running")
    host.wait_state(desktop, "ready", starts=2)

    host.broker.change(desktop, system_revision=1, template={"name": "tiny", "version": 2}, ram_mib=200)
    host.wait_state(desktop, "starting", 30)
    seen = host.wait_state(desktop, "ready", system_revision=1)
    assert seen["starts"] == 3
    assert host.disk(desktop)["full-backing-filename"] == str(host.templates / "tiny/2/disk.qcow2")
    wait_until(lambda: host.boots(desktop)[1] == 1, 30, "the guest says that it never booted from this system disk before")
    assert is_on_data_disk(host, desktop, "D")
    assert host.disk(desktop, "data.qcow2")["virtual-size"] == 2 * GIB

    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)


@pytest.mark.limit(300)
def test_fresh_systems_of_one_that_is_stopped(host):
    desktop = new_id()
    host.broker.want(desktop, "office-1", wanted="stopped", data_gib=1)
    host.wait_state(desktop, "stopped", 60)
    write_on_data_disk(host, desktop, "E")
    before = (host.directory(desktop) / "disk.qcow2").stat().st_ino
    host.broker.change(desktop, system_revision=4)
    host.wait_state(desktop, "stopped", 30, system_revision=4)
    assert (host.directory(desktop) / "disk.qcow2").stat().st_ino != before
    assert is_on_data_disk(host, desktop, "E")
    host.broker.change(desktop, data_gib=0)  # a data disk is not taken away by a wish
    host.broker.change(desktop, system_revision=5)
    host.wait_state(desktop, "stopped", 30, system_revision=5)
    assert is_on_data_disk(host, desktop, "E")
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)


@pytest.mark.limit(300)
def test_a_lost_system_disk_is_made_anew_when_there_is_a_data_disk(host):
    desktop = new_id()
    host.broker.want(desktop, "office-1", data_gib=1)
    host.wait_state(desktop, "ready")
    host.hostd.kill()
    host.libvirt.virsh("destroy", f"usher-{desktop}")
    write_on_data_disk(host, desktop, "F")
    (host.directory(desktop) / "disk.qcow2").unlink()
    host.start()
    host.wait_state(desktop, "ready", starts=2)
    assert is_on_data_disk(host, desktop, "F")
    assert "disk was gone" in host.hostd.tail(), "it is said"

    host.hostd.kill()
    host.libvirt.virsh("destroy", f"usher-{desktop}")
    (host.directory(desktop) / "data.qcow2").unlink()
    host.start()
    seen = host.wait_state(desktop, "failed", 30)
    assert "data disk" in seen["reason"]
    assert not (host.directory(desktop) / "data.qcow2").exists(), "a blank one would hide the loss"
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)


@pytest.mark.limit(300)
def test_a_system_that_cannot_be_made_leaves_the_old_one(host):
    """The version that the fresh system is to come from is not here: nothing is touched, and it goes on when it comes."""
    desktop = new_id()
    host.broker.want(desktop, "office-1", wanted="stopped", data_gib=1)
    host.wait_state(desktop, "stopped", 60)
    before = (host.directory(desktop) / "disk.qcow2").stat().st_ino
    host.broker.change(desktop, system_revision=1, template={"name": "tiny", "version": 2})
    seen = host.wait_state(desktop, "failed", 30)
    assert "tiny/2" in seen["reason"]
    assert (host.directory(desktop) / "disk.qcow2").stat().st_ino == before
    assert "making\":false" in (host.directory(desktop) / "desktop.json").read_text().replace(" ", "")
    second_version(host)
    host.wait_state(desktop, "stopped", 60, system_revision=1)
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)
