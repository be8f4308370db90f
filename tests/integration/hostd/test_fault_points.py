"""hostd is killed at each of its fault points, with real domains, and started again as systemd would: the desktop
gets where it should be, once, and in the end nothing is left."""
import time

import pytest

from harness import chaos
from harness.wait import wait_until
from rig import Rig, new_id, remove_domains

ELSEWHERE = ("fork", "renew", "user")  # of forks: test_clone_points.py; below; of a guest that is told: test_clones.py
POINTS = sorted(name for daemon, name in chaos.fault_points() if daemon == "hostd")


def test_every_step_has_its_points():
    assert {name.split(".")[1] for name in POINTS} == {"clone", "start", "console", "restart", "delete", "fork", "renew", "user"}


@pytest.fixture
def mortal(libvirt):
    rig = Rig(libvirt, shutdown_s=2)
    rig.join()
    yield rig
    rig.stop()
    remove_domains(libvirt)


@pytest.mark.limit(150)
@pytest.mark.parametrize("point", [name for name in POINTS if name.split(".")[1] == "renew"])
def test_killed_while_it_makes_a_fresh_system(mortal, point):
    host, desktop = mortal, new_id()
    host.start()
    host.broker.want(desktop, "office-1", wanted="stopped", data_gib=1)
    host.wait_state(desktop, "stopped", 60)
    data = (host.directory(desktop) / "data.qcow2").stat().st_ino
    host.survive(point, lambda: host.broker.change(desktop, system_revision=1))
    host.wait_state(desktop, "stopped", 60, system_revision=1)
    assert (host.directory(desktop) / "data.qcow2").stat().st_ino == data
    host.broker.change(desktop, wanted="running")
    host.wait_state(desktop, "starting ready", 60, starts=1)
    wait_until(lambda: len(host.libvirt.qemu_pids()) == 1, 30, "one QEMU runs")
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)


@pytest.mark.limit(150)
@pytest.mark.parametrize("point", [name for name in POINTS if name.split(".")[1] not in ELSEWHERE])
def test_killed_at(mortal, point):
    host, desktop, phase = mortal, new_id(), point.split(".")[1]

    def step_of(name, step):
        if phase == name:
            host.survive(point, step)
        else:
            if not host.hostd.running():
                host.start()
            step()

    def want():
        host.broker.want(desktop, "office-1", data_gib=1)

    if phase == "clone":
        step_of("clone", want)
    else:
        step_of("start", want)
    host.wait_state(desktop, "starting ready", 60)
    wait_until(lambda: len(host.libvirt.qemu_pids()) == 1, 30, "one QEMU runs")
    assert 1 <= host.broker.seen(desktop)["starts"] <= 2

    secret = {"revision": 1, "secret": "s" * 43, "valid_until": int(time.time()) + 300}
    step_of("console", lambda: host.broker.change(desktop, console=secret))
    host.wait_state(desktop, "starting ready", 60, console_revision=1)
    step_of("restart", lambda: host.broker.change(desktop, restart_revision=1))
    host.wait_state(desktop, "starting ready", 60, restart_revision=1)
    assert len(host.libvirt.qemu_pids()) == 1
    assert wait_until(lambda: host.console(desktop), 10, "the door finds it")

    step_of("delete", lambda: host.broker.change(desktop, wanted="gone"))
    host.wait_over(desktop)
