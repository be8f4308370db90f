"""kill -9 of every part, while a desktop is made and while a session runs: it converges, and nothing is lost."""
import threading

import pytest

from harness import chaos
from harness.wait import wait_until

# Whose death a running session doesn't notice.
SESSION_OUTLIVES = ("broker", "hostd", "postgres", "slapd", "libvirtd")
SESSION_ENDS = ("gateway", "door", "qemu")


@pytest.mark.limit(150)
@pytest.mark.parametrize("victim", chaos.VICTIMS)
def test_killed_while_a_desktop_is_made(stack, victim):
    pool = f"make-{victim}"
    stack.publish(pool)
    person = stack.person("alice")
    result = {}

    def connect():
        try:
            result["offer"] = person.connect(pool, seconds=100)
        except Exception as error:  # told by the test itself
            result["error"] = error

    assert person.post(f"/pools/{pool}/connect", {"client": "spice"}).status in (200, 202)
    wait_until(lambda: stack.rows_of(pool), 20, "a desktop is planned")
    if victim == "qemu":
        wait_until(stack.libvirt.qemu_pids, 60, "its QEMU runs")
    chaos.kill(stack, victim)
    asking = threading.Thread(target=connect)
    asking.start()
    chaos.revive(stack, victim)
    asking.join(120)
    assert "offer" in result, result.get("error")
    with stack.open_session(result["offer"]) as session:
        assert session.alive()
    assert len(stack.rows_of(pool)) == 1
    chaos.check_consistency(stack)
    chaos.check_all_gone(stack, pool)


@pytest.fixture(scope="module")
def pool(stack):
    stack.publish("office")
    return "office"


@pytest.mark.limit(150)
@pytest.mark.parametrize("victim", SESSION_OUTLIVES)
def test_a_session_outlives(stack, pool, victim):
    with stack.session("alice", pool) as session:
        assert session.alive()
        chaos.kill(stack, victim)
        assert session.alive()
        assert not session.wait_closed(3)
        chaos.revive(stack, victim)
        assert session.alive()
        chaos.check_consistency(stack)
        assert session.alive()
    assert stack.person("alice").connect(pool)["desktop"]["id"] == session.offer["desktop"]["id"]


@pytest.mark.limit(150)
@pytest.mark.parametrize("victim", SESSION_ENDS)
def test_after_the_session_was_cut_the_same_desktop_comes_back(stack, pool, victim):
    with stack.session("alice", pool) as session:
        assert session.alive()
        chaos.kill(stack, victim)
        assert session.wait_closed(20)
        chaos.revive(stack, victim)
    # Until the host has told of it, a connect may still be offered what just died: asked again, as a person would.
    with stack.session_by_and_by("alice", pool) as again:
        assert again.alive()
        assert again.offer["desktop"]["id"] == session.offer["desktop"]["id"]
    chaos.check_consistency(stack)
