"""hostd is killed at each step of building a parent and of forking from it, and started again as systemd would: each next hostd
finds what the one before left, and in the end there is one good parent, one good desktop, and nothing else."""
import pytest

from harness import chaos
from harness.wait import wait_until
from rig import Rig, new_id, remove_domains

KEY = ("tiny", 1, 1, 192)
# In the order in which one build comes to them, so that each death happens on what the death before has left.
BUILDING = ["after_clear", "after_unrecord", "after_dir", "started", "suspended", "state_out", "destroyed", "saved", "based", "frozen"]
FORKING = ["hostd.fork.after_record", "clone.fork.overlay", "clone.fork.defined", "clone.golden.asked", "clone.golden.handed", "clone.fork.started", "clone.fork.state_in",
           "clone.fork.resumed", "clone.fork.plugged", "clone.fork.identified", "clone.fork.noted", "hostd.fork.after_fork",
           "hostd.fork.after_made"]


@pytest.fixture(scope="module")
def host(libvirt):
    rig = Rig(libvirt, shutdown_s=2)
    rig.join()
    yield rig
    rig.stop()
    remove_domains(libvirt)


def test_no_point_is_left_out():
    hosts_own = {name for daemon, name in chaos.fault_points() if name.startswith("hostd.fork.")}
    assert set(chaos.clone_points()) | hosts_own == {f"clone.parent.{name}" for name in BUILDING} | set(FORKING)


@pytest.mark.limit(200)
@pytest.mark.parametrize("point", BUILDING)
def test_killed_while_a_parent_is_built(host, point):
    host.broker.keep(KEY)
    host.survive(f"clone.parent.{point}", lambda: None, 150)
    host.wait_parent(KEY, "building ready", 60)
    assert len(host.libvirt.qemu_pids()) <= 1


@pytest.mark.limit(200)
def test_in_the_end_there_is_a_parent(host):
    host.broker.keep(KEY)
    host.wait_parent(KEY, "ready", 180)
    assert host.libvirt.qemu_pids() == {}
    assert [path.name for path in (host.state / "parents").iterdir()] == ["tiny-1-1-192"]
    wait_until(lambda: len(list((host.state / "bases").iterdir())) == 1, 20, "of the disks of those that died none is left")


@pytest.mark.limit(120)
@pytest.mark.parametrize("point", FORKING)
def test_killed_while_it_forks(host, point):
    host.broker.keep(KEY)
    desktop = new_id()
    host.survive(point, lambda: host.broker.want(desktop, "office-1", clone="instant", data_gib=1))
    seen = host.wait_state(desktop, "ready", 60)
    assert (seen["clone"], seen["starts"]) == ("instant", 1)
    assert list(host.libvirt.qemu_pids()) == [f"usher-{desktop}"]
    assert host.agent(desktop, "/bin/hostname").strip() == "office-1"
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)


@pytest.mark.limit(120)
def test_in_the_end_nothing_is_left(host):
    host.broker.keep()
    wait_until(lambda: not list((host.state / "parents").iterdir()) and not list((host.state / "bases").iterdir()), 60, "all is gone")
    host.assert_nothing_left()
