"""The slice through everything, with a guest that boots in seconds: sign in, connect, work, come back."""
import concurrent.futures

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
def test_two_brokers_see_one_truth(stack):
    """The host syncs with the first broker, the person comes through the second."""
    with stack.session("alice", "office", gateway="gateway2") as session:
        assert session.alive()
    with stack.session("alice", "office") as again:
        assert again.alive() and again.offer["desktop"]["id"] == session.offer["desktop"]["id"]


@pytest.mark.limit(150)
def test_a_sign_in_is_good_at_every_broker(stack):
    one = stack.person("alice")
    other = stack.client("gateway2")
    other.cookie = one.cookie
    assert other.get("/me").json["user"]["name"] == "alice"
    assert other.post("/signout").status == 204
    assert one.get("/me").status == 401


@pytest.mark.limit(150)
def test_connecting_through_both_at_once_gives_one_desktop(stack):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        people = [stack.person("bob", gateway=gateway) for gateway in ("gateway", "gateway2") for _ in range(4)]
        offers = list(pool.map(lambda person: person.connect("office"), people))
    assert len({offer["desktop"]["id"] for offer in offers}) == 1
    assert len({offer["ticket"] for offer in offers}) == len(offers)


@pytest.mark.limit(150)
def test_one_of_two_brokers_dies_and_people_go_on(stack):
    with stack.session("alice", "office", gateway="gateway2") as session:
        stack.daemons["broker2"].kill()
        try:
            assert session.alive()
            with stack.session("alice", "office") as again:
                assert again.alive() and again.offer["desktop"]["id"] == session.offer["desktop"]["id"]
        finally:
            stack.daemons["broker2"].start()
    chaos.check_consistency(stack)


@pytest.mark.limit(150)
def test_a_deleted_pool_leaves_nothing(stack):
    chaos.check_all_gone(stack, "office", 90)
    assert not stack.domain_ids() and not stack.disks()
