"""Fifty desktops at once on libvirt's test driver, hostd killed among them: each is there once, then none."""
import pytest

from harness.wait import wait_until
from rig import new_id

MANY = 50


def states(host, state):
    with host.broker.changed:
        return [one for one, seen in host.broker.reports.items() if seen["state"] == state]


@pytest.mark.limit(180)
def test_fifty_come_and_go(fake_host):
    host = fake_host
    desktops = [new_id() for _ in range(MANY)]
    for number, desktop in enumerate(desktops):
        host.broker.want(desktop, f"office-{number}", ram_mib=64)
    wait_until(lambda: len(states(host, "ready")) >= MANY // 3, 60, "a third is ready")
    host.hostd.kill()  # the test driver's domains die with it: as if the machine had lost power
    host.start()
    wait_until(lambda: len(states(host, "ready")) == MANY, 90, "all are ready")
    assert sorted(path.name for path in (host.state / "desktops").iterdir()) == sorted(desktops)
    for desktop in desktops:
        host.broker.change(desktop, wanted="gone")
    wait_until(lambda: len(states(host, "absent")) == MANY, 90, "all are gone")
    host.assert_nothing_left()
    for desktop in desktops:
        host.broker.forget(desktop)
    wait_until(lambda: host.broker.reports == {}, 30, "they are reported no more")
