"""The slice through everything, with a guest that boots in seconds: sign in, connect, work, come back."""
import pytest

from harness import chaos
from harness.stack import Stack
from harness.wait import wait_until


@pytest.fixture(scope="module")
def stack():
    with Stack(brokers=2) as running:
        running.publish("office", spares=1)
        yield running


@pytest.mark.limit(150)
def test_a_person_works_and_comes_back_to_the_same_desktop(stack):
    with stack.session("alice", "office") as session:
        assert session.alive()
        first = session.offer["desktop"]["id"]
    with stack.session("alice", "office") as session:
        assert session.alive() and session.offer["desktop"]["id"] == first


@pytest.mark.limit(150)
def test_two_people_have_two_desktops(stack):
    with stack.session("alice", "office") as one, stack.session("bob", "office") as other:
        assert one.alive() and other.alive()
        assert one.offer["desktop"]["id"] != other.offer["desktop"]["id"]


@pytest.mark.limit(150)
def test_the_pool_makes_a_new_spare_when_one_was_taken(stack):
    stack.person("alice").connect("office")
    wait_until(lambda: any(row[2] == "spare" for row in stack.rows_of("office")), 90, "there is a spare")


@pytest.mark.limit(150)
def test_a_restart_brings_the_same_desktop_back(stack):
    person = stack.person("alice")
    offer = person.connect("office")
    with stack.open_session(offer) as session:
        assert session.alive()
        assert person.post(f"/desktops/{offer['desktop']['id']}/restart").status == 202
    with stack.session("alice", "office") as session:
        assert session.alive() and session.offer["desktop"]["id"] == offer["desktop"]["id"]


def test_another_persons_desktop_is_missing(stack):
    desktop = stack.person("alice").connect("office")["desktop"]["id"]
    assert stack.person("bob").post(f"/desktops/{desktop}/restart").status == 404


@pytest.mark.limit(120)
def test_signing_out_revokes_the_cookie(stack):
    person = stack.person("alice")
    assert person.get("/me").status == 200
    assert person.post("/signout").status == 204
    assert person.get("/me").status == 401


@pytest.mark.limit(150)
def test_two_brokers_one_dies_people_go_on(stack):
    """Sign-in, connect and session work through the other broker, and both see one truth."""
    with stack.session("alice", "office") as session:
        stack.daemons["broker"].kill()
        try:
            assert session.alive()
            again = stack.until_it_works(lambda: stack.person("alice"), 30)
            offer = again.connect("office")
            assert offer["desktop"]["id"] == session.offer["desktop"]["id"]
        finally:
            stack.daemons["broker"].start()
    chaos.check_consistency(stack)


@pytest.mark.limit(150)
def test_a_deleted_pool_leaves_nothing(stack):
    chaos.check_all_gone(stack, "office", 90)
    assert not stack.domain_ids() and not stack.disks()
