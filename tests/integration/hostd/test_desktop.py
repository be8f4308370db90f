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


@pytest.mark.limit(450)
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


@pytest.mark.limit(300)
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
        # QEMU and its SPICE server count in whole seconds each: it may last two longer.
        wait_until(lambda: time.time() > brief["valid_until"] + 3, 10, "the new one expires")
        assert not host.lets_in(desktop, "t" * 43), "the new one is too, in time"
        assert session.alive(), "who was in stays in"


@pytest.mark.limit(200)
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
