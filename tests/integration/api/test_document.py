"""docs/openapi.yaml against the running broker: every route of the table is in it, every status in it is exercised, and
every body fits its schema (which alone.Document checks for each answer here)."""
import concurrent.futures
import http.client
import json
import re
import signal
import ssl
import time

import pytest
from alone import certificate_request, verifies
from harness.stack import SOURCE
from harness.wait import wait_until

KINDS = ("template", "template-version", "pool", "entitlement", "host", "desktop", "session", "audit")


def table():
    """{(path, METHOD)} of broker/api/route_table.c, in the document's way of writing."""
    text = (SOURCE / "broker/api/route_table.c").read_text()
    found = re.findall(r'^  (?:API|API_OCTETS|HOST|GATEWAY) \("([A-Z]+)", "([^"]+)"', text, re.MULTILINE)
    return {(path.replace("...}", "}"), method) for method, path in found}


def test_document_has_just_the_routes_of_the_table(alone):
    assert table() == set(alone.document.operations())


def test_files(alone):
    nobody = alone.nobody()
    page = nobody.get("/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert f"wss://127.0.0.1:{alone.port}" in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff" and page.headers["Referrer-Policy"] == "no-referrer"
    again = nobody.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status == 304
    assert nobody.get("/spice-html5/main.js").status == 200
    head = nobody.request("HEAD", "/", check=False)
    assert head.status == 200 and head.body == b""


@pytest.mark.parametrize("path", ["/nothing", "/js", "/js/", "/spice-html5/", "/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                                  "/spice-html5/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/%2fetc%2fpasswd", "/js/..%2f..%2f"])
def test_no_way_out_of_the_files(alone, path):
    answer = alone.nobody().get(path, check=False)
    assert answer.status in (400, 404) and b"root:" not in answer.body


def test_health(alone):
    assert alone.nobody().get("/api/v1/health").json == {"broker": "ok", "database": "ok", "directory": "ok"}


def test_sign_in_me_sign_out(alone):
    alice = alone.nobody()
    answer = alice.sign_in("alice")
    assert answer.json["user"] == {"name": "alice", "display_name": "Alice Adams", "roles": ["user"]}
    cookie = answer.headers["Set-Cookie"]
    for attribute in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
        assert attribute in cookie
    assert answer.headers["Cache-Control"] == "no-store"
    assert alice.get("/api/v1/me").json["user"]["name"] == "alice"
    out = alice.post("/api/v1/signout")
    assert out.status == 204 and "Max-Age=0" in out.headers["Set-Cookie"]
    assert alice.get("/api/v1/me").status == 401
    assert alone.nobody().post("/api/v1/signout").status == 204
    assert alone.person("admin").get("/api/v1/me").json["user"]["roles"] == ["user", "admin"]


@pytest.mark.parametrize("user, password, status, outcome", [
    ("alice", "wrong", 401, "unauthenticated"), ("alice", "", 401, "unauthenticated"), ("noone", "x", 401, "unauthenticated"),
    ("*", "x", 401, "unauthenticated"), ("dave", "dave-demo", 403, "refused")])
def test_sign_in_says_no(alone, user, password, status, outcome):
    answer = alone.nobody("192.0.2.77").sign_in(user, password)
    assert (answer.status, answer.error["code"]) == (status, outcome)
    assert "Set-Cookie" not in answer.headers
    assert alone.audit("signin")[-1][0] == outcome


def test_unknown_and_wrong_answer_alike(alone):
    known, unknown = (alone.nobody("192.0.2.78").sign_in(user, "wrong") for user in ("bob", "nosuchuser"))
    assert known.error["message"] == unknown.error["message"]


def test_malformed_requests(alone):
    nobody = alone.nobody()
    cases = [b"{", b"[]", b"null", b"{\"user\":\"a\",\"user\":\"b\"}", b"{\"user\":1,\"password\":\"x\"}", b"{\"user\":\"a\"}",
             b"{\"user\":\"a\",\"password\":\"b\",\"more\":1}", b"[" * 100000, b"\xff\xfe", b"{\"user\":\"a\\u0000b\",\"password\":\"b\"}"]
    for raw in cases:
        answer = nobody.post("/api/v1/signin", raw=raw)
        assert (answer.status, answer.error["code"]) == (400, "invalid"), raw[:40]
    assert nobody.post("/api/v1/signin", {"user": "a", "password": "b"}, headers={"Content-Type": "text/plain"}).status == 400
    assert nobody.post("/api/v1/signout", headers={"Content-Type": "text/plain"}).status == 400
    wait_until(lambda: ("invalid", "Content-Type must be application/json") in alone.audit("request"), 5, "it is audited")


def test_too_large(alone):
    answer = alone.nobody().post("/api/v1/signin", raw=b" " * (1024 * 1024 + 1))
    assert (answer.status, answer.error["code"]) == (413, "too_large")
    wait_until(lambda: any(outcome == "too_large" for outcome, _ in alone.audit("request")), 5, "it is audited")


def test_other_sites_are_refused(alone):
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{alone.port}"):
        answer = alone.nobody().post("/api/v1/signin", {"user": "alice", "password": "alice-demo"}, headers={"Origin": origin})
        assert (answer.status, answer.error["code"]) == (403, "refused")
    ours = {"Origin": f"https://127.0.0.1:{alone.port}"}
    assert alone.nobody().post("/api/v1/signin", {"user": "alice", "password": "alice-demo"}, headers=ours).status == 200
    assert alone.nobody().post("/api/v1/signout", headers={"Origin": "https://evil.example"}).status == 403


def test_throttle(alone):
    answers = [alone.nobody("192.0.2.99").sign_in("mallory", "wrong") for _ in range(30)]
    assert answers[-1].status == 429 and int(answers[-1].headers["Retry-After"]) > 0
    assert answers[-1].error["code"] == "throttled"


def test_strangers_see_nothing(alone):
    nobody = alone.nobody()
    for path, method in table():
        if not path.startswith("/api/v1/") or path in ("/api/v1/health", "/api/v1/signin", "/api/v1/signout", "/api/v1/hosts/join"):
            continue
        target = re.sub(r"\{\w+\}", "x", path.replace("{kind}", "pool"))
        octets = {"Content-Type": "application/octet-stream"} if path.endswith("/uploads/{id}/{file}") else None
        answer = nobody.request(method, target, {} if method != "GET" else None, headers=octets)
        assert (answer.status, answer.error["code"]) == (401, "unauthenticated"), (method, path)


def test_people_are_no_administrators(alone):
    alice = alone.person("alice")
    for path, method in table():
        if path.startswith(("/api/v1/records", "/api/v1/why")):
            target = path.replace("{kind}", "pool").replace("{name}", "x").replace("{id}", "x")
            answer = alice.request(method, target, {"spec": {}} if method == "PUT" else None)
            assert (answer.status, answer.error["code"]) == (403, "refused"), (method, path)
            assert answer.error["reasons"][0]["rule"] == "role"


def test_strange_methods_and_paths(alone):
    answer = alone.nobody().request("PATCH", "/api/v1/me", check=False)
    assert answer.status == 405 and answer.headers["Allow"] == "GET"
    assert alone.nobody().request("POST", "/api/v1/nothing", check=False).status == 404
    assert alone.nobody().get("/gateway/v1/redeem").status == 404
    assert alone.gateway().post("/api/v1/signin", check=False).status == 404


# ---- records ----

@pytest.fixture(scope="module")
def admin(alone):
    return alone.person("admin")


@pytest.fixture(scope="module")
def host(alone, admin):
    return alone.join("kvm1", admin)


@pytest.fixture(scope="module")
def office(alone, admin, host):
    """A published pool, with a host that made its spare ready."""
    admin.apply("template", "tiny", version=1)
    admin.apply("pool", "office", display_name="Office", template="tiny", spares=1, maximum=3, vcpus=1, ram_mib=256,
                naming="office-{n}")
    admin.apply("entitlement", "office-users", pool="office", group="desktop-users")
    wait_until(lambda: host.obey() and spares(admin), 20, "a spare is ready")
    return "office"


def spares(admin):
    items = admin.get("/api/v1/records/desktop").json["items"]
    return [one for one in items if one["status"].get("state") == "spare"]


def connected(alone, name, host, pool="office", client="spice"):
    """The answer to connect once it is 200; the host obeys meanwhile."""
    person = alone.person(name)

    def ready():
        answer = person.post(f"/api/v1/pools/{pool}/connect", {"client": client})
        if answer.status == 202:
            host.obey()
            return None
        assert answer.status == 200, answer
        return answer
    return person, wait_until(ready, 20, "the desktop is ready")


@pytest.mark.parametrize("kind", KINDS)
def test_list_and_watch(alone, admin, office, kind):
    listed = admin.get(f"/api/v1/records/{kind}").json
    assert all(one["kind"] == kind for one in listed["items"])
    nothing = admin.get(f"/api/v1/records/{kind}?watch=1&after={listed['resource_version']}&timeout_s=0").json
    assert nothing["resource_version"] >= listed["resource_version"]
    for query in ("watch=1&after=x", "watch=2", "watch=1&timeout_s=99", "watch=1&after=-1"):
        assert admin.get(f"/api/v1/records/{kind}?{query}").status == 400


def test_apply_get_delete(alone, admin, office):
    spec = {"pool": "office", "user": "carol"}
    made = admin.put("/api/v1/records/entitlement/office-carol", {"spec": spec})
    assert made.status == 201 and made.json["spec"]["user"] == "carol"
    same = admin.put("/api/v1/records/entitlement/office-carol", {"spec": spec})
    assert same.status == 200 and same.json["resource_version"] == made.json["resource_version"]
    assert admin.get("/api/v1/records/entitlement/office-carol").json["id"] == made.json["id"]
    assert admin.get(f"/api/v1/records/entitlement/{made.json['id']}").json["name"] == "office-carol"
    late = admin.put("/api/v1/records/entitlement/office-carol", {"spec": {**spec, "user": "ivan"}, "resource_version": 1})
    assert (late.status, late.error["code"]) == (409, "conflict")
    assert admin.delete("/api/v1/records/entitlement/office-carol").status == 204
    assert admin.delete("/api/v1/records/entitlement/office-carol").status == 404
    assert admin.get("/api/v1/records/entitlement/office-carol").status == 404
    assert admin.delete("/api/v1/records/template/tiny").status == 409


def test_a_fresh_system(alone, admin, office, host):
    spec = dict(display_name="Lab", template="tiny", spares=0, maximum=2, vcpus=1, ram_mib=256, naming="lab-{n}", data_gib=1,
                assignment="fresh-system", linger_s=0)
    admin.apply("pool", "lab", **spec)
    admin.apply("entitlement", "lab-users", pool="lab", group="desktop-users")
    _, offer = connected(alone, "bob", host, "lab")
    name = offer.json["desktop"]["name"]
    answer = admin.post(f"/api/v1/records/desktop/{name}/refresh")
    assert answer.status == 202 and answer.json["spec"]["system_revision"] == 1
    assert next(one for one in host.sync().json["desktops"] if one["name"] == name)["system_revision"] == 1
    assert admin.post("/api/v1/records/desktop/nothing/refresh").status == 404
    assert admin.post(f"/api/v1/records/desktop/{spares(admin)[0]['name']}/refresh").status == 409
    assert admin.delete("/api/v1/records/pool/lab").status == 202


def test_connect_waits_for_the_desktop(alone, admin, office, host):
    """One question, which is answered when the host says that the desktop is ready."""
    admin.apply("pool", "slow", display_name="Slow", template="tiny", spares=0, maximum=2, vcpus=1, ram_mib=256, naming="slow-{n}")
    admin.apply("entitlement", "slow-users", pool="slow", group="desktop-users")
    bob = alone.person("bob")
    early = bob.post("/api/v1/pools/slow/connect", {"client": "spice", "wait_s": 1})
    assert early.status == 202
    assert bob.post("/api/v1/pools/slow/connect", {"client": "spice", "wait_s": 26}).status == 400
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        asked = pool.submit(bob.post, "/api/v1/pools/slow/connect", {"client": "spice", "wait_s": 25})
        time.sleep(0.3)  # it may look once before the host speaks
        assert not asked.done()
        host.obey()
        answer = asked.result(20)
    assert answer.status == 200 and time.monotonic() - began < 10
    assert bob.get("/api/v1/pools/slow/connect.vv?wait_s=5").status == 200
    assert admin.delete("/api/v1/records/pool/slow").status == 202


def test_a_connect_that_waits_ends_with_the_sign_in(alone, admin, office):
    admin.apply("pool", "late", display_name="Late", template="tiny", spares=0, maximum=2, vcpus=1, ram_mib=256, naming="late-{n}",
                assignment="floating")
    admin.apply("entitlement", "late-users", pool="late", group="desktop-users")
    frank = alone.person("frank")  # signed in nowhere else
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(frank.post, "/api/v1/pools/late/connect", {"client": "spice", "wait_s": 25})
        time.sleep(0.5)  # it may look before
        assert not asked.done()
        assert frank.post("/api/v1/signout").status == 204
        assert asked.result(20).status == 401
    assert not [one for one in admin.get("/api/v1/records/desktop").json["items"] if one["spec"]["pool"] == "late"
                and one["spec"]["owner"] and one["status"]["state"] not in ("draining", "gone")]
    assert admin.delete("/api/v1/records/pool/late").status in (202, 204)


def test_apply_refuses(alone, admin, office):
    for kind, spec, status in (("pool", {"display_name": 1}, 400), ("pool", {"strange": 1}, 400), ("template", {"version": 0}, 400),
                               ("audit", {}, 403), ("session", {}, 403), ("nonsense", {}, 404)):
        answer = admin.put(f"/api/v1/records/{kind}/x", {"spec": spec})
        assert answer.status == status, (kind, answer)
    assert admin.put("/api/v1/records/pool/x", {}).status == 400
    assert admin.put("/api/v1/records/pool/x", {"spec": {}, "more": 1}).status == 400
    assert admin.put("/api/v1/records/pool/x", raw=b" " * (1024 * 1024 + 1)).status == 413
    assert admin.get("/api/v1/records/nonsense").status == 404
    assert admin.delete("/api/v1/records/audit/1").status == 403


def test_a_watch_wakes(alone, admin, office):
    """The answer comes with the change, long before its time."""
    version = admin.get("/api/v1/records/entitlement").json["resource_version"]
    connection = admin.connect()
    connection.request("GET", f"/api/v1/records/entitlement?watch=1&after={version}&timeout_s=25", headers=admin.headers)
    admin.apply("entitlement", "office-ivan", pool="office", user="ivan")
    connection.sock.settimeout(10)
    changed = json.loads(connection.getresponse().read())
    connection.close()
    assert [one["name"] for one in changed["items"]] == ["office-ivan"]
    before = changed["resource_version"]
    admin.delete("/api/v1/records/entitlement/office-ivan")
    gone = wait_until(lambda: admin.get(f"/api/v1/records/entitlement?watch=1&after={before}&timeout_s=5").json["deleted"], 10,
                      "the deletion is told")
    assert gone == [changed["items"][0]["id"]]


def test_why(alone, admin, office):
    pool = admin.get("/api/v1/records/pool/office").json
    why = admin.get(f"/api/v1/why/{pool['id']}")
    assert why.status == 200 and why.json["record"]["name"] == "office"
    assert admin.get("/api/v1/why/11111111-2222-4333-8444-555555555555").status == 404


# ---- hosts ----

def test_join(alone, admin, host):
    welcome = host.welcome
    assert verifies(welcome["certificate"], alone.pki.ca)
    assert welcome["sync_url"].endswith("/host/v1/sync")
    token = alone.token(admin, "kvm2")
    _, request = certificate_request("kvm2")
    body = {"token": token, "name": "kvm2", "csr": request}
    nobody = alone.nobody()
    assert nobody.post("/api/v1/hosts/join", {**body, "csr": "no request"}).status == 400
    assert nobody.post("/api/v1/hosts/join", {**body, "name": "kvm3"}).status == 401
    assert nobody.post("/api/v1/hosts/join", {**body, "token": "x" * 43 + "." + "0" * 64}).status == 401
    assert nobody.post("/api/v1/hosts/join", {**body, "token": "x"}).status == 401
    assert nobody.post("/api/v1/hosts/join", {**body, "more": 1}).status == 400
    first, second = nobody.post("/api/v1/hosts/join", body), nobody.post("/api/v1/hosts/join", body)
    assert (first.status, second.status) == (200, 401)
    wait_until(lambda: ("unauthenticated" in [outcome for outcome, _ in alone.audit("join")]), 5, "it is audited")
    assert admin.post("/api/v1/records/host/Bad_Name!/token").status == 400


def test_sync_refuses(alone, host):
    assert host.sync(deployment="11111111-2222-4333-8444-555555555555").status == 403
    assert host.post("/host/v1/sync", {}).status == 400
    assert host.post("/host/v1/sync", raw=b"{").status == 400
    without = ssl.create_default_context(cafile=str(alone.pki.ca))
    without.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", alone.host_port, timeout=10, context=without)
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request("POST", "/host/v1/sync", b"{}", {"Content-Type": "application/json"})
        connection.getresponse()
    # The CA's, but no host's: the broker's own.
    host.context.load_cert_chain(alone.pki.root / "broker.pem", alone.pki.root / "broker.key")
    try:
        assert host.sync().status == 401
    finally:
        host.context.load_cert_chain(alone.root / "host/kvm1.pem", alone.root / "host/kvm1.key")


def test_unknown_desktops_are_gone(alone, host):
    orphan = "99999999-2222-4333-8444-555555555555"
    seen = {"id": orphan, "state": "ready", "reason": "", "console_revision": 0, "restart_revision": 0, "starts": 1}
    wanted = {one["id"]: one["wanted"] for one in host.sync([seen]).json["desktops"]}
    assert wanted[orphan] == "gone"


# ---- people, tickets, sessions ----

def test_pools(alone, office):
    pool, = alone.person("alice").get("/api/v1/pools").json["items"]
    assert (pool["name"], pool["display_name"], pool["state"]) == ("office", "Office", "ready")
    carol = alone.person("carol").get("/api/v1/pools").json
    assert carol["items"] == [] and carol["reasons"]


def test_connect_refuses(alone, office):
    alice = alone.person("alice")
    assert alice.post("/api/v1/pools/office/connect", {"client": "telnet"}).status == 400
    assert alice.post("/api/v1/pools/office/connect", {}).status == 400
    assert alice.post("/api/v1/pools/nowhere/connect", {"client": "spice"}).status == 404
    assert alice.get("/api/v1/pools/nowhere/connect.vv").status == 404
    carol = alone.person("carol")
    refused = carol.post("/api/v1/pools/office/connect", {"client": "spice"})
    assert (refused.status, refused.error["code"]) == (403, "refused")
    assert carol.get("/api/v1/pools/office/connect.vv").status == 403


def redeem(alone, ticket, carrier="tls"):
    return alone.gateway().post("/gateway/v1/redeem", {"ticket": ticket, "gateway": "gw1", "client_address": "203.0.113.9",
                                                       "carrier": carrier})


def test_connect_redeem_once(alone, host, office):
    person, offer = connected(alone, "alice", host)
    assert offer.json["url"] == f"spice+tls://127.0.0.1:{alone.port}"
    host.obey()
    first, second = redeem(alone, offer.json["ticket"]), redeem(alone, offer.json["ticket"])
    assert first.status == 200 and first.json["session"] == offer.json["session"]
    assert (first.json["user"], first.json["service"], first.json["door"]) == ("alice", "spice", "unix:/run/usher/door.sock")
    assert (second.status, second.error["code"]) == (401, "unauthenticated")
    mine = person.get("/api/v1/desktops").json
    assert [one["id"] for one in mine["items"]] == [first.json["desktop"]]
    event = {"event": "active", "gateway": "gw1", "reason": "", "bytes_to_client": 0, "bytes_to_desktop": 0}
    target = f"/gateway/v1/sessions/{first.json['session']}/events"
    assert alone.gateway().post(target, event).status == 204
    assert alone.gateway().post(target, event).status == 204
    ended = {**event, "event": "disconnected", "reason": "client closed", "bytes_to_client": 10, "bytes_to_desktop": 20}
    assert alone.gateway().post(target, ended).status == 204
    assert alone.gateway().post(target, {**event, "event": "exploded"}).status == 400
    nowhere = "/gateway/v1/sessions/11111111-2222-4333-8444-555555555555/events"
    assert alone.gateway().post(nowhere, event).status == 404
    assert "unauthenticated" in [outcome for outcome, _ in alone.audit("redeem")]


def test_redeem_waits_for_the_host(alone, host, office):
    """The gateway's answer comes as soon as the host reported the console's revision, not before."""
    _, offer = connected(alone, "bob", host, client="browser")
    assert offer.json["url"] == f"wss://127.0.0.1:{alone.port}/spice"
    gateway = alone.gateway()
    connection = gateway.connect()
    body = {"ticket": offer.json["ticket"], "gateway": "gw1", "client_address": "203.0.113.9", "carrier": "websocket"}
    connection.request("POST", "/gateway/v1/redeem", json.dumps(body), {"Content-Type": "application/json"})
    connection.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.sock.recv(1)
    host.obey()
    connection.sock.settimeout(4)
    assert connection.getresponse().status == 200
    connection.close()


def test_redeem_gives_up(alone, host, office):
    _, offer = connected(alone, "bob", host)
    answer = redeem(alone, offer.json["ticket"])
    assert (answer.status, answer.error["code"]) == (503, "unavailable")
    assert redeem(alone, offer.json["ticket"]).status == 401
    host.obey()


def test_redeem_refuses(alone):
    assert redeem(alone, "x" * 43).status == 401
    assert redeem(alone, "").status in (400, 401)
    assert alone.gateway().post("/gateway/v1/redeem", {"ticket": "x"}).status == 400


def test_viewer_file(alone, host, office):
    person, _ = connected(alone, "alice", host)
    answer = person.get("/api/v1/pools/office/connect.vv")
    assert answer.status == 200 and "attachment" in answer.headers["Content-Disposition"]
    lines = dict(line.split("=", 1) for line in answer.body.decode().splitlines() if "=" in line)
    assert lines["tls-port"] == str(alone.port) and lines["host-subject"] == "O=Usher,CN=gateway"
    assert lines["ca"].startswith("-----BEGIN CERTIFICATE-----\\n") and lines["delete-this-file"] == "1"
    host.obey()
    assert redeem(alone, lines["password"]).status == 200


def test_desktops_watch_and_restart(alone, host, office):
    person, offer = connected(alone, "alice", host)
    version = person.get("/api/v1/desktops").json["resource_version"]
    quiet = person.get(f"/api/v1/desktops?watch=1&after={version + 1000000}&timeout_s=0").json
    assert quiet["changed"] is False and len(quiet["items"]) == 1
    assert person.get("/api/v1/desktops?watch=1&after=x").status == 400
    desktop = offer.json["desktop"]["id"]
    assert person.post(f"/api/v1/desktops/{desktop}/restart").status == 202
    assert alone.person("bob").post(f"/api/v1/desktops/{desktop}/restart").status == 404
    host.obey()


def test_starting_and_exhausted(alone, admin, host, office):
    """The first connect finds nothing ready and is told to come again; beyond the pool's maximum there is nothing to come."""
    admin.apply("pool", "small", display_name="Small", template="tiny", spares=0, maximum=1, vcpus=1, ram_mib=256, naming="small-{n}")
    admin.apply("entitlement", "small-users", pool="small", group="desktop-users")
    erin = alone.person("erin")
    starting = erin.post("/api/v1/pools/small/connect", {"client": "spice"})
    assert starting.status == 202 and starting.json["desktop"]["name"].startswith("small-")
    later = erin.get("/api/v1/pools/small/connect.vv")
    assert later.status == 503 and int(later.headers["Retry-After"]) > 0
    full = alone.person("frank").post("/api/v1/pools/small/connect", {"client": "spice"})
    assert (full.status, full.error["code"]) == (503, "exhausted") and full.error["reasons"]
    deleted = admin.delete("/api/v1/records/pool/small")
    assert deleted.status in (202, 409), deleted


def test_deleting_a_desktop_drains_it(alone, admin, host, office):
    one = spares(admin) or wait_until(lambda: host.obey() and spares(admin), 20, "a spare")
    assert admin.delete(f"/api/v1/records/desktop/{one[0]['id']}").status == 202
    wait_until(lambda: host.obey() is not None and admin.get(f"/api/v1/records/desktop/{one[0]['id']}").status == 404, 20,
               "it is gone")


# ---- what the broker stands on ----

def test_directory_down(alone):
    alice = alone.person("alice")
    alone.slapd.kill()
    try:
        answer = alone.nobody().sign_in("grace")
        assert (answer.status, answer.error["code"]) == (503, "unavailable") and answer.headers["Retry-After"]
        assert alice.get("/api/v1/me").status == 200
        wait_until(lambda: alone.nobody().get("/api/v1/health").json["directory"] == "unknown", 10, "health tells")
    finally:
        alone.slapd.start()
    wait_until(lambda: alone.nobody().sign_in("grace").status == 200, 40, "people can sign in again", 1)


def test_database_down(alone, admin, host):
    alone.postgres.kill()
    try:
        for ask in (lambda: alone.nobody().sign_in("alice"), lambda: admin.get("/api/v1/me"), host.sync,
                    lambda: alone.nobody().post("/api/v1/hosts/join", {"token": "x" * 43, "name": "a", "csr": "b"})):
            answer = ask()
            assert (answer.status, answer.error["code"]) == (503, "unavailable"), answer
        assert alone.nobody().get("/").status == 200
        wait_until(lambda: alone.nobody().get("/api/v1/health").json["database"] == "unknown", 10, "health tells")
    finally:
        alone.postgres.start()
    wait_until(lambda: admin.get("/api/v1/me").status == 200, 20, "it works again")
    assert host.sync().status == 200


def test_started_without_database(alone):
    """The broker starts, says so, and goes on by itself when the database is there."""
    alone.postgres.kill()
    alone.broker.stop()
    alone.broker.start()
    assert alone.nobody().sign_in("alice").status == 503
    assert alone.nobody().get("/").status == 200
    alone.postgres.start()
    wait_until(lambda: alone.nobody().sign_in("alice").status == 200, 20, "people can sign in")


def test_ends_cleanly_with_calls_waiting(alone):
    """SIGTERM: who waits is answered, then the program ends with 0."""
    admin = alone.person("admin")
    version = admin.get("/api/v1/records/template").json["resource_version"]
    connection = admin.connect()
    connection.request("GET", f"/api/v1/records/template?watch=1&after={version}&timeout_s=25", headers=admin.headers)
    wait_until(lambda: admin.get("/api/v1/me").status == 200, 5, "the watch came first")
    assert alone.broker.kill(signal.SIGTERM) == 0
    assert connection.getresponse().status == 200
    alone.broker.start()
    wait_until(lambda: alone.nobody().sign_in("alice").status == 200, 20, "people can sign in")


def test_every_status_was_exercised(alone):
    documented = {(path, method, int(status)) for (path, method), operation in alone.document.operations().items()
                  for status in operation["responses"]}
    # 503 of a call is the database's or a full queue, the same code for all; one of each interface is shown above.
    # Template versions have their own document test (test_templates.py).
    missing = {one for one in documented - alone.document.seen
               if one[2] != 503 and not one[0].startswith(("/api/v1/templates/", "/host/v1/images/"))}
    assert not missing, sorted(missing)
    for path in ("/api/v1/signin", "/api/v1/me", "/host/v1/sync", "/gateway/v1/redeem", "/api/v1/pools/{name}/connect"):
        assert any(status == 503 for seen, _, status in alone.document.seen if seen == path), path
