"""Kinds of pools, through everything: wiped at sign-out, a fresh system, forked at the click."""
import concurrent.futures
import time

import pytest

from harness import chaos
from harness.stack import Stack
from harness.wait import wait_until


@pytest.fixture(scope="module")
def stack():
    with Stack() as running:
        running.publish("float", maximum=4, spares=0, assignment="floating")
        yield running


def desktop(stack, name):
    answer = stack.admin().get(f"/records/desktop/{name}")
    return answer.json if answer.status == 200 else None


def sign_out(stack, person):
    """Also everywhere else this account is signed in (tests sign in again and again)."""
    name = person.get("/me").json["user"]["name"]
    stack.rows(f"delete from web_session w using person o where o.id = w.person and o.key = '{name}' and w.created_at < "
               f"(select max(created_at) from web_session x where x.person = o.id)")
    assert person.post("/signout").status == 204


@pytest.mark.limit(240)
def test_a_floating_desktop_is_wiped_at_sign_out(stack):
    person = stack.person("alice")
    with stack.open_session(person.connect("float", seconds=180)) as session:
        assert session.alive()
        first = session.offer["desktop"]
        assert first["assignment"] == "floating"
        sign_out(stack, person)
        assert session.wait_closed(30), "the session ends with the desktop"
    wait_until(lambda: first["id"] not in stack.disks() | stack.domain_ids(), 60, "nothing of it is left")
    again = stack.person("alice").connect("float", seconds=180)
    assert again["desktop"]["id"] != first["id"]


@pytest.mark.limit(240)
def test_clones_and_parents_are_shown(stack):
    """Whatever this host can: forked desktops, or linked ones and why."""
    stack.person("bob").connect("float", seconds=180)
    shown = next(one["status"] for one in stack.admin().records("desktop") if one["spec"]["owner"] == "bob")
    pool = stack.admin().get("/records/pool/float").json["status"]
    parents = stack.admin().records("host")[0]["status"]["parents"]
    assert shown["clone"] == "instant" or shown["clone_reason"]
    assert pool["clone"] == "instant" or pool["clone_reason"].startswith("linked clones: ")
    assert any(parent["template"]["name"] == "tiny" and parent["since"] for parent in parents), (shown, pool, parents)


@pytest.mark.limit(240)
def test_four_at_once_in_a_pool_for_four(stack):
    """Also who comes while the spare is being planned or placed gets it: nobody is told that the pool is full."""
    stack.publish("four", maximum=4, spares=1)

    def first_answer(name):
        return stack.person(name).post("/pools/four/connect", {"client": "spice"})
    with concurrent.futures.ThreadPoolExecutor(4) as crowd:
        answers = list(crowd.map(first_answer, ("alice", "bob", "erin", "frank")))
    assert all(answer.status in (200, 202) for answer in answers), answers
    chaos.check_all_gone(stack, "four", 90)


@pytest.mark.limit(300)
def test_a_fresh_system_keeps_desktop_and_data(stack):
    stack.publish("fresh", maximum=2, assignment="fresh-system", data_gib=1)
    person = stack.person("bob")
    with stack.open_session(person.connect("fresh", seconds=180)) as session:
        assert session.alive()
        name, first = session.offer["desktop"]["name"], session.offer["desktop"]["id"]
    data = next(stack.root.glob(f"**/desktops/{first}/data.qcow2"))
    system = next(stack.root.glob(f"**/desktops/{first}/disk.qcow2"))
    kept, gone = data.stat().st_ino, (system.stat().st_ino, system.stat().st_mtime_ns)
    sign_out(stack, person)
    wait_until(lambda: desktop(stack, name)["status"]["system_revision"] == 1, 120, "its system was made anew")
    with stack.session("bob", "fresh", 180) as session:
        assert session.alive() and session.offer["desktop"]["id"] == first
    assert data.stat().st_ino == kept
    assert (system.stat().st_ino, system.stat().st_mtime_ns) != gone
    chaos.check_all_gone(stack, "fresh", 90)


@pytest.mark.limit(240)
def test_a_click_without_a_spare(stack):
    """One question that is answered when the desktop is there; the figures are for the log."""
    wait_until(lambda: any(parent["state"] != "building" for parent in stack.admin().records("host")[0]["status"]["parents"]), 120,
               "the parent is built, or cannot be")
    for _ in range(3):
        person = stack.person("alice")
        began = time.monotonic()
        answer = person.post("/pools/float/connect", {"client": "spice", "wait_s": 25})
        took = time.monotonic() - began
        with stack.open_session(answer.json) as session:
            assert session.alive()
            print(f"# ticket after {took:.2f} s, console after {time.monotonic() - began:.2f} s")
        assert answer.status == 200
        sign_out(stack, person)


@pytest.mark.limit(150)
def test_a_deleted_pool_leaves_nothing(stack):
    chaos.check_all_gone(stack, "float", 90)
    assert not stack.domain_ids() - {row[0] for row in stack.desktop_rows()}
