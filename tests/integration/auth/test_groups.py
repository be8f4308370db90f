"""Groups within groups: our own climb through a real slapd, and Active Directory's rule."""

import pytest

from fakes.active_directory import IN_CHAIN, SERVICE, Account, ActiveDirectory
from harness.slapd import SUFFIX

GROUPS = f"ou=groups,{SUFFIX}"


def add_group(slapd, name, *members):
    slapd.modify(f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\n" +
                 "".join(f"member: {member}\n" for member in members))


def test_direct_groups_only(slapd, ask):
    assert ask(slapd.settings(group_nesting="direct")).sign_in("alice")["group_names"] == ["design"]


def test_the_climb_stops_at_its_depth(slapd, ask):
    assert ask(slapd.settings(group_depth=1)).sign_in("alice")["group_names"] == ["design", "staff"]


def test_a_cycle_of_groups_ends(own_slapd, ask):
    add_group(own_slapd, "one", f"cn=three,{GROUPS}", f"uid=carol,ou=people,{SUFFIX}")
    add_group(own_slapd, "two", f"cn=one,{GROUPS}", f"cn=two,{GROUPS}")
    add_group(own_slapd, "three", f"cn=two,{GROUPS}")
    assert ask(own_slapd.settings(group_depth=100)).sign_in("carol")["group_names"] == ["one", "sales", "three", "two"]


def test_many_groups_and_the_limit(own_slapd, ask):
    alice = f"uid=alice,ou=people,{SUFFIX}"
    for i in range(120):
        add_group(own_slapd, f"g{i}", alice)
    add_group(own_slapd, "above", *(f"cn=g{i},{GROUPS}" for i in range(100, 120)))
    names = ask(own_slapd.settings()).sign_in("alice")["group_names"]
    assert len(names) == 124 and "above" in names
    answer = ask(own_slapd.settings(group_limit=100)).sign_in("alice")
    assert answer["answer"] == "unavailable" and "group_limit" in answer["message"]


def test_only_what_groups_are_in_is_remembered(own_slapd, ask):
    remembers, forgets = ask(own_slapd.settings(group_memory_s=3600)), ask(own_slapd.settings(group_memory_s=0))
    before = remembers.sign_in("alice")["group_names"]
    assert forgets.sign_in("alice")["group_names"] == before
    add_group(own_slapd, "above", f"cn=staff,{GROUPS}")
    assert remembers.sign_in("alice")["group_names"] == before
    assert forgets.sign_in("alice")["group_names"] == sorted([*before, "above"])
    add_group(own_slapd, "club", f"uid=alice,ou=people,{SUFFIX}")  # her own groups are others now: all is asked
    assert remembers.sign_in("alice")["group_names"] == sorted([*before, "above", "club"])


def test_names_that_would_be_syntax(own_slapd, ask):
    own_slapd.modify(f"dn: cn=a\\2Cb (*) \\5Cc,{GROUPS}\nobjectClass: groupOfNames\ncn: a,b (*) \\c\n"
                     f"member: uid=carol,ou=people,{SUFFIX}\n")
    add_group(own_slapd, "outer", f"cn=a\\2Cb (*) \\5Cc,{GROUPS}")
    assert ask(own_slapd.settings()).sign_in("carol")["group_names"] == ["a,b (*) \\c", "outer", "sales"]


def test_the_rule_is_not_asked_of_a_server_that_lacks_it(slapd, ask):
    """OpenLDAP answers an unknown rule with no entries: that must not come out as «in no group»."""
    answer = ask(slapd.settings(group_nesting="in-chain")).sign_in("alice")
    assert answer["answer"] == "unavailable" and "in-chain" in answer["message"]


@pytest.fixture
def service_password(tmp_path):
    path = tmp_path / "service"
    path.write_text(SERVICE[1])
    return path


def directory_text(values):
    return "[directory]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def test_in_chain(ask, service_password):
    with ActiveDirectory({"alice": Account("secret", groups=["Design", "Staff"])}) as ad:
        asked = ask(directory_text(ad.settings(bind_password_file=service_password)))
        person = asked.sign_in("alice", "secret")
        assert person["group_names"] == ["Design", "Staff"] and ad.seen_in_chain == 1
        assert person["groups"] == ["cn=design,dc=ad,dc=test", "cn=staff,dc=ad,dc=test"]
        assert asked.sign_in("alice", "wrong")["answer"] == "unauthenticated"
        assert IN_CHAIN.endswith(b".1941")


@pytest.mark.parametrize("data, attributes, words", [
    ("533", {}, "disabled"), ("775", {}, "locked"), ("701", {}, "expired"), ("532", {}, "password has expired"),
    ("773", {}, "must be changed"), ("530", {}, "hour"),
    ("", {"userAccountControl": ["514"]}, "disabled"), ("", {"accountExpires": ["130000000000000000"]}, "expired")])
def test_active_directory_says_why(ask, service_password, data, attributes, words):
    with ActiveDirectory({"bob": Account("secret", data=data, attributes=attributes)}) as ad:
        answer = ask(directory_text(ad.settings(bind_password_file=service_password))).sign_in("bob", "secret")
        assert answer["answer"] == "refused" and words in answer["message"]


def test_an_open_active_directory_account(ask, service_password):
    attributes = {"userAccountControl": ["512"], "accountExpires": ["9223372036854775807"]}
    with ActiveDirectory({"bob": Account("secret", attributes=attributes)}) as ad:
        asked = ask(directory_text(ad.settings(bind_password_file=service_password)))
        assert asked.sign_in("bob", "secret")["answer"] == "yes"
