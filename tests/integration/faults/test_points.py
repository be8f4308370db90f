"""The daemons are killed at each of their named fault points (common/fault.h) while a desktop lives its whole life:
published, made, connected, restarted, deleted; and while a host joins. Each round has one point of each daemon set. What a person
does is tried again as a person would; nothing may be lost, doubled or left over."""
import itertools

import pytest

from harness import chaos
from harness.wait import wait_until

POINTS = chaos.fault_points()
ROUNDS = list(itertools.zip_longest(*([(daemon, name) for daemon, name in POINTS if daemon == one]
                                      for one in sorted({daemon for daemon, _ in POINTS}))))
ROUNDS = [[point for point in points if point] for points in ROUNDS]


def test_there_are_fault_points():
    assert {daemon for daemon, _ in POINTS} >= {"broker", "hostd"}


@pytest.fixture
def armed(stack, tmp_path, request):
    """The daemons run with their points set. {point: the file that is there until it fired}"""
    triggers = {}
    for daemon, name in request.param:
        triggers[name] = tmp_path / name
        triggers[name].write_text("")
        stack.daemons[daemon].kill()
        stack.daemons[daemon].environment = {"USHER_FAULT": name, "USHER_FAULT_FILE": str(triggers[name])}
    daemons = [daemon for daemon, _ in request.param]
    with chaos.supervised(stack, daemons):
        yield triggers
    for daemon in daemons:
        stack.daemons[daemon].environment = {}


@pytest.mark.limit(240)
@pytest.mark.parametrize("armed", ROUNDS, indirect=True, ids=[" ".join(name for _, name in points) for points in ROUNDS])
def test_a_desktops_life_with_deaths_in_it(stack, armed, request):
    pool = f"life-{ROUNDS.index(request.node.callspec.params['armed'])}"
    stack.until_it_works(lambda: stack.publish(pool, spares=1, maximum=2))
    with stack.session_by_and_by("alice", pool) as session:
        desktop = session.offer["desktop"]["id"]
    person = stack.until_it_works(lambda: stack.person("alice"))
    answer = stack.until_it_works(lambda: accepted(person.post(f"/desktops/{desktop}/restart")))
    assert answer.json["id"] == desktop
    with stack.session_by_and_by("alice", pool) as session:
        assert session.offer["desktop"]["id"] == desktop, "it is still hers"
    assert [row[0] for row in stack.rows_of(pool) if row[3]] == [desktop]
    stack.until_it_works(lambda: stack.join_host("other"))
    stack.until_it_works(lambda: gone(stack.admin().delete("/records/host/other")))
    stack.until_it_works(lambda: chaos.check_all_gone(stack, pool, 60), 120)
    chaos.check_consistency(stack)
    wait_until(lambda: all(stack.daemons[daemon].running() for daemon in stack.daemons), 10, "all daemons run")
    assert [name for name, trigger in armed.items() if trigger.exists()] == [], "fault points that were never reached"


def accepted(answer):
    assert answer.status == 202, answer
    return answer


def gone(answer):
    assert answer.status in (202, 204, 404), answer
