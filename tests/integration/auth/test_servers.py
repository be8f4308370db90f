"""TLS, fail-over, time limits, and a directory that goes away and comes back."""

import socket
import time

import pytest

from harness.slapd import free_port, make_ca

LIMITS = {"connect_timeout_ms": 400, "operation_timeout_ms": 800, "total_timeout_ms": 3000}


@pytest.fixture
def hanging():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["ldap", "ldaps"])
def test_tls(slapd, ask, kind):
    asked = ask(slapd.settings(servers=getattr(slapd, kind), ca_file=slapd.ca))
    assert asked.sign_in("alice")["answer"] == "yes"
    assert asked.sign_in("alice", "wrong")["answer"] == "unauthenticated"
    assert asked("probe")["answer"] == "yes"


@pytest.mark.parametrize("kind", ["ldap", "ldaps"])
def test_a_server_of_another_authority_gets_no_password(slapd, ask, kind, tmp_path):
    asked = ask(slapd.settings(servers=getattr(slapd, kind), ca_file=make_ca(tmp_path, "wrong")))
    assert asked.sign_in("alice")["answer"] == "unavailable"
    assert asked("probe")["answer"] == "unavailable"


@pytest.mark.parametrize("kind", ["ldap", "ldaps"])
def test_a_server_of_another_name_gets_no_password(slapd, ask, kind):
    server = getattr(slapd, kind).replace("127.0.0.1", "127.0.0.2")
    assert ask(slapd.settings(servers=server, ca_file=slapd.ca)).sign_in("alice")["answer"] == "unavailable"
    server = getattr(slapd, kind).replace("127.0.0.1", "ip6-localhost")
    assert ask(slapd.settings(servers=server, ca_file=slapd.ca)).sign_in("alice")["answer"] == "unavailable"


def test_people_s_ldap_settings_weaken_nothing(slapd, ask, monkeypatch, tmp_path):
    monkeypatch.setenv("LDAPTLS_REQCERT", "never")
    asked = ask(slapd.settings(servers=slapd.ldaps, ca_file=make_ca(tmp_path, "wrong")))
    assert asked.sign_in("alice")["answer"] == "unavailable"


def test_a_missing_ca_file_is_said(slapd, ask):
    answer = ask(slapd.settings(servers=slapd.ldaps, ca_file="/nowhere/ca.pem")).sign_in("alice")
    assert answer["answer"] == "unavailable" and "/nowhere/ca.pem" in answer["message"]


def test_a_dead_first_server(slapd, ask):
    asked = ask(slapd.settings(servers=f"ldap://127.0.0.1:{free_port()} {slapd.ldapi}", **LIMITS))
    assert asked.sign_in("alice")["answer"] == "yes"
    assert asked.sign_in("alice")["ms"] < 100
    assert asked.close().count("the others are asked first") == 1


@pytest.mark.parametrize("scheme, starttls", [("ldap", "require"), ("ldap", "never"), ("ldaps", "never")])
def test_a_hanging_first_server(slapd, ask, hanging, scheme, starttls):
    asked = ask(slapd.settings(servers=f"{scheme}://{hanging} {slapd.ldapi}", starttls=starttls, ca_file=slapd.ca,
                               **LIMITS), threads=4)
    for answer in asked.all("sign-in", "alice", "alice-demo"):
        assert answer["answer"] == "yes" and answer["ms"] < 1500
    for answer in asked.all("sign-in", "bob", "bob-demo"):
        assert answer["answer"] == "yes" and answer["ms"] < 200


@pytest.mark.parametrize("scheme, starttls", [("ldap", "require"), ("ldap", "never"), ("ldaps", "never")])
def test_only_a_hanging_server(slapd, ask, hanging, scheme, starttls):
    answer = ask(slapd.settings(servers=f"{scheme}://{hanging}", starttls=starttls, ca_file=slapd.ca,
                                **LIMITS)).sign_in("alice")
    assert answer["answer"] == "unavailable" and answer["ms"] < 1500


def test_a_server_that_freezes_in_between(own_slapd, ask):
    asked = ask(own_slapd.settings(**LIMITS))
    assert asked.sign_in("alice")["answer"] == "yes"
    own_slapd.freeze()
    answer = asked.sign_in("alice")
    assert answer["answer"] == "unavailable" and answer["ms"] < 3500
    own_slapd.thaw()
    assert asked.sign_in("alice")["answer"] == "yes"


@pytest.mark.parametrize("kind", ["ldapi", "ldap", "ldaps"])
def test_killed_and_back(own_slapd, ask, kind):
    asked = ask(own_slapd.settings(servers=getattr(own_slapd, kind), ca_file=own_slapd.ca, **LIMITS))
    assert asked.sign_in("alice")["answer"] == "yes"
    own_slapd.kill()
    assert asked.sign_in("alice")["answer"] == "unavailable"
    assert asked.sign_in("alice", "wrong")["answer"] == "unavailable"
    assert asked("probe")["answer"] == "unavailable"
    own_slapd.start()
    assert asked.sign_in("alice")["answer"] == "yes"
    assert "answers again" in asked.close()


@pytest.mark.parametrize("kind", ["ldapi", "ldap", "ldaps"])
def test_a_restart_nobody_notices(own_slapd, ask, kind):
    """Kept connections are dead then; a fresh one is tried before the server counts as failed."""
    asked = ask(own_slapd.settings(servers=getattr(own_slapd, kind), ca_file=own_slapd.ca, **LIMITS))
    assert asked.sign_in("alice")["answer"] == "yes"
    own_slapd.kill()
    own_slapd.start()
    assert asked.sign_in("alice")["answer"] == "yes"
    assert asked.close() == ""


def test_a_server_that_drops_idle_connections(own_slapd, ask):
    conf = own_slapd.home / "slapd.conf"
    conf.write_text("idletimeout 1\n" + conf.read_text())
    own_slapd.kill()
    own_slapd.start()
    asked = ask(own_slapd.settings(servers=own_slapd.ldap, ca_file=own_slapd.ca))
    assert asked.sign_in("alice")["answer"] == "yes"
    time.sleep(2.5)  # the server's own clock: nothing to ask
    assert asked.sign_in("alice")["answer"] == "yes"
    assert asked.close() == ""


def test_connections_are_kept(own_slapd, ask):
    asked = ask(own_slapd.settings(servers=own_slapd.ldap, ca_file=own_slapd.ca))
    port = int(own_slapd.ldap.rsplit(":", 1)[1])

    def open_to_server():
        with open("/proc/net/tcp") as table:
            return sorted(line.split()[1] for line in table if line.split()[2] == f"0100007F:{port:04X}"
                          and line.split()[3] == "01")

    assert asked.sign_in("alice")["answer"] == "yes"
    first = open_to_server()
    assert len(first) == 2
    for user in ("bob", "carol", "alice"):
        assert asked.sign_in(user)["answer"] == "yes"
        assert asked.sign_in(user, "wrong")["answer"] == "unauthenticated"
    assert open_to_server() == first


@pytest.mark.parametrize("line, words", [
    ("servers = http://x", "servers"), ("servers = ldap://", "servers"), ("user_filter = uid=x", "user_filter"),
    ("user_filter = (uid=x)(", "user_filter"), ("user_filter = (a=b)(c=d)", "user_filter"),
    ("group_name_attribute = a)(b", "group_name_attribute"),
    ("bind_dn = cn=x", "bind_password_file"), ("bind_password_file = /nowhere", "bind_dn")])
def test_settings_that_cannot_be(ask, tmp_path, line, words):
    key = line.split(" =")[0]
    good = {"servers": "ldapi://%2Fx", "user_base": "a=b", "group_base": "a=b"}
    text = "[directory]\n" + "".join(f"{k} = {v}\n" for k, v in good.items() if k != key) + line + "\n"
    asked = ask(text)
    _, log = asked.process.communicate(timeout=20)
    assert asked.process.returncode == 2 and words in log
