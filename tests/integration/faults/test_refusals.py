"""Wrong input and missing parts of the system: the right status, a message for a person, an audit event, nothing lost."""
import http.client
import json
import shutil

import pytest

from harness import chaos
from harness.client import Client
from harness.spice import LINK_PERMISSION_DENIED, LinkRefused, Session
from harness.stack import copy_version, password
from harness.wait import wait_until


def check_error(answer, status, code, *words):
    """The one form of every error; `words` must be in its message or reasons."""
    assert answer.status == status, answer
    error = answer.json["error"]
    assert error["code"] == code and error["message"] and error["request"], error
    told = json.dumps([error["message"], error.get("reasons")]).lower()
    assert all(word in told for word in words), error
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) > 0
    return error


@pytest.fixture
def audit(stack):
    """Asks what was audited since the test began."""
    return stack.audit_since()


# --- signing in ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("user, secret, why", [
    ("alice", "wrong", "a wrong password"),
    ("nobody-of-that-name", "alice-demo", "an unknown account"),
    ("alice", "", "an empty password"),
    ("*", "alice-demo", "a filter's star"),
    ("alice)(uid=*", "alice-demo", "an injected filter"),
])
def test_no(stack, audit, user, secret, why):
    answer = stack.client().sign_in(user, secret)
    check_error(answer, 401, "unauthenticated")
    assert "Set-Cookie" not in answer.headers
    audit.wait("signin", "unauthenticated")


def test_wrong_password_and_unknown_account_answer_alike(stack):
    one = stack.client().sign_in("bob", "wrong").error["message"]
    other = stack.client().sign_in("no-such-account", "wrong").error["message"]
    assert one.replace("bob", "") == other.replace("no-such-account", "")


def test_a_locked_account(stack, audit):
    locked = stack.locked_account()
    answer = stack.client().sign_in(locked, password(locked))
    assert answer.status in (401, 403), answer
    assert answer.error["message"]
    audit.wait("signin", ("refused", "unauthenticated"))


def test_too_many_tries(stack, audit):
    answers = [stack.client().sign_in("victor", f"guess {number}") for number in range(30)]
    limited = [answer for answer in answers if answer.status == 429]
    assert limited, [answer.status for answer in answers]
    check_error(limited[0], 429, "throttled")
    audit.wait("signin", "throttled")
    stack.forget_throttle()


@pytest.mark.limit(90)
@pytest.mark.parametrize("way", ["killed", "frozen"])
def test_the_directory_is_down(stack, audit, way):
    person = stack.person("alice")
    if way == "killed":
        stack.slapd.kill()
    else:
        stack.slapd.freeze()
    try:
        check_error(stack.client().sign_in("alice", password("alice")), 503, "unavailable")
        assert person.get("/me").status == 200, "who is signed in stays so"
    finally:
        if way == "killed":
            stack.slapd.start()
        else:
            stack.slapd.thaw()
    audit.wait("signin", "unavailable")
    stack.until_it_works(lambda: stack.person("alice"), 60)


@pytest.mark.limit(90)
def test_the_database_is_down(stack):
    person = stack.person("alice")
    stack.postgres.kill()
    try:
        check_error(person.get("/me"), 503, "unavailable")
        check_error(stack.client().sign_in("alice", password("alice")), 503, "unavailable")
    finally:
        stack.postgres.start()
    stack.until_it_works(lambda: stack.person("alice"), 30)
    assert person.get("/me").status == 200, "the sign-in outlived it"


@pytest.mark.limit(60)
def test_the_broker_is_down(stack):
    stack.daemons["broker"].kill()
    try:
        answer = stack.client().get("/me")
        assert answer.status in (502, 503) and answer.json["error"]["message"], answer
    finally:
        stack.daemons["broker"].start()


# --- entitlement and placement -------------------------------------------------------------------------

def test_carol_gets_none_and_reads_why(stack, audit):
    stack.publish("office")
    carol = stack.person("carol")
    answer = carol.get("/pools").json
    assert answer["items"] == [] and answer["reasons"] and answer["reasons"][0]["message"]
    check_error(carol.post("/pools/office/connect", {"client": "spice"}), 403, "refused")
    audit.wait("connect", "refused")


def test_a_pool_that_does_not_exist(stack):
    check_error(stack.person("alice").post("/pools/nothing/connect", {"client": "spice"}), 404, "missing")


def test_no_one_else_may_administer(stack):
    answer = stack.person("alice").put("/records/pool/mine", {"spec": {}})
    check_error(answer, 403, "refused")


def refused_placement(stack, audit, pool, *words, **spec):
    """Connect is refused with reasons; no desktop, disk or domain stays."""
    stack.publish(pool, **spec)
    person = stack.person("alice")
    answers = []

    def refused():
        answers.append(person.post(f"/pools/{pool}/connect", {"client": "spice"}))
        return answers[-1].status == 503
    wait_until(refused, 60, "the connect is refused", 0.5)
    error = check_error(answers[-1], 503, "exhausted", *words)
    assert error["reasons"] and all(reason["rule"] and reason["message"] for reason in error["reasons"])
    audit.wait("connect", "exhausted")
    chaos.check_all_gone(stack, pool)


@pytest.mark.limit(120)
def test_no_host(stack, audit):
    admin = stack.admin()
    admin.apply("host", "kvm1", mode="drain")
    try:
        refused_placement(stack, audit, "no-host", "kvm1")
    finally:
        admin.apply("host", "kvm1", mode="active")


@pytest.mark.limit(120)
def test_no_memory(stack, audit):
    refused_placement(stack, audit, "no-memory", "memory", ram_mib=1048576)


@pytest.mark.limit(120)
def test_the_pool_is_full(stack, audit):
    stack.publish("small", maximum=1)
    assert stack.person("alice").post("/pools/small/connect", {"client": "spice"}).status in (200, 202)
    check_error(stack.person("bob").post("/pools/small/connect", {"client": "spice"}), 503, "exhausted", "1")
    audit.wait("connect", "exhausted")
    chaos.check_all_gone(stack, "small")


@pytest.mark.limit(150)
def test_the_disk_is_full(stack):
    """hostd says so, keeps trying, and the desktop comes when there is room again."""
    desktops = stack.root / "state/desktops"
    stack.daemons["hostd"].kill()
    stack.libvirt.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0755", "tmpfs", desktops])
    try:
        stack.daemons["hostd"].start()
        stack.publish("full")
        person = stack.person("alice")
        person.post("/pools/full/connect", {"client": "spice"})
        wait_until(lambda: "disk" in stack.reason_of("full").lower() or person.post(
            "/pools/full/connect", {"client": "spice"}).status == 503, 60, "the reason names the disk")
    finally:
        stack.daemons["hostd"].kill()
        stack.libvirt.run(["umount", desktops])
        stack.daemons["hostd"].start()
    with stack.session("alice", "full") as session:
        assert session.alive()
    chaos.check_all_gone(stack, "full")


@pytest.mark.limit(120)
def test_a_broken_image(stack):
    """A template whose disk isn't what its manifest says is not cloned; the reason names it."""
    good, broken = stack.templates / "tiny/1", stack.templates / "broken/1"
    copy_version(good, broken)
    manifest = json.loads((broken / "manifest.json").read_text())
    (broken / "manifest.json").write_text(json.dumps(manifest | {"name": "broken"}))
    with open(broken / "disk.qcow2", "r+b") as disk:
        disk.seek(-1, 2)
        last = disk.read(1)
        disk.seek(-1, 2)
        disk.write(bytes([last[0] ^ 0xff]))
    try:
        stack.publish("damaged", template="broken")
        person = stack.person("alice")

        def told():
            person.post("/pools/damaged/connect", {"client": "spice"})
            return "broken image" in stack.reason_of("damaged").lower()
        wait_until(told, 60, "the reason says «broken image»", 0.5)
        chaos.check_all_gone(stack, "damaged")
    finally:
        shutil.rmtree(broken.parent)


# --- tickets -------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def office(stack):
    stack.publish("office")
    stack.person("alice").connect("office")
    return "office"


def refused_link(stack, ticket):
    with pytest.raises(LinkRefused) as refused:
        Session(("127.0.0.1", stack.port), ticket, stack.pki.ca).close()
    assert refused.value.code == LINK_PERMISSION_DENIED


@pytest.mark.limit(120)
def test_a_ticket_is_good_once(stack, office, audit):
    offer = stack.person("alice").connect(office)
    with stack.open_session(offer) as session:
        refused_link(stack, offer["ticket"])
        assert session.alive(), "the session in progress is untouched"
    audit.wait("redeem", "unauthenticated")


def test_a_forged_ticket(stack, office, audit):
    refused_link(stack, "A" * 43)
    refused_link(stack, "")
    refused_link(stack, "x" * 60)
    audit.wait("redeem", "unauthenticated")


@pytest.mark.limit(120)
def test_an_expired_ticket(stack, office, audit):
    offer = stack.person("alice").connect(office)
    stack.rows("update ticket set expires_at = now() - interval '1 second'")
    refused_link(stack, offer["ticket"])
    audit.wait("redeem", "unauthenticated")


# --- malformed bodies ----------------------------------------------------------------------------------

@pytest.mark.parametrize("raw, status, code", [
    (b"{", 400, "invalid"),
    (b"", 400, "invalid"),
    (b"[]", 400, "invalid"),
    (b'"text"', 400, "invalid"),
    (b'{"user": "alice"}', 400, "invalid"),
    (b'{"user": 7, "password": "x"}', 400, "invalid"),
    (b'{"user": "alice", "user": "bob", "password": "x"}', 400, "invalid"),
    (b'{"user": "alice", "password": "x", "more": 1}', 400, "invalid"),
    (b'{"user": "alice", "password": "x"} tail', 400, "invalid"),
    (b'{"user": "a\\u0000b", "password": "x"}', 400, "invalid"),
    (b'{"user": "\xff\xfe", "password": "x"}', 400, "invalid"),
    (b"[" * 100000, 400, "invalid"),
    (b'{"user": "alice", "password": "' + b"x" * 2_000_000 + b'"}', 413, "too_large"),
], ids=lambda value: value[:24].decode(errors="replace") if isinstance(value, bytes) else str(value))
def test_malformed_json(stack, raw, status, code):
    try:
        answer = stack.client().request("POST", "/api/v1/signin", raw=raw)
    except (http.client.HTTPException, OSError) as error:
        pytest.fail(f"no answer: {error!r}")
    check_error(answer, status, code)


def test_a_form_is_not_json(stack):
    answer = stack.client().request("POST", "/api/v1/signin", raw=b"user=alice&password=x",
                                    headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status in (400, 415) and answer.json["error"]["message"]


def test_a_foreign_origin_is_refused(stack):
    person = stack.person("alice")
    answer = person.post("/signout", headers={"Origin": "https://elsewhere.example"})
    check_error(answer, 403, "refused")
    assert person.get("/me").status == 200


@pytest.mark.parametrize("spec, words", [
    ({"spec": {"display_name": "x", "template": "tiny", "spares": -1, "maximum": 1, "vcpus": 1, "ram_mib": 192,
               "naming": "x-{n}"}}, ["spares"]),
    ({"spec": {"display_name": "x", "template": "tiny", "spares": 0, "maximum": 1, "vcpus": 1, "ram_mib": 192,
               "naming": "x-{n}", "colour": "red"}}, ["colour"]),
    ({"spec": {"display_name": "x", "template": "no-such", "spares": 0, "maximum": 1, "vcpus": 1, "ram_mib": 192,
               "naming": "x-{n}"}}, ["no-such"]),
    ({}, ["spec"]),
])
def test_a_record_that_is_wrong_names_the_member(stack, spec, words):
    check_error(stack.admin().put("/records/pool/wrong", spec), 400, "invalid", *words)


def test_a_stale_version_conflicts(stack):
    record = stack.publish("stale").get("/records/pool/stale").json
    answer = stack.admin().put("/records/pool/stale", {"spec": record["spec"] | {"maximum": 3},
                                                       "resource_version": record["resource_version"] - 1})
    check_error(answer, 409, "conflict")
    chaos.check_all_gone(stack, "stale")


def test_nobody_may_ask(stack):
    for path in ("/me", "/pools", "/desktops", "/records/pool", "/records/audit"):
        check_error(Client(stack.port, stack.pki.ca).get(path), 401, "unauthenticated")
