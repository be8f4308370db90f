"""Each daemon is killed once at each of its named fault points (common/fault.h) while a desktop lives its whole
life: made, connected, restarted, deleted. It must come through, once each, with nothing left over."""
import pytest

from harness import chaos
from harness.wait import wait_until

POINTS = chaos.fault_points()


def test_there_are_fault_points():
    assert {daemon for daemon, _ in POINTS} >= {"broker", "hostd"}


@pytest.fixture
def armed(stack, tmp_path, request):
    """The daemon runs with the fault point set; the file says that it has not fired yet."""
    daemon, name = request.param
    trigger = tmp_path / "fault"
    trigger.write_text("")
    stack.daemons[daemon].kill()
    stack.daemons[daemon].environment = {"USHER_FAULT": name, "USHER_FAULT_FILE": str(trigger)}
    with chaos.supervised(stack, [daemon]) as ended:
        yield daemon, trigger, ended
    stack.daemons[daemon].environment = {}


@pytest.mark.limit(200)
@pytest.mark.parametrize("armed", POINTS, indirect=True, ids=[f"{daemon}:{name}" for daemon, name in POINTS])
def test_a_desktops_life_with_a_death_in_it(stack, armed, request):
    _daemon, trigger, ended = armed
    pool = f"life-{POINTS.index(request.node.callspec.params['armed'])}"
    stack.until_it_works(lambda: stack.publish(pool, spares=1, maximum=2))
    with stack.session_by_and_by("alice", pool) as session:
        session.alive_or_cut()
    desktop = session.offer["desktop"]["id"]
    person = stack.until_it_works(lambda: stack.person("alice"))
    answer = stack.until_it_works(lambda: person.post(f"/desktops/{desktop}/restart"))
    assert answer.status == 202, answer
    with stack.session_by_and_by("alice", pool) as session:
        assert session.offer["desktop"]["id"] == desktop
    assert len([row for row in stack.rows_of(pool) if row[3]]) == 1
    stack.until_it_works(lambda: chaos.check_all_gone(stack, pool, 90))
    assert not trigger.exists(), "the fault point was never reached"
    wait_until(lambda: ended, 5, "the supervisor saw the death")
    chaos.check_consistency(stack)
