"""usherctl as an administrator and as a person use it, against a whole Usher on libvirt's test driver."""
import json
import subprocess

import pytest
import yaml

from harness.ctl import Ctl
from harness.idle import idle_libvirt
from harness.stack import BUILD, Stack
from harness.wait import wait_until

RECORDS = """---
kind: template
name: idle
spec: {version: 1}
---
kind: pool
name: office
spec:
  display_name: Office
  template: idle
  spares: 1
  maximum: 4
  vcpus: 1
  ram_mib: 64
  naming: "office-{n}"
---
kind: entitlement
name: office-users
spec: {pool: office, group: desktop-users}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(**idle_libvirt(tmp_path_factory.mktemp("idle"))) as running:
        yield running


@pytest.fixture
def nobody(stack, tmp_path):
    return Ctl(tmp_path, stack)


@pytest.fixture
def admin(nobody):
    nobody.sign_in("admin")
    return nobody


@pytest.fixture(scope="module")
def published(stack, tmp_path_factory):
    ctl = Ctl(tmp_path_factory.mktemp("publisher"), stack)
    ctl.sign_in("admin")
    ctl("apply", "-f", "-", text=RECORDS)


def test_signing_in_and_out(nobody):
    assert "sign in" in nobody("get", "pools", "--server", f"https://127.0.0.1:{nobody.stack.port}", "--ca",
                               nobody.stack.pki.ca, status=1).lower()
    assert nobody.sign_in("admin") == "signed in as admin\n"
    assert nobody.session.stat().st_mode & 0o777 == 0o600
    assert nobody.session.parent.stat().st_mode & 0o777 == 0o700
    token = json.loads(nobody.session.read_text())["token"]
    assert nobody("whoami").startswith("admin at https://")
    nobody("signout")
    assert token not in nobody.session.read_text()
    nobody("get", "pools", status=1)


def test_a_wrong_password_and_no_server(nobody):
    where = ("--server", f"https://127.0.0.1:{nobody.stack.port}", "--ca", nobody.stack.pki.ca)
    nobody("signin", "admin", *where, "--password-file", "-", text="wrong\n", status=1)
    assert not nobody.session.exists()
    nobody("signin", "admin", "--server", "https://127.0.0.1:1", "--password-file", "-", text="x\n", status=3)
    nobody("signin", "admin", *where[:2], "--password-file", "-", text="x\n", status=3)  # the system's authorities know it not
    nobody.stack.forget_throttle()


def test_records_there_and_back(admin, published):
    assert admin("apply", "-f", "-", text=RECORDS).splitlines() == [
        "template/idle applied", "pool/office applied", "entitlement/office-users applied"]
    text = admin("get", "pool", "office", "-o", "yaml")
    assert yaml.safe_load(text)["spec"]["naming"] == "office-{n}"
    admin("apply", "-f", "-", text=text)
    assert admin("get", "pools").splitlines()[0].split()[:2] == ["NAME", "TEMPLATE"]
    assert admin("get", "pools", "-o", "name") == "office\n"
    assert [pool["name"] for pool in admin.json("get", "pools")] == ["office"]
    assert "idle" in admin("describe", "pool", "office")
    assert admin.json("get", "host")[0]["name"] == "kvm1"
    assert "entitlement" in json.dumps(admin.json("get", "audit", "--limit", "20"))


def test_a_file_with_a_mistake(admin, published):
    broken = RECORDS.replace("maximum: 4", "maximum: 0")
    message = admin("apply", "-f", "-", text=broken, status=1)
    assert "-:12: " in message and "maximum" in message
    twice = RECORDS.replace("  maximum: 4\n", "  spares: 3\n  maximum: 4\n")
    assert "-:12: spec.spares is here twice" in admin("apply", "-f", "-", status=1, text=twice)
    assert admin.json("get", "pool", "office")["spec"]["maximum"] == 4


@pytest.mark.parametrize("text", [
    "kind: pool\n\tname: x\n",
    "kind: [pool\n",
    "kind: pool\nname: x\nspec: {a: 1\n---\nkind: pool\n",
    "just a text\n",
    "- a\n- list\n",
    "kind: pool\nname: [x]\nspec: {}\n",
    "kind: nothing-like-it\nname: x\nspec: {}\n",
    "name: x\nspec: {}\n",
    "kind: pool\nname: ../../etc\nspec: {}\n",
    "kind: pool\nname: x\nspec: {a: &a [1], b: *c}\n",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\n",
    "kind: pool\nname: x\nspec: " + "[" * 5000 + "\n",
    "kind: !!python/object:os.system pool\nname: x\nspec: {}\n",
    "kind: pool\nname: x\x01y\nspec: {}\n",
], ids=["tab", "open list", "open map", "text", "list", "name is a list", "kind", "no kind", "name", "alias of nothing", "aliases", "deep",
        "tag", "control"])
def test_malformed_yaml_names_the_line_and_changes_nothing(admin, published, text):
    before = admin.json("get", "pools")
    message = admin("apply", "-f", "-", text=text, status=1)
    assert "-:" in message or "pool/" in message, message
    assert len(message) < 2000 and "Traceback" not in message
    assert admin.json("get", "pools") == before


def test_an_old_version_is_a_conflict(admin, published):
    record = admin.json("get", "pool", "office")
    newer = json.loads(json.dumps(record))
    newer["spec"]["maximum"] = 5
    admin("apply", "-f", "-", text=json.dumps(newer))
    newer["spec"]["maximum"] = 6
    assert "office" in admin("apply", "-f", "-", text=json.dumps(newer), status=1)
    del record["resource_version"]
    admin("apply", "-f", "-", text=json.dumps(record))


def test_what_is_not_there(admin):
    assert "nix" in admin("get", "pool", "nix", status=1)
    admin("get", "nix", status=2)
    admin("delete", "pool", "nix", status=1)
    admin("describe", "host", "nix", status=1)


def test_a_person_connects(nobody, published, tmp_path):
    nobody.sign_in("alice")
    ticket = nobody.json("connect", "office", "--timeout", "60")
    assert ticket["url"].startswith("spice+tls://") and len(ticket["ticket"]) == 43
    assert nobody.json("connect", "office", "--client", "browser")["url"].startswith("wss://")
    viewer = tmp_path / "office.vv"
    nobody("connect", "office", "--vv", viewer)
    assert viewer.read_text().startswith("[virt-viewer]") and viewer.stat().st_mode & 0o777 == 0o600
    assert "restarting" in nobody("restart", ticket["desktop"]["name"])
    nobody("restart", "nix", status=1)
    nobody("get", "pools", status=1)  # not an administrator


def test_who_is_not_entitled_reads_why(nobody, published):
    nobody.sign_in("carol")
    assert nobody("connect", "office", status=1).strip()


def test_why(admin, published):
    desktop = wait_until(lambda: admin.json("get", "desktops"), 30, "a desktop")[0]
    assert admin("why", desktop["id"]).strip()
    assert admin("why", "desktop", desktop["name"]).strip()
    assert "explanation" in admin.json("why", "desktop", desktop["name"])


def test_watch(admin, published, tmp_path):
    with open(tmp_path / "changes", "w+", encoding="utf-8") as out:
        watch = subprocess.Popen([BUILD / "usherctl", "watch", "entitlement", "-o", "json", "--timeout", "60"], stdout=out,
                                 env=admin.environment)
        try:
            def seen(word):
                return word in (tmp_path / "changes").read_text()
            wait_until(lambda: seen("office-users"), 20, "the list")
            admin("apply", "-f", "-", text="kind: entitlement\nname: bobs\nspec: {pool: office, user: bob}\n")
            wait_until(lambda: seen('"bobs"'), 20, "the change")
            admin("delete", "entitlement", "bobs")
            wait_until(lambda: '"deleted":["' in (tmp_path / "changes").read_text(), 20, "the deletion")
        finally:
            watch.terminate()
            watch.wait()


def test_a_token_for_a_host(admin):
    admin("apply", "-f", "-", text="kind: host\nname: kvm2\nspec: {mode: active}\n")
    token = admin("host-token", "kvm2")
    assert "." in token and len(token.splitlines()) == 1
    admin("delete", "host", "kvm2")


def test_completion_is_a_script(nobody):
    for shell in ("bash", "zsh"):
        assert "describe" in nobody("completion", shell)
    subprocess.run(["bash", "-n"], input=nobody("completion", "bash"), text=True, check=True)
    nobody("completion", "fish", status=2)
