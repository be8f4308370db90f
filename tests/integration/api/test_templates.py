"""Template versions from their first octet to the last host that has them: uploads, checks, publishing, downloads, the sync."""
import fcntl
import json
import os
import pathlib
import random
import stat
import time

import images
import pytest
from alone import Alone
from harness.wait import wait_until

MORE = {("broker", "templates", "max_upload_mib"): 8, ("broker", "templates", "max_disk_gib"): 4,
        ("broker", "templates", "max_uploads"): 4, ("broker", "templates", "upload_idle_s"): 600}


@pytest.fixture(scope="module")
def alone():
    with Alone(more=MORE) as running:
        yield running
    assert running.exit_status == 0


@pytest.fixture(scope="module")
def admin(alone):
    return alone.person("admin")


@pytest.fixture(scope="module")
def host(alone, admin):
    return alone.join("kvm1", admin)


@pytest.fixture(scope="module")
def disk(alone):
    """Some MiB that do not compress away, so that it comes in several pieces."""
    return images.qcow2(alone.root / "good.qcow2", fill=random.Random(7).randbytes(5 * images.MIB // 2)).read_bytes()


def folder(alone, *names):
    return alone.root.joinpath("images", *names)


def version(admin, name):
    return admin.get(f"/api/v1/records/template-version/{name}").json


def rules(answer):
    return [reason["rule"] for reason in answer.error["reasons"]]


# ---- taking in ----

def test_an_upload_becomes_a_version(alone, admin, disk):
    kernel, initrd = b"kernel" * 100, b"initrd" * 100
    boot = {"kernel": "vmlinuz", "initrd": "initrd.img", "cmdline": "quiet"}
    answer = images.upload(admin, "first", disk, boot=boot, others=[("vmlinuz", kernel), ("initrd.img", initrd)], note="the first")
    assert answer.status == 201 and answer.json == {"name": "first", "version": 1}
    record = version(admin, "first.1")
    assert record["kind"] == "template-version" and record["status"]["state"] == "draft" and record["status"]["stored"]
    assert record["status"]["created_by"] == "admin" and record["status"]["hosts"] == [] and record["status"]["desktops"] == 0
    assert [one["file"] for one in record["spec"]["files"]] == ["manifest.json", "disk.qcow2", "initrd.img", "vmlinuz"]
    place = folder(alone, "first", "1")
    for one in record["spec"]["files"]:
        data = (place / one["file"]).read_bytes()
        assert (len(data), images.sha256(data)) == (one["size"], one["sha256"])
        assert stat.S_IMODE((place / one["file"]).stat().st_mode) == 0o444
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest == record["spec"]["manifest"] and (manifest["version"], manifest["note"]) == (1, "the first")
    assert stat.S_IMODE(place.stat().st_mode) == 0o755 and list(folder(alone, ".uploads").iterdir()) == []
    assert ("ok", "") in alone.audit("create")
    why = admin.get(f"/api/v1/why/{record['id']}").json
    assert why["explanation"][0]["rule"] == "draft" and why["audit"]
    assert admin.put("/api/v1/records/template-version/first.1", {"spec": {}}).status == 403
    assert admin.delete("/api/v1/records/template-version/first.1").status == 403


def test_the_same_again_is_known(admin, disk):
    body = images.wish("again", disk)
    begun = images.begin(admin, "again", body)
    assert begun.status == 201
    second = images.begin(admin, "again", {**body, "note": "told otherwise"})
    assert second.status == 200 and second.json["upload"] == begun.json["upload"]
    images.send(admin, begun.json, "disk.qcow2", disk)
    answers = [images.finish(admin, begun.json["upload"]) for _ in range(2)]
    assert [(one.status, one.json["version"]) for one in answers] == [(201, 1), (201, 1)], "a lost answer is asked for again"
    third = images.begin(admin, "again", body)
    assert third.status == 200 and third.json == {"version": 1}


def test_a_cut_upload_goes_on(alone, admin, disk):
    """The broker dies in the middle; who goes on begins the same again and is told how far it came."""
    body = images.wish("cut", disk)
    begun = images.begin(admin, "cut", body).json
    assert begun["chunk_max"] == images.MIB
    assert images.piece(admin, begun["upload"], "disk.qcow2", 0, disk[:images.MIB]).json == {"received": images.MIB}
    alone.broker.kill()
    alone.broker.start()
    wait_until(lambda: admin.get("/api/v1/me", check=False).status == 200, 20, "the broker is back")
    again = images.begin(admin, "cut", body).json
    assert again["upload"] == begun["upload"] and again["files"] == [{"file": "disk.qcow2", "received": images.MIB}]
    for offset in (0, images.MIB - 1, 2 * images.MIB):
        answer = images.piece(admin, again["upload"], "disk.qcow2", offset, b"x")
        assert answer.status == 409 and answer.error["reasons"] == [{"rule": "received", "message": str(images.MIB)}]
    early = images.finish(admin, again["upload"])
    assert early.status == 400 and rules(early) == ["size"]
    images.send(admin, again, "disk.qcow2", disk)
    assert images.finish(admin, again["upload"]).json == {"name": "cut", "version": 1}


def test_pieces_are_refused(alone, admin, disk):
    begun = images.begin(admin, "pieces", images.wish("pieces", disk)).json
    upload = begun["upload"]
    try:
        assert images.piece(admin, upload, "other", 0, b"x").status == 404
        assert images.piece(admin, upload, "..%2fdisk", 0, b"x").status == 400
        assert images.piece(admin, "11111111-2222-4333-8444-555555555555", "disk.qcow2", 0, b"x").status == 404
        assert images.piece(admin, "none", "disk.qcow2", 0, b"x").status == 400
        assert images.piece(admin, upload, "disk.qcow2", 0, b"x" * (images.MIB + 1)).status == 413
        assert images.piece(admin, upload, "disk.qcow2", 0, b"{}", headers={"Content-Type": "application/json"}).status == 400
        assert images.piece(admin, upload, "disk.qcow2", 0, b"x", headers={"Origin": "https://evil.example"}).status == 403
        assert admin.request("PUT", f"/api/v1/templates/uploads/{upload}/disk.qcow2", raw=b"x",
                             headers={"Content-Type": "application/octet-stream"}).status == 400
        # Octets are for that route alone.
        for target in ("/api/v1/templates/pieces/publish", f"/api/v1/templates/uploads/{upload}/finish"):
            assert admin.post(target, raw=b"{}", headers={"Content-Type": "application/octet-stream"}).status == 400
        images.send(admin, begun, "disk.qcow2", disk)
        assert images.piece(admin, upload, "disk.qcow2", len(disk), b"x").status == 413
        assert images.piece(admin, upload, "disk.qcow2", len(disk), b"").status == 200
    finally:
        assert admin.delete(f"/api/v1/templates/uploads/{upload}").status == 204
    assert not folder(alone, ".uploads", upload).exists()
    assert admin.delete(f"/api/v1/templates/uploads/{upload}").status == 404
    assert admin.delete("/api/v1/templates/uploads/none").status == 400
    assert images.finish(admin, upload).status == 404


def test_a_wrong_checksum_is_sent_again(alone, admin, disk):
    begun = images.begin(admin, "damaged", images.wish("damaged", disk)).json
    images.send(admin, begun, "disk.qcow2", disk[:-1] + bytes([disk[-1] ^ 1]))
    answer = images.finish(admin, begun["upload"])
    assert answer.status == 400 and rules(answer) == ["checksum"]
    again = images.begin(admin, "damaged", images.wish("damaged", disk)).json
    assert again["files"] == [{"file": "disk.qcow2", "received": 0}]
    images.send(admin, again, "disk.qcow2", disk)
    assert images.finish(admin, again["upload"]).status == 201
    wait_until(lambda: any(outcome == "invalid" and "SHA-256" in message for outcome, message in alone.audit("upload")), 5, "it is audited")


def test_evil_images_are_refused(alone, admin):
    place = alone.root / "evil"
    place.mkdir()
    for what, data, size in images.evil_images(place):
        body = images.wish("evil", data, size)
        begun = images.begin(admin, "evil", body).json
        images.send(admin, begun, "disk.qcow2", data)
        answer = images.finish(admin, begun["upload"])
        assert answer.status in (400, 403) and rules(answer) == ["image"], (what, answer)
        assert admin.delete(f"/api/v1/templates/uploads/{begun['upload']}").status == 204
    assert not folder(alone, "evil").exists()
    assert (place / "secret").read_text() == "not yours"


def test_what_is_announced_is_checked(admin, disk):
    good = images.wish("checked", disk)
    cases = [
        (400, "body.manifest: version", {**good, "manifest": {**good["manifest"], "version": 3}}),
        (400, "body.manifest: name", {**good, "manifest": {**good["manifest"], "name": "other"}}),
        (400, "body.manifest: files: must name disk.qcow2", {**good, "files": [images.about("other", b"x")]}),
        (400, "another sha256", {**good, "files": [{**good["files"][0], "sha256": "0" * 64}]}),
        (400, "files[0].size", {**good, "files": [{**good["files"][0], "size": 0}]}),
        (400, "body.files", {"manifest": good["manifest"]}),
        (400, "surprise", {**good, "surprise": 1}),
        (409, "parent_version", {**good, "parent_version": 7}),
        (413, "max_upload_mib", {**good, "files": [{**good["files"][0], "size": 9 * images.MIB}]}),
        (413, "max_disk_gib", images.wish("checked", disk, 5 << 30)),
    ]
    for status, says, body in cases:
        answer = images.begin(admin, "checked", body)
        assert answer.status == status and says in answer.error["message"], answer
    assert images.begin(admin, "Not_a_name", good).status == 400


def test_so_many_at_a_time(admin, disk):
    bodies = [images.wish("many", disk, note=f"{n}", sealed=[f"step-{n}"]) for n in range(5)]
    begun = [images.begin(admin, "many", body) for body in bodies]
    assert [one.status for one in begun] == [201] * 4 + [503]
    assert begun[4].error["code"] == "exhausted" and begun[4].headers["Retry-After"]
    for one in begun[:4]:
        assert admin.delete(f"/api/v1/templates/uploads/{one.json['upload']}").status == 204


def test_one_works_on_an_upload_at_a_time(alone, admin, disk):
    """Whoever holds the lock, be it another broker, is waited for; a dead one holds nothing."""
    begun = images.begin(admin, "locked", images.wish("locked", disk)).json
    images.send(admin, begun, "disk.qcow2", disk)
    with open(folder(alone, ".uploads", begun["upload"] + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for answer in (images.finish(admin, begun["upload"]), images.piece(admin, begun["upload"], "disk.qcow2", len(disk), b""),
                       admin.delete(f"/api/v1/templates/uploads/{begun['upload']}")):
            assert (answer.status, answer.error["code"]) == (503, "busy"), answer
    assert images.finish(admin, begun["upload"]).status == 201


SLOW = """#!/usr/bin/python3
import time
time.sleep(60)
"""


def test_a_broker_ends_in_the_middle_of_a_check(alone, admin, disk):
    """qemu-img that takes a minute: the broker ends at once all the same, and the upload is finished with the next one."""
    slow = alone.root / "slow"
    slow.write_text(SLOW)
    slow.chmod(0o755)
    begun = images.begin(admin, "slow", images.wish("slow", disk)).json
    images.send(admin, begun, "disk.qcow2", disk)
    inside = alone.broker.inside
    alone.broker.stop()
    alone.broker.inside = lambda words: ["unshare", "-m", "sh", "-ec", 'mount --bind "$0" /usr/bin/qemu-img; exec "$@"', str(slow), *words]
    alone.broker.start()
    wait_until(lambda: admin.get("/api/v1/me", check=False).status == 200, 20, "the broker is back")
    connection = admin.connect()
    connection.request("POST", f"/api/v1/templates/uploads/{begun['upload']}/finish", b"{}",
                       {**admin.headers, "Content-Type": "application/json"})

    def checking():
        pid = alone.broker.process.pid
        threads = [one.read_text() for one in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
        return any(child.strip() for child in threads)
    wait_until(checking, 20, "qemu-img runs")
    begin = time.monotonic()
    assert alone.broker.stop() == 0 and time.monotonic() - begin < 8
    assert connection.getresponse().status == 503
    connection.close()
    alone.broker.inside = inside
    alone.broker.start()
    wait_until(lambda: admin.get("/api/v1/me", check=False).status == 200, 20, "the broker is back")
    assert images.finish(admin, begun["upload"]).status == 201


def test_a_full_disk_is_said_so(alone, admin, disk):
    """The folder on a disk of 5 MiB, which only the broker sees."""
    small = alone.root / "small"
    small.mkdir(exist_ok=True)
    inside = alone.broker.inside
    alone.broker.stop()
    alone.broker.inside = lambda words: ["unshare", "-m", "sh", "-ec", 'mount -t tmpfs -o size=5m none "$0"; exec "$@"',
                                         str(folder(alone)), *words]
    alone.broker.start()
    try:
        wait_until(lambda: admin.get("/api/v1/me", check=False).status == 200, 20, "the broker is back")
        first, second = (images.begin(admin, "full", images.wish("full", disk, sealed=[f"step-{n}"])).json for n in (1, 2))
        other = images.qcow2(small / "big.qcow2", fill=random.Random(1).randbytes(7 * images.MIB)).read_bytes()
        answer = images.begin(admin, "full", images.wish("full", other))
        assert (answer.status, answer.error["code"]) == (503, "exhausted") and "MiB are free" in answer.error["message"]
        images.send(admin, first, "disk.qcow2", disk)
        answers = [images.piece(admin, second["upload"], "disk.qcow2", offset, disk[offset:offset + images.MIB])
                   for offset in range(0, len(disk), images.MIB)]
        assert [one.status for one in answers] == [200, 200, 503] and answers[2].error["code"] == "exhausted", answers
        assert images.finish(admin, first["upload"]).status == 201, "what came before is not lost"
    finally:
        alone.broker.stop()
        alone.broker.inside = inside
        alone.broker.start()
        wait_until(lambda: admin.get("/api/v1/me", check=False).status == 200, 20, "the broker is back")
        alone.postgres.query("delete from template_upload", "usher")


def test_a_folder_without_a_record_is_passed_over(alone, admin, disk):
    foreign = folder(alone, "foreign", "4")
    foreign.mkdir(parents=True)
    (foreign / "manifest.json").write_text("{}")
    assert images.upload(admin, "foreign", disk).json == {"name": "foreign", "version": 5}
    assert (foreign / "manifest.json").read_text() == "{}"


def test_idle_uploads_go(alone, admin, disk):
    begun = images.begin(admin, "idle", images.wish("idle", disk)).json
    images.piece(admin, begun["upload"], "disk.qcow2", 0, disk[:1000])
    stray = folder(alone, ".uploads", "99999999-2222-4333-8444-555555555555")
    stray.mkdir()
    (stray / "disk.qcow2").write_bytes(b"x")
    alone.postgres.query("update template_upload set touched_at = now() - interval '700 seconds'", "usher")
    alone.broker.stop()
    alone.broker.start()  # sweeps as it starts
    wait_until(lambda: not stray.exists() and not folder(alone, ".uploads", begun["upload"]).exists(), 30, "they are swept")
    wait_until(lambda: admin.get("/api/v1/me", check=False).status == 200, 20, "the broker is back")
    assert images.finish(admin, begun["upload"]).status == 404
    assert any("nobody went on" in message for _, message in alone.audit("upload"))


# ---- publishing ----

@pytest.fixture(scope="module")
def versions(admin, host, disk):
    """Template «desk» with three versions, the last of which needs more than its pool gives; pool «desk»."""
    for n in (1, 2):
        assert images.upload(admin, "desk", disk, sealed=[f"step-{n}"], note=f"{n}").json["version"] == n
    assert images.upload(admin, "desk", disk, minimum={"vcpus": 4, "ram_mib": 512}, default={"vcpus": 4, "ram_mib": 512}).json["version"] == 3
    published = admin.post("/api/v1/templates/desk/publish", {"version": 1})
    assert published.status == 200 and published.json["spec"]["version"] == 1 and published.json["status"]["versions"] == 3
    admin.apply("pool", "desk", display_name="Desk", template="desk", spares=1, maximum=2, vcpus=1, ram_mib=256, naming="desk-{n}")
    return "desk"


def test_publish_and_roll_back(alone, admin, host, versions):
    assert version(admin, "desk.1")["status"]["state"] == "published"
    answer = admin.post("/api/v1/templates/desk/publish", {"version": 3})
    assert answer.status == 409 and rules(answer) == ["size"] and "4" in answer.error["reasons"][0]["message"]
    assert admin.post("/api/v1/templates/desk/publish", {"version": 9}).status == 404
    assert admin.post("/api/v1/templates/nothing/publish", {"version": 1}).status == 404
    assert admin.post("/api/v1/templates/desk/publish", {}).status == 400
    first = admin.post("/api/v1/templates/desk/rollback")
    assert first.status == 409 and rules(first) == ["first"]
    assert admin.post("/api/v1/templates/desk/publish", {"version": 2}).json["spec"]["version"] == 2
    assert [version(admin, f"desk.{n}")["status"]["state"] for n in (1, 2, 3)] == ["draft", "published", "draft"]
    back = admin.post("/api/v1/templates/desk/rollback")
    assert back.status == 200 and back.json["spec"]["version"] == 1
    assert admin.post("/api/v1/templates/desk/rollback", {"version": 1}).status == 400
    assert admin.post("/api/v1/templates/nothing/rollback").status == 404
    assert [outcome for outcome, _ in alone.audit("rollback")] == ["conflict", "ok", "missing"]
    # What lies on hosts only can be published too, and rolled back from.
    assert host.sync().status == 200
    assert admin.post("/api/v1/templates/tiny/publish", {"version": 1}).json["spec"] == {"version": 1}


def test_hosts_are_told_and_fetch(admin, host, versions, disk):
    told = {(one["template"]["name"], one["template"]["version"]): one["files"] for one in host.sync().json["versions"]}
    assert [one["file"] for one in told["desk", 1]] == ["manifest.json", "disk.qcow2"]
    for one in told["desk", 1]:
        answer = host.get(f"/host/v1/images/desk/1/{one['file']}")
        assert answer.status == 200 and len(answer.body) == one["size"] and images.sha256(answer.body) == one["sha256"]
        assert answer.headers["ETag"] == f'"{one["sha256"]}"'
    part = host.get("/host/v1/images/desk/1/disk.qcow2", headers={"Range": "bytes=1000000-"})
    assert part.status == 206 and part.body == disk[1000000:]
    assert part.headers["Content-Range"] == f"bytes 1000000-{len(disk) - 1}/{len(disk)}"
    changed = host.get("/host/v1/images/desk/1/disk.qcow2", headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert changed.status == 200 and changed.body == disk
    beyond = host.get("/host/v1/images/desk/1/disk.qcow2", headers={"Range": f"bytes={len(disk)}-"})
    assert beyond.status == 416 and beyond.headers["Content-Range"] == f"bytes */{len(disk)}"
    for path in ("desk/1/nothing", "desk/9/disk.qcow2", "desk/x/disk.qcow2", "other/1/disk.qcow2", "desk/1/..%2f2%2fdisk.qcow2",
                 "..%2f/1/disk.qcow2"):
        assert host.get(f"/host/v1/images/{path}").status == 404, path
    assert admin.get("/host/v1/images/desk/1/disk.qcow2", check=False).status == 404, "only by the hosts' port"


def test_strangers_with_a_certificate_get_no_image(alone, host, versions):
    host.context.load_cert_chain(alone.pki.root / "broker.pem", alone.pki.root / "broker.key")
    try:
        assert host.get("/host/v1/images/desk/1/disk.qcow2").status == 401
    finally:
        host.context.load_cert_chain(alone.root / "host/kvm1.pem", alone.root / "host/kvm1.key")


def test_administrators_download(alone, admin, versions, disk):
    answer = admin.get("/api/v1/templates/desk/versions/1/files/disk.qcow2")
    assert answer.status == 200 and answer.body == disk and answer.headers["Content-Type"] == "application/octet-stream"
    assert admin.get("/api/v1/templates/desk/versions/1/files/manifest.json").status == 200
    part = admin.get("/api/v1/templates/desk/versions/1/files/disk.qcow2", headers={"Range": "bytes=-10"})
    assert part.status == 206 and part.body == disk[-10:]
    assert admin.get("/api/v1/templates/desk/versions/1/files/disk.qcow2", headers={"Range": "bytes=99999999-"}).status == 416
    assert admin.get("/api/v1/templates/desk/versions/8/files/disk.qcow2").status == 404
    assert ("ok", "disk.qcow2") in alone.audit("download")


def test_a_client_that_hangs_up(alone, host, versions, disk):
    """A download that is cut costs nothing afterwards: no descriptor stays, and the broker can end."""
    def open_files():
        held = f"/proc/{alone.broker.process.pid}/fd"
        return [one for one in os.listdir(held) if os.path.islink(f"{held}/{one}") and "disk.qcow2" in os.readlink(f"{held}/{one}")]
    for _ in range(20):
        connection = host.connect()
        connection.request("GET", "/host/v1/images/desk/1/disk.qcow2")
        connection.sock.recv(1000)
        connection.close()
    wait_until(lambda: not open_files(), 10, "all are closed")
    assert host.get("/host/v1/images/desk/1/disk.qcow2").body == disk


# ---- retiring ----

def test_retire(alone, admin, host, versions):
    answer = admin.post("/api/v1/templates/desk/retire", {"version": 1})
    assert answer.status == 409 and "published" in rules(answer)
    assert admin.post("/api/v1/templates/desk/retire", {"version": 8}).status == 404
    assert admin.post("/api/v1/templates/desk/retire", {"version": "1"}).status == 400
    assert admin.post("/api/v1/templates/desk/retire", {"version": 2}).status == 200
    assert admin.post("/api/v1/templates/desk/publish", {"version": 2}).status == 409
    pinned = admin.put("/api/v1/records/pool/desk", {"spec": {**admin.get("/api/v1/records/pool/desk").json["spec"], "template_version": 2}})
    assert pinned.status == 409 and "retired" in pinned.error["message"]
    assert folder(alone, "desk", "2").exists()
    alone.postgres.query("update template_version set since = now() - interval '2 minutes' where state = 'retired'", "usher")
    alone.broker.stop()
    alone.broker.start()
    wait_until(lambda: not folder(alone, "desk", "2").exists(), 30, "its files are swept")
    wait_until(lambda: version(admin, "desk.2")["status"]["stored"] is False, 20, "and that is told")
    wait_until(lambda: not list(folder(alone, ".trash").iterdir()), 20, "nothing is left of them")
    assert host.get("/host/v1/images/desk/2/disk.qcow2").status == 404


def test_strangers_and_people_get_nothing(alone, versions):
    for caller, status in ((alone.nobody(), 401), (alone.person("alice"), 403)):
        assert images.begin(caller, "desk", {}).status == status
        assert images.piece(caller, "11111111-2222-4333-8444-555555555555", "disk.qcow2", 0, b"x").status == status
        assert images.finish(caller, "11111111-2222-4333-8444-555555555555").status == status
        assert caller.delete("/api/v1/templates/uploads/11111111-2222-4333-8444-555555555555").status == status
        for what in ("publish", "rollback", "retire"):
            assert caller.post(f"/api/v1/templates/desk/{what}", {"version": 1}).status == status
        assert caller.get("/api/v1/templates/desk/versions/1/files/disk.qcow2").status == status


def test_every_status_was_exercised(alone):
    ours = {(path, method, int(status)) for (path, method), operation in alone.document.operations().items()
            for status in operation["responses"] if "/templates/" in path or "/images/" in path}
    missing = {one for one in ours - alone.document.seen if one[2] != 503}
    assert not missing, sorted(missing)
