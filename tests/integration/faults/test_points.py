"""The daemons are killed at each of their named fault points (common/fault.h) while a desktop lives its whole life:
published, made, connected, restarted, deleted; and while a host joins. What a person does is tried again as a person
would; nothing may be lost, doubled or left over.

One life has many deaths: a daemon that died at one point is started again with the next one set."""
import json
import signal
import socket
import traceback

import pytest

from harness import chaos
from harness.daemon import Daemon
from harness.net import free_port
from harness.stack import BUILD
from harness.wait import wait_until

POINTS = chaos.fault_points(of_every_life=True)
LIVES = 8


def accepted(answer):
    assert answer.status == 202, answer
    return answer


def gone(answer):
    assert answer.status in (202, 204, 404), answer


def signed_out(answer):
    assert answer.status == 204, answer


def a_floating_linked_life(stack, name, pool):
    """Signed out everywhere: a sign-in whose answer was lost would count as another."""
    stack.until_it_works(lambda: stack.publish(pool, maximum=1, assignment="floating", clone="linked"), 90)
    person = stack.until_it_works(lambda: stack.person(name))
    stack.until_it_works(lambda: person.connect(pool, seconds=20), 180)
    stack.rows(f"delete from web_session w using person o where o.id = w.person and o.key = '{name}' and w.created_at < "
               "(select max(created_at) from web_session x where x.person = o.id)")
    stack.until_it_works(lambda: signed_out(person.post("/signout")))
    wait_until(lambda: not any(row[3] and row[2] != "draining" for row in stack.rows_of(pool)), 60, "the floating desktop is wiped")
    stack.until_it_works(lambda: chaos.check_all_gone(stack, pool, 60), 180)


def a_life(stack, pool):
    stack.until_it_works(lambda: stack.publish(pool, maximum=1), 90)
    with stack.session_by_and_by("alice", pool, 180) as session:
        desktop = session.offer["desktop"]["id"]
    person = stack.until_it_works(lambda: stack.person("alice"))
    answer = stack.until_it_works(lambda: accepted(person.post(f"/desktops/{desktop}/restart")))
    assert answer.json["id"] == desktop
    with stack.session_by_and_by("alice", pool, 180) as session:
        assert session.offer["desktop"]["id"] == desktop, "it is still hers"
    assert [row[0] for row in stack.rows_of(pool) if row[3]] == [desktop]
    stack.until_it_works(lambda: stack.publish(pool, maximum=2, spares=1), 90)
    wait_until(lambda: len(stack.rows_of(pool)) == 2, 60, "a spare is planned")
    a_floating_linked_life(stack, "bob", f"{pool}-float")
    stack.until_it_works(lambda: stack.join_host("other"))
    stack.until_it_works(lambda: gone(stack.admin().delete("/records/host/other")))
    stack.until_it_works(lambda: chaos.check_all_gone(stack, pool, 60), 180)
    chaos.check_consistency(stack)


@pytest.fixture(scope="module")
def lives(stack, tmp_path_factory):
    """{point: what went wrong in the life in which it fired, or None}; a point that never fired isn't in it."""
    gauntlet = chaos.Gauntlet(stack, tmp_path_factory.mktemp("points"))
    told = {}
    for number in range(LIVES):
        before, wrong = len(gauntlet.fired), None
        with gauntlet.one_life():
            try:
                a_life(stack, f"life-{number}")
            except Exception:  # told by each of its points
                wrong = traceback.format_exc()
        told.update(dict.fromkeys(gauntlet.fired[before:], wrong))
        print(f"# life {number}: died at {gauntlet.fired[before:]}{', and then it went wrong' if wrong else ''}; "
              f"to come: {gauntlet.left}")
        if not any(gauntlet.left.values()) or (number >= 2 and len(gauntlet.fired) == before):
            break
    return told


def test_there_are_fault_points():
    assert {daemon for daemon, _ in POINTS} >= {"broker", "hostd", "gateway", "door"}


@pytest.mark.parametrize("point", POINTS, ids=[f"{daemon}:{name}" for daemon, name in POINTS])
def test_death_at(lives, point):
    assert point in lives, "no desktop's life comes to this point"
    assert lives[point] is None, f"died there, and then:\n{lives[point]}"


@pytest.mark.limit(90)
def test_death_while_the_schema_is_made(stack, tmp_path):
    """A broker on a new database is killed between migrations; the next one finishes them."""
    stack.postgres.query("create database fresh owner usher_owner")
    text = (stack.root / "config/broker.conf").read_text().replace("dbname=usher ", "dbname=fresh ")
    for old in (stack.api_socket("broker"), stack.gateway_socket("broker")):
        text = text.replace(str(old), str(tmp_path / old.name))
    config = tmp_path / "broker.conf"
    config.write_text(text.replace(f"127.0.0.1:{stack.host_ports['broker']}", f"127.0.0.1:{free_port()}"))
    trigger = tmp_path / "fault"
    trigger.write_text("")
    broker = Daemon("fresh-broker", [BUILD / "usher-broker", "--config", config], tmp_path)
    broker.start(wait_s=0, USHER_FAULT=chaos.ONCE, USHER_FAULT_FILE=str(trigger))
    try:
        assert broker.wait_end(30) == -signal.SIGKILL and not trigger.exists()
        broker.start(wait_s=0)
        wait_until(lambda: stack.postgres.query("select 1 from pg_views where viewname = 'record_audit'", "fresh"), 30,
                   "the schema is whole")
        wait_until(lambda: '"database": "ok"' in health(tmp_path / "broker-api.sock"), 30, "the broker says its database is ok")
    finally:
        broker.kill()


def health(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(str(path))
        stream.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX-Usher-Client: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return json.dumps(json.loads(stream.makefile("rb").read().split(b"\r\n\r\n", 1)[1]))
