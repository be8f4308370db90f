"""The broker is killed at each of its fault points of template versions (USHER_FAULT_POINT ("images.…")) while versions are taken in,
published, fetched, dropped and retired. The client asks again as a client would; then records and folder must say the same."""
import http.client
import random
import re

import images
import pytest
from alone import Alone
from harness.stack import SOURCE
from harness.wait import wait_until

POINTS = sorted({name for path in (SOURCE / "broker").rglob("*.c")
                 for name in re.findall(r'USHER_FAULT_POINT \("(images\.[^"]+)"\)', path.read_text())})


@pytest.fixture(scope="module")
def alone():
    with Alone() as running:
        yield running


@pytest.fixture(scope="module")
def disk(alone):
    return images.qcow2(alone.root / "good.qcow2", fill=random.Random(3).randbytes(1500000)).read_bytes()


class Client:
    """Asks until it is answered; starts the broker again when it died."""

    def __init__(self, alone, point):
        self.alone, self.flag = alone, alone.root / "fault"
        self.environment = {"USHER_FAULT": point, "USHER_FAULT_FILE": str(self.flag)}
        self.flag.touch()
        self.restart()
        self.admin = self.until(lambda: alone.person("admin"))
        self.host = self.until(lambda: alone.join(f"host-{point.split('.')[1]}", self.admin))

    def restart(self):
        self.alone.broker.stop()
        self.alone.broker.start(wait_s=0, **self.environment)

    def until(self, ask):
        def answered():
            if not self.alone.broker.running():
                self.alone.broker.start(wait_s=0, **self.environment)
            try:
                answer = ask()
            except (OSError, http.client.HTTPException):
                return None
            except AssertionError as error:
                if "503" in str(error):  # not ready yet
                    return None
                raise
            return answer if answer is True or getattr(answer, "status", 0) != 503 else None
        return wait_until(answered, 40, "the broker answers")

    def fired(self):
        return not self.flag.exists()

    def upload(self, name, disk, **more):
        body = images.wish(name, disk, **more)
        begun = self.until(lambda: images.begin(self.admin, name, body))
        assert begun.status in (200, 201), begun
        if "version" in begun.json:
            return begun.json["version"]

        def send():
            again = images.begin(self.admin, name, body)
            images.send(self.admin, again.json, "disk.qcow2", disk)
            return True
        self.until(send)
        done = self.until(lambda: images.finish(self.admin, begun.json["upload"]))
        assert done.status == 201, done
        return done.json["version"]

    def post(self, target, body):
        answer = self.until(lambda: self.admin.post(f"/api/v1/templates/{target}", body))
        assert answer.status == 200, answer
        return answer.json


def a_life(client, name, disk):
    alone, folder = client.alone, client.alone.root / "images"
    first = client.upload(name, disk)
    second = client.upload(name, disk, sealed=["other"])
    assert first < second
    client.post(f"{name}/publish", {"version": first})
    for one in ("manifest.json", "disk.qcow2"):
        got = client.until(lambda one=one: client.host.get(f"/host/v1/images/{name}/{first}/{one}"))
        assert got.status == 200
    assert got.body == disk
    client.post(f"{name}/retire", {"version": second})
    idle = client.until(lambda: images.begin(client.admin, name, images.wish(name, disk, sealed=["idle"])))
    client.until(lambda: images.piece(client.admin, idle.json["upload"], "disk.qcow2", 0, disk[:1000]))
    alone.postgres.query("update template_version set since = now() - interval '2 minutes' where state = 'retired'", "usher")
    alone.postgres.query("update template_upload set touched_at = now() - interval '2 days'", "usher")
    client.restart()  # sweeps as it starts

    def swept():
        if not alone.broker.running():
            client.restart()
        return not (folder / name / str(second)).exists() and not list((folder / ".uploads").iterdir()) \
            and not list((folder / ".trash").iterdir())
    wait_until(swept, 40, "what nobody needs is gone")
    client.until(lambda: client.admin.get("/api/v1/me"))
    check(client, name, disk, first, second)


def check(client, name, disk, first, second):
    folder = client.alone.root / "images"
    rows = client.alone.postgres.query(f"select version, state, stored from template_version where template = '{name}' order by 1", "usher")
    assert [tuple(row) for row in rows] == [(str(first), "published", "t"), (str(second), "retired", "f")]
    assert client.alone.postgres.query("select count(*) from template_upload", "usher")[0][0] == "0"
    assert sorted(one.name for one in (folder / name).iterdir()) == [str(first)]
    record = client.admin.get(f"/api/v1/records/template-version/{name}.{first}").json
    for one in record["spec"]["files"]:
        assert images.sha256((folder / name / str(first) / one["file"]).read_bytes()) == one["sha256"]
    assert sorted(one.name for one in (folder / name / str(first)).iterdir()) == ["disk.qcow2", "manifest.json"]
    created = client.alone.postgres.query(f"select count(*) from audit where action = 'create' and object = '{name}.{first}'", "usher")
    assert created[0][0] == "1", "one record, one line"


def test_there_are_points():
    assert len(POINTS) >= 12


@pytest.mark.parametrize("point", POINTS)
def test_death_at(alone, disk, point):
    client = Client(alone, point)
    a_life(client, f"life-{point.split('.')[1]}", disk)
    assert client.fired(), "it never died there"
