"""The sync with answers that overtake each other, and a broker whose records went back."""
import threading

import pytest

from harness.wait import wait_until
from rig import Rig, new_id


@pytest.fixture
def brief_host():
    """Its guests may take two seconds to restart by themselves."""
    with Rig(shutdown_s=2) as rig:
        yield rig


@pytest.mark.limit(90)
def test_an_older_answer_does_not_undo_a_newer_one(brief_host):
    host, desktop, another = brief_host, new_id(), new_id()
    host.broker.want(desktop, "office-1")
    host.wait_state(desktop, "ready", 30)
    release = threading.Event()
    host.broker.holding = release
    host.broker.change(desktop, restart_revision=1)         # what is seen changes: a sync that does not wait
    wait_until(lambda: host.broker.held, 60, "its answer is on its way: to be running")
    host.broker.change(desktop, wanted="stopped")           # the waiting sync says so at once
    host.wait_state(desktop, "stopped", 40)
    host.broker.holding = None
    release.set()
    host.broker.want(another, "office-2")                   # when this is done hostd has the older answer
    host.wait_state(another, "ready", 30)
    seen = host.wait_state(desktop, "stopped", 10)
    assert seen["starts"] == 1, "it was not started by the older answer"


@pytest.mark.limit(60)
def test_a_broker_whose_records_went_back(fake_host):
    host, desktop, forgotten = fake_host, new_id(), new_id()
    host.broker.want(desktop, "office-1")
    host.broker.want(forgotten, "office-2")
    for one in (desktop, forgotten):
        host.wait_state(one, "ready", 30)
    host.broker.stop()
    host.broker.version = 1                                  # a restored database
    del host.broker.wanted[forgotten]
    host.broker.start()
    host.wait_state(forgotten, "absent", 40)
    host.broker.change(desktop, wanted="gone")
    host.wait_state(desktop, "absent", 40)
    host.assert_nothing_left()


@pytest.mark.limit(60)
def test_one_waits_and_few_are_sent_when_nothing_happens(fake_host):
    host, desktop = fake_host, new_id()
    host.broker.want(desktop, "office-1")
    host.wait_state(desktop, "ready", 30)
    wait_until(lambda: host.broker.requests, 5, "it asks")
    quiet = threading.Event()
    quiet.wait(4)                                            # the last confirmation is over
    before = host.broker.requests
    quiet.wait(8)
    assert host.broker.requests - before <= 1
