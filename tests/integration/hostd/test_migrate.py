"""A fork moves to another host while it runs: two libvirts that see the same disks. What it has in memory goes along, it needs neither parent
nor host daemon there, and it starts cold there one day."""
import base64
import json
import shutil
import time

import pytest

from clones import KEY, Lab, Refused
from harness.libvirt import PrivateLibvirt
from harness.net import free_port
from harness.wait import wait_until


@pytest.fixture(scope="module")
def hosts():
    """Two libvirts without networks: forks get no card, and both reach each other over loopback."""
    with PrivateLibvirt() as here, PrivateLibvirt() as there:
        yield here, there


@pytest.fixture(scope="module")
def lab(hosts):
    lab = Lab(hosts[0]).start()
    try:
        lab.make_parent()
        yield lab
    finally:
        lab.stop()


def agent(libvirt, desktop, command, **arguments):
    text = libvirt.virsh("qemu-agent-command", f"usher-{desktop}", json.dumps({"execute": command, "arguments": arguments}))
    return json.loads(text)["return"]


def shell(libvirt, desktop, script):
    pid = agent(libvirt, desktop, "guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})["pid"]
    ended = wait_until(lambda: (lambda status: status if status["exited"] else None)(agent(libvirt, desktop, "guest-exec-status", pid=pid)),
                       30, "the script ends")
    return base64.b64decode(ended.get("out-data", "")).decode()


@pytest.mark.limit(240)
def test_a_fork_moves_while_it_runs(hosts, lab):
    here, there = hosts
    desktop = lab.fork("office-1")["office-1"]
    assert lab.do(f"migrate_check {desktop}")["obstacle"] is None
    shell(here, desktop, "echo kept > /run/note")
    uri = f"qemu+unix:///system?socket={there.root}/run-libvirt/libvirt-sock"
    begun = time.monotonic()
    lab.do(f"migrate {desktop} {uri} tcp://127.0.0.1:{free_port()}")
    print(f"# moved in {time.monotonic() - begun:.1f} s")
    assert f"usher-{desktop}" not in here.virsh("list", "--all", "--name").split()
    assert there.virsh("list", "--name").split() == [f"usher-{desktop}"]
    assert agent(there, desktop, "guest-get-host-name")["host-name"] == "office-1"
    assert shell(there, desktop, "cat /run/note").strip() == "kept"
    live = there.virsh("dumpxml", f"usher-{desktop}")
    assert "usher-emulator" not in live and "memory-backend-ram,id=hot" in live
    lab.do(f"retire {KEY}")
    assert shell(there, desktop, "cat /run/note").strip() == "kept", "it needs no parent"
    there.virsh("destroy", f"usher-{desktop}")
    there.virsh("start", f"usher-{desktop}")
    wait_until(lambda: there.run(["virsh", "-q", "-c", there.uri, "qemu-agent-command", f"usher-{desktop}", '{"execute":"guest-ping"}'],
                                 check=False, capture_output=True).returncode == 0, 90, "it starts cold there", 0.5)
    there.virsh("destroy", f"usher-{desktop}")
    there.virsh("undefine", f"usher-{desktop}")


@pytest.mark.limit(60)
def test_what_does_not_run_does_not_move(hosts, lab):
    if lab.stages() != ["loaded"]:
        lab.make_parent()
    desktop = lab.fork("office-2")["office-2"]
    lab.do(f"destroy {desktop}")
    with pytest.raises(Refused) as refused:
        lab.do(f"migrate {desktop} qemu+unix:///system?socket={hosts[1].root}/run-libvirt/libvirt-sock tcp://127.0.0.1:{free_port()}")
    assert refused.value.code == "conflict" and "does not run" in str(refused.value)
    lab.do(f"undefine {desktop}")
    shutil.rmtree(lab.state / "desktops", ignore_errors=True)
