"""Two clones of one template version, compared by templates/seal/check: forks of one parent, and linked clones; on real libvirt,
QEMU and guests, on libvirt's default network."""
import pathlib
import sys

import pytest

from harness.libvirt import PrivateLibvirt
from harness.stack import SOURCE
from harness.wait import wait_until

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "hostd"))

from rig import Rig, new_id, remove_domains  # noqa: E402

PARENT = ("tiny", 1, 1, 192)


@pytest.fixture(scope="module")
def host():
    with PrivateLibvirt(network=True) as libvirt:
        # libvirt is in a network namespace of its own, where hostd would not reach its broker: it stays outside.
        rig = Rig(libvirt, libvirt_uri=f"qemu:///system?socket={libvirt.socket()}")
        rig.hostd.inside = lambda words: words
        with rig:
            yield rig
        remove_domains(libvirt)


def compare(host, one, two):
    return host.libvirt.run([SOURCE / "templates/seal/check", "clones", f"usher-{one}", f"usher-{two}", "--connect", "qemu:///system"],
                            check=False, capture_output=True, text=True)


def has_address(host, desktop):
    return "inet 192.168." in host.agent(desktop, "/bin/ip", "-4", "addr", "show")


@pytest.fixture(params=["instant", "linked"])
def clones(host, request):
    if request.param == "instant":
        host.broker.keep(PARENT)
        host.wait_parent(PARENT, "ready", 180)
    desktops = [new_id(), new_id()]
    for number, desktop in enumerate(desktops):
        host.broker.want(desktop, f"{request.param}-{number}", clone=request.param)
    for desktop in desktops:
        assert host.wait_state(desktop, "ready", 180)["clone"] == request.param
        try:
            wait_until(lambda desktop=desktop: has_address(host, desktop), 30, "it has an address")
        except AssertionError as error:
            seen = host.agent(desktop, "/bin/sh", "-c", "ip addr; ps | grep -e dhcp -e mdev; dmesg | tail -20; cat /run/usher/identity")
            raise AssertionError(f"{error}\n{seen}\n{host.libvirt.virsh('domiflist', f'usher-{desktop}')}") from None
    yield desktops
    for desktop in desktops:
        host.broker.change(desktop, wanted="gone")
        host.wait_state(desktop, "absent", 60)
        host.broker.forget(desktop)


@pytest.mark.limit(500)
def test_two_clones_share_nothing_they_may_not(host, clones):
    answer = compare(host, *clones)
    assert (answer.returncode, answer.stdout) == (0, "different: hostname ip mac machine-id urandom\n"), answer.stderr


@pytest.mark.limit(500)
def test_what_is_shared_is_named(host, clones):
    one, two = clones
    shared = host.agent(one, "/bin/cat", "/etc/machine-id").strip()
    host.agent(two, "/bin/sh", "-c", f"echo {shared} > /etc/machine-id")
    answer = compare(host, one, two)
    assert (answer.returncode, answer.stdout) == (1, f"both have machine-id {shared}\n"), answer.stderr


def test_a_clone_that_does_not_answer_is_no_answer(host):
    answer = compare(host, new_id(), new_id())
    assert answer.returncode == 2
    assert "guest agent does not answer" in answer.stderr
