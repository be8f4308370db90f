"""A small broker under more than it can do: it says so at once, keeps answering what needs no database, and wakes many who wait."""
import concurrent.futures
import os
import pathlib
import signal
import time

import pytest
from alone import Alone
from harness.postgres import _children
from harness.wait import wait_until

WORKERS, QUEUE = 2, 16


@pytest.fixture(scope="module")
def small():
    with Alone({("broker", "database", "workers"): WORKERS, ("broker", "database", "queue"): QUEUE,
                ("broker", "broker", "log_level"): "info"}) as running:
        yield running
    assert running.exit_status == 0


def signal_database(alone, number):
    for pid in [alone.postgres.process.pid, *_children(alone.postgres.process.pid)]:
        os.kill(pid, number)


def test_a_full_queue_is_told_at_once(small):
    """With the database frozen, no more than the workers and their queue wait; all others get «busy»."""
    alice = small.person("alice")

    def ask(_number):
        began = time.monotonic()
        return alice.get("/api/v1/me"), time.monotonic() - began
    with concurrent.futures.ThreadPoolExecutor(60) as threads:
        signal_database(small, signal.SIGSTOP)
        try:
            asked = [threads.submit(ask, number) for number in range(60)]
            told = [one.result() for one in wait_until(lambda: enough_done(asked), 10, "the others were told")]
            assert all((answer.status, answer.error["code"]) == (503, "busy") and answer.headers["Retry-After"] for answer, _ in told)
            assert min(seconds for _, seconds in told) < 1
            assert small.nobody().get("/").status == 200
            wait_until(lambda: small.nobody().get("/api/v1/health").json["database"] == "unknown", 10, "health tells")
        finally:
            signal_database(small, signal.SIGCONT)
        assert {one.result()[0].status for one in asked} <= {200, 503}
    wait_until(lambda: alice.get("/api/v1/me").status == 200, 20, "it works again")


def enough_done(asked):
    done = [one for one in asked if one.done()]
    return done if len(done) >= 60 - WORKERS - QUEUE else None


def test_many_wait_and_all_are_woken(small):
    """Far more long polls than the queue holds: all are answered with the change, and nobody is told «busy» meanwhile."""
    admin = small.person("admin")
    version = admin.get("/api/v1/records/entitlement").json["resource_version"]
    target = f"/api/v1/records/entitlement?watch=1&after={version}&timeout_s=25"
    connections = [admin.connect() for _ in range(300)]
    for number, connection in enumerate(connections):
        connection.request("GET", target, headers=admin.headers)
        if number % 8 == 0:  # they come no faster than a small broker takes them
            assert admin.get("/api/v1/me").status == 200
    admin.apply("template", "tiny", version=1)
    admin.apply("pool", "office", display_name="Office", template="tiny", spares=0, maximum=3, vcpus=1, ram_mib=256,
                naming="office-{n}")
    admin.apply("entitlement", "office-users", pool="office", group="desktop-users")
    assert all(admin.get("/api/v1/me").status == 200 for _ in range(20))
    for connection in connections:
        response = connection.getresponse()
        assert response.status == 200 and b"office-users" in response.read()
        connection.close()


def test_those_who_hang_up_are_forgotten(small):
    admin = small.person("admin")
    version = admin.get("/api/v1/records/host").json["resource_version"]
    for number in range(50):
        connection = admin.connect()
        connection.request("GET", f"/api/v1/records/host?watch=1&after={version}&timeout_s=1", headers=admin.headers)
        connection.close()
        if number % 8 == 0:
            assert admin.get("/api/v1/me").status == 200
    last = admin.get(f"/api/v1/records/host?watch=1&after={version}&timeout_s=2")
    assert last.status == 200
    assert small.broker.running() and "CRITICAL" not in small.broker.tail()


def test_requests_leave_nothing_behind(small):
    """The memory of a broker doesn't grow with the requests it answered."""
    def resident_kib():
        status = (pathlib.Path("/proc") / str(small.broker.process.pid) / "status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])
    alice = small.person("alice")
    connection = alice.connect()

    def ask(times):
        for _ in range(times):
            connection.request("GET", "/api/v1/me", headers=alice.headers)
            assert connection.getresponse().read()
    ask(1000)
    before = resident_kib()
    ask(4000)
    connection.close()
    assert resident_kib() - before < 4000, "a kibibyte a request"
