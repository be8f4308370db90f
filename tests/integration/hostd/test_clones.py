"""Instant clones as hostd makes them: parents kept, desktops forked, and what becomes of both; with real libvirt, QEMU and guests."""
import json
import os
import pathlib
import signal
import time

import pytest

from harness.wait import wait_until
from rig import Rig, new_id, remove_domains, second_version

PARENT = ("tiny", 1, 1, 192)
SECRET = "s" * 43


@pytest.fixture(scope="module")
def kept(libvirt):
    """A host that keeps a parent ready, for the tests of this file: booting one takes its time."""
    with Rig(libvirt, shutdown_s=20) as rig:
        rig.broker.keep(PARENT)
        yield rig
    remove_domains(libvirt)


@pytest.fixture
def host(kept):
    if not kept.hostd.running():
        kept.start()
    kept.broker.keep(PARENT)
    kept.wait_parent(PARENT, "ready")
    yield kept
    for desktop in list(kept.broker.wanted):
        kept.broker.change(desktop, wanted="gone")
        kept.wait_state(desktop, "absent", 60)
        kept.broker.forget(desktop)
    kept.assert_nothing_left()


def want(host, name="office-1", **more):
    desktop = new_id()
    host.broker.want(desktop, name, clone="instant", **more)
    return desktop


def hostname(host, desktop):
    return host.agent(desktop, "/bin/hostname").strip()


def frozen(host):
    """Names of parents on disk."""
    return sorted(path.name for path in (host.state / "parents").iterdir() if (path / "parent.json").exists())


def base_of(host, desktop):
    return pathlib.Path(host.disk(desktop)["full-backing-filename"])


@pytest.mark.limit(300)
def test_a_fork_is_ready_with_its_own_name(host):
    began = time.monotonic()
    one, other = want(host, "office-1", user="alice"), want(host, "office-2")
    for desktop, name in ((one, "office-1"), (other, "office-2")):
        seen = host.wait_state(desktop, "ready failed", 60)
        assert (seen["state"], seen["clone"], seen["clone_reason"], seen["starts"]) == ("ready", "instant", "", 1), f"{seen}\n{host.hostd.tail()}"
        assert hostname(host, desktop) == name
    print(f"# two forks ready after {time.monotonic() - began:.2f} s")
    assert json.loads(host.agent(one, "/bin/cat", "/run/usher/identity"))["user"] == "alice"
    assert base_of(host, one) == base_of(host, other)
    assert base_of(host, one).parent == host.state / "bases"
    secret = {"revision": 1, "secret": SECRET, "valid_until": int(time.time()) + 300}
    host.broker.change(one, console=secret)
    host.wait_state(one, "ready", 20, console_revision=1)
    assert host.lets_in(one, SECRET), "the console is a fork's own"
    assert not host.lets_in(other, SECRET)


@pytest.mark.limit(300)
def test_a_spare_is_told_whose_it_becomes(host):
    def told():
        return json.loads(host.agent(desktop, "/bin/cat", "/run/usher/identity"))["user"]
    desktop = want(host)
    host.wait_state(desktop, "ready", 60)
    assert told() == ""
    host.broker.change(desktop, user="bob")
    wait_until(lambda: told() == "bob", 30, "the guest was told")
    host.survive("hostd.user.told", lambda: host.broker.change(desktop, user="carol"))
    seen = host.wait_state(desktop, "ready", 20)
    assert (told(), hostname(host, desktop), seen["starts"]) == ("carol", "office-1", 1)
    assert "was not told" not in host.hostd.tail()


@pytest.mark.limit(300)
def test_a_fork_that_ended_starts_cold_from_its_own_disk(host):
    desktop = want(host)
    host.wait_state(desktop, "ready", 60)
    host.agent(desktop, "/bin/sh", "-c", "echo mine > /data/mine && sync")

    host.broker.change(desktop, wanted="stopped")
    host.wait_state(desktop, "stopped", 60)
    host.broker.change(desktop, wanted="running")
    seen = host.wait_state(desktop, "ready", starts=2)
    assert seen["clone"] == "instant", "it stays what it was made as"
    assert host.agent(desktop, "/bin/cat", "/data/mine").strip() == "mine"
    assert hostname(host, desktop) == "office-1"

    os.kill(host.libvirt.qemu_pids()[f"usher-{desktop}"], signal.SIGKILL)
    host.wait_state(desktop, "ready", starts=3)
    assert host.agent(desktop, "/bin/cat", "/data/mine").strip() == "mine"


@pytest.mark.limit(300)
def test_a_fork_restarts(host):
    desktop = want(host)
    host.wait_state(desktop, "ready", 60)
    pid = host.libvirt.qemu_pids()[f"usher-{desktop}"]
    host.broker.change(desktop, restart_revision=1)
    host.wait_state(desktop, "starting", 30)
    seen = host.wait_state(desktop, "ready", restart_revision=1)
    assert seen["starts"] == 1 and host.libvirt.qemu_pids()[f"usher-{desktop}"] == pid, "the same machine"
    assert hostname(host, desktop) == "office-1"


@pytest.mark.limit(300)
def test_parents_and_forks_survive_hostd(host):
    desktop = want(host)
    host.wait_state(desktop, "ready", 60)
    pids, before = host.libvirt.qemu_pids(), frozen(host)
    host.hostd.kill()
    with host.broker.changed:
        host.broker.reports, host.broker.parent_reports = {}, {}
    host.start()
    first = wait_until(lambda: host.broker.seen(desktop), 20, "it is reported")
    assert (first["state"], first["starts"], first["clone"]) == ("ready", 1, "instant"), "at once, as it was"
    host.wait_parent(PARENT, "ready", 30)
    assert host.libvirt.qemu_pids() == pids and frozen(host) == before, "no boot was needed"
    another = want(host, "office-2")
    host.wait_state(another, "ready", 60)
    assert hostname(host, another) == "office-2"
    assert base_of(host, another) == base_of(host, desktop)


@pytest.mark.limit(300)
def test_a_fresh_system_is_forked(host):
    desktop = want(host, data_gib=1)
    host.wait_state(desktop, "ready", 60)
    assert "usher-data" in host.agent(desktop, "/bin/cat", "/sys/block/vdb/serial"), "it has its data disk"
    host.agent(desktop, "/bin/sh", "-c", "touch /data/old && sync && printf kept | dd of=/dev/vdb bs=512 seek=4096 conv=fsync")
    host.broker.change(desktop, system_revision=1)
    seen = host.wait_state(desktop, "ready", 90, system_revision=1)
    assert (seen["clone"], seen["starts"]) == ("instant", 2)
    assert host.agent(desktop, "/bin/sh", "-c", "ls /data/old 2> /dev/null || echo none").strip() == "none"
    assert host.agent(desktop, "/bin/dd", "if=/dev/vdb", "bs=512", "skip=4096", "count=1").startswith("kept")


@pytest.mark.limit(300)
def test_what_cannot_be_forked_is_linked_and_says_why(host):
    desktop = want(host, ram_mib=100)  # less than the template's minimum
    seen = host.wait_state(desktop, "ready failed starting", 60)
    assert seen["clone"] == "linked"
    assert "192" in seen["clone_reason"] or "128" in seen["clone_reason"], seen
    host.broker.keep(PARENT, ("tiny", 1, 1, 100))
    told = host.wait_parent(("tiny", 1, 1, 100), "unable", 20)
    assert told["reason"] == seen["clone_reason"]
    host.wait_parent(PARENT, "ready", 5)
    plain = new_id()
    host.broker.want(plain, "office-2")
    seen = host.wait_state(plain, "starting ready", 30)
    assert (seen["clone"], seen["clone_reason"]) == ("linked", "")


@pytest.mark.limit(400)
def test_one_whose_parent_nobody_listed_gets_one(host):
    parent = ("tiny", 1, 1, 208)
    desktop = want(host, ram_mib=208)
    seen = host.wait_state(desktop, "creating", 20)
    wait_until(lambda: "parent: booting" in host.broker.seen(desktop)["reason"], 30, "it says what it waits for")
    host.broker.forget(desktop)  # what no answer names is left alone
    host.broker.want(desktop, "office-1", clone="instant", ram_mib=208)
    seen = host.wait_state(desktop, "ready", 120)
    assert seen["clone"] == "instant"
    wait_until(lambda: frozen(host) == ["tiny-1-1-192"], 60, "its parent goes when nobody has asked for it in a while")
    assert base_of(host, desktop).exists(), "its disk does not: a fork stands on it"
    base = base_of(host, desktop)
    host.broker.change(desktop, wanted="gone")
    host.wait_state(desktop, "absent", 60)
    wait_until(lambda: not base.exists(), 20, "with the last fork it goes too")
    assert not host.broker.seen_parent(parent)


@pytest.mark.limit(300)
def test_a_parent_that_dies_while_it_boots_is_begun_again(host):
    parent = ("tiny", 1, 1, 224)
    host.broker.keep(PARENT, parent)
    wait_until(lambda: host.broker.seen_parent(parent).get("reason", "").startswith("booting"), 60, "it boots")
    os.kill(*host.libvirt.qemu_pids().values(), signal.SIGKILL)
    seen = host.wait_parent(parent, "failed", 30)
    assert "ended" in seen["reason"]
    host.wait_parent(parent, "ready", 120)
    host.broker.keep(PARENT)
    wait_until(lambda: frozen(host) == ["tiny-1-1-192"], 30, "it is retired")


@pytest.mark.limit(300)
def test_a_damaged_parent_is_built_anew(host):
    old = host.state / "parents/tiny-1-1-192"
    host.hostd.kill()
    ram = old / "ram"
    with open(ram, "r+b") as file:
        file.seek(ram.stat().st_size // 2)
        file.write(b"damage")
    with host.broker.changed:
        host.broker.parent_reports = {}
    host.start()
    host.wait_parent(PARENT, "building", 30)
    host.wait_parent(PARENT, "ready", 120)
    desktop = want(host)
    host.wait_state(desktop, "ready", 60)
    assert hostname(host, desktop) == "office-1"


@pytest.mark.limit(200)
def test_libvirtd_dies_while_it_forks(host):
    desktops = [want(host, f"office-{number}") for number in range(1, 4)]
    time.sleep(0.3)
    host.libvirt.kill("libvirtd")
    time.sleep(0.5)
    host.libvirt.start("libvirtd")
    for number, desktop in enumerate(desktops, 1):
        seen = host.wait_state(desktop, "ready", 90)
        assert seen["clone"] == "instant", "that says nothing about forking"
        assert hostname(host, desktop) == f"office-{number}"
    host.wait_parent(PARENT, "ready", 30)


@pytest.mark.limit(300)
def test_many_at_once(host):
    """Forks run beside each other; the parent's worker is not one of theirs."""
    host.broker.keep(PARENT, ("tiny", 1, 1, 200))
    began = time.monotonic()
    desktops = [want(host, f"office-{number}") for number in range(1, 9)]
    for desktop in desktops:
        host.wait_state(desktop, "ready", 90)
    print(f"# eight forks while a parent boots: {time.monotonic() - began:.2f} s")
    assert len({hostname(host, desktop) for desktop in desktops}) == 8
    assert len({base_of(host, desktop) for desktop in desktops}) == 1


@pytest.mark.limit(300)
def test_a_parent_that_gives_no_good_forks_is_replaced(host):
    state = host.state / "parents/tiny-1-1-192/state"
    before = state.stat().st_ino
    state.unlink()
    desktop = want(host)
    seen = host.wait_state(desktop, "ready", 120)
    assert seen["clone"] == "instant"
    assert state.stat().st_ino != before
    host.wait_parent(PARENT, "ready", 5)


@pytest.mark.limit(300)
def test_a_guest_that_cannot_take_an_identity_is_linked(host):
    """Its program is looked for where its initramfs has it; there it is not."""
    second_version(host, lambda initrd: initrd.replace(b"usr/lib/usher/identity\0", b"usr/lib/usher/idontity\0"))
    desktop = want(host, version=2)
    seen = host.wait_state(desktop, "ready", 120)
    assert seen["clone"] == "linked"
    assert "the guest has no /usr/lib/usher/identity" in seen["clone_reason"]
    another = want(host, "office-2", version=2)
    seen = host.wait_state(another, "starting ready", 30)
    assert "the guest has no /usr/lib/usher/identity" in seen["clone_reason"], "no other parent is tried"
    wait_until(lambda: frozen(host) == ["tiny-1-1-192"], 60, "no parent of it is kept")


@pytest.mark.limit(200)
def test_a_host_without_instant_clones(libvirt):
    rig = Rig(libvirt, clones={"instant": "no"})
    with rig as host:
        desktop = want(host)
        seen = host.wait_state(desktop, "starting ready", 60)
        assert (seen["clone"], "switched off" in seen["clone_reason"]) == ("linked", True)
        host.broker.change(desktop, wanted="gone")
        host.wait_over(desktop)
    remove_domains(libvirt)
