"""libvirtd, QEMU and the emulator program are killed at each step of building a parent and of forking, while hostd stands at that very
step: it goes on, meets what has gone, and in the end there is one good parent, one good desktop, and nothing else."""
import os
import pathlib
import signal
import subprocess

import pytest

from harness.stack import BUILD
from harness.wait import wait_until
from rig import Rig, new_id, remove_domains

KEY = ("tiny", 1, 1, 192)


def kill_libvirtd(host):
    host.libvirt.kill("libvirtd")
    return lambda: host.libvirt.start("libvirtd")


def kill_qemu(host):
    pids = host.libvirt.qemu_pids()
    assert len(pids) == 1, pids
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    return lambda: None


def emulators():
    """Pids of processes that still are usher-emulator, and not yet the QEMU they become."""
    program, found = (BUILD / "usher-emulator").stat(), []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            running = pathlib.Path(f"/proc/{entry}/exe").stat()
        except OSError:
            continue
        if (running.st_dev, running.st_ino) == (program.st_dev, program.st_ino):
            found.append(int(entry))
    return found


def kill_emulator(_host):
    pids = emulators()
    assert pids, "no emulator program runs"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return lambda: None


VICTIMS = {"libvirtd": kill_libvirtd, "qemu": kill_qemu, "emulator": kill_emulator}
# point: whom there is to kill
BUILDING = {
    "clone.parent.after_dir": ["libvirtd"], "clone.golden.asked": ["libvirtd", "emulator"],
    "clone.parent.started": ["libvirtd", "qemu"], "clone.parent.suspended": ["libvirtd", "qemu"],
    "clone.parent.state_out": ["libvirtd", "qemu"], "clone.parent.destroyed": ["libvirtd"],
}
FORKING = {
    "clone.fork.overlay": ["libvirtd"], "clone.fork.defined": ["libvirtd"], "clone.golden.asked": ["libvirtd", "emulator"],
    "clone.golden.handed": ["libvirtd", "qemu"],
    **{f"clone.fork.{step}": ["libvirtd", "qemu"] for step in ("started", "state_in", "resumed", "plugged", "identified", "noted")},
}


def table(points):
    return [pytest.param(point, victim, id=f"{point}-{victim}") for point, victims in points.items() for victim in victims]


@pytest.fixture(scope="module")
def host(libvirt):
    rig = Rig(libvirt, shutdown_s=2)
    rig.join()
    yield rig
    rig.stop()
    remove_domains(libvirt)


@pytest.mark.limit(240)
@pytest.mark.parametrize("point, victim", table(BUILDING))
def test_killed_while_a_parent_is_built(host, point, victim):
    with host.held(point, lambda: host.broker.keep(KEY), 120):
        come_back = VICTIMS[victim](host)
    come_back()
    host.wait_parent(KEY, "ready", 180)
    assert host.libvirt.qemu_pids() == {}
    assert [path.name for path in (host.state / "parents").iterdir()] == ["tiny-1-1-192"]
    host.broker.keep()
    wait_until(lambda: not list((host.state / "parents").iterdir()) and not list((host.state / "bases").iterdir()), 60, "all is gone")
    host.assert_nothing_left()


@pytest.mark.limit(240)
@pytest.mark.parametrize("point, victim", table(FORKING))
def test_killed_while_it_forks(host, point, victim):
    host.broker.keep(KEY)
    if not host.hostd.running():
        host.start()
    host.wait_parent(KEY, "ready", 180)
    desktop = new_id()
    with host.held(point, lambda: host.broker.want(desktop, "office-1", clone="instant")):
        come_back = VICTIMS[victim](host)
    come_back()
    wait_until(lambda: answers(host, desktop), 120, f"the desktop answers with its name: {host.broker.seen(desktop)}", 0.5)
    assert host.wait_state(desktop, "ready", 60)["clone"] == "instant"
    assert list(host.libvirt.qemu_pids()) == [f"usher-{desktop}"]
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)
    assert emulators() == []


def answers(host, desktop):
    if host.broker.seen(desktop).get("state") != "ready":
        return False
    try:
        return host.agent(desktop, "/bin/hostname").strip() == "office-1"
    except (AssertionError, subprocess.CalledProcessError, ValueError):
        return False
