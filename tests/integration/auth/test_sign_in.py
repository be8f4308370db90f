"""Yes, no, could not find out: against a real slapd with the demo directory."""

import pytest

from harness.libvirt import wait_until
from harness.slapd import SUFFIX

GROUPS = f"ou=groups,{SUFFIX}"
PEOPLE = f"ou=people,{SUFFIX}"


def test_a_person_is_who_the_directory_says(slapd, ask):
    person = ask(slapd.settings()).sign_in("alice")
    assert person["answer"] == "yes"
    assert (person["name"], person["display_name"], person["mail"]) == ("alice", "Alice Adams", "alice@usher.demo")
    assert person["dn"] == f"uid=alice,{PEOPLE}"
    assert person["groups"] == [f"cn={name},{GROUPS}" for name in ("design", "desktop-users", "staff")]
    assert person["group_names"] == ["design", "desktop-users", "staff"]
    assert person["locked"] is None


def test_the_name_is_the_directorys_whatever_case_was_typed(slapd, ask):
    assert ask(slapd.settings()).sign_in("ALICE", "alice-demo")["name"] == "alice"


@pytest.mark.parametrize("user, password", [
    ("alice", "wrong"), ("alice", "Alice-demo"), ("nobody", "nobody-demo"), ("alice", ""), ("", ""), ("", "alice-demo"),
    (" alice", "alice-demo"), ("alice ", "alice-demo"), ("a" * 300, "x"), ("usher", "x")])
def test_no(slapd, ask, user, password):
    assert ask(slapd.settings()).sign_in(user, password)["answer"] == "unauthenticated"


def test_an_empty_password_is_refused_without_asking_anybody(ask):
    nowhere = ask("[directory]\nservers = ldapi://%2Fnowhere\nuser_base = a=b\ngroup_base = a=b\n")
    assert nowhere.sign_in("alice", "")["answer"] == "unauthenticated"
    assert nowhere.sign_in("alice", "x")["answer"] == "unavailable"


@pytest.mark.parametrize("user", [
    "*", "al*", "alice)(uid=*", "alice)(|(uid=*", "*)(uid=*))(|(uid=*", "alice\\2a", "alice\x01", "alice,ou=people",
    "uid=alice", "(alice)", "\\61lice", "alice)(!(uid=x", "al\u00adice", "àlice", "\\", "&", "|", "!"])
def test_a_name_is_only_ever_a_name(slapd, ask, user):
    asked = ask(slapd.settings())
    assert asked("sign-in", user, "alice-demo")["answer"] == "unauthenticated"
    assert asked("look-up", user)["answer"] == "missing"
    assert asked.sign_in("alice")["answer"] == "yes"


def test_a_locked_account_is_told_so(slapd, ask):
    asked = ask(slapd.settings())
    refused = asked.sign_in("dave")
    assert refused["answer"] == "refused" and "locked" in refused["message"]
    assert asked("look-up", "dave")["locked"] == "the account has been locked by an administrator"


def test_a_lock_is_seen_even_where_the_server_hides_it(own_slapd, ask):
    conf = own_slapd.home / "slapd.conf"
    conf.write_text(conf.read_text().replace("ppolicy_use_lockout\n", ""))
    own_slapd.kill()
    own_slapd.start()
    asked = ask(own_slapd.settings())
    assert asked.sign_in("dave")["answer"] == "refused"
    assert asked.sign_in("dave", "wrong")["answer"] == "refused"
    assert asked.sign_in("alice", "wrong")["answer"] == "unauthenticated"


def test_failed_sign_ins_lock_and_the_lock_ends_with_the_administrator(own_slapd, ask):
    asked = ask(own_slapd.settings())
    answers = [asked.sign_in("bob", "wrong")["answer"] for _ in range(21)]
    assert answers[:20] == ["unauthenticated"] * 20
    assert answers[20] == "refused"
    assert asked.sign_in("bob")["answer"] == "refused"
    own_slapd.modify(f"dn: uid=bob,{PEOPLE}\nchangetype: modify\ndelete: pwdAccountLockedTime\n")
    assert asked.sign_in("bob")["answer"] == "yes"


def test_an_expired_password_and_one_to_be_changed_are_refusals(own_slapd, ask):
    own_slapd.modify(f"dn: cn=default,ou=policies,{SUFFIX}\nchangetype: modify\nreplace: pwdMustChange\npwdMustChange: TRUE\n")
    own_slapd.modify(f"dn: uid=erin,{PEOPLE}\nchangetype: modify\nreplace: pwdReset\npwdReset: TRUE\n")
    asked = ask(own_slapd.settings())
    refused = asked.sign_in("erin")
    assert (refused["answer"], refused["message"]) == ("refused", "the password must be changed first")
    own_slapd.modify(f"dn: cn=default,ou=policies,{SUFFIX}\nchangetype: modify\nreplace: pwdMaxAge\npwdMaxAge: 1\n-\n"
                     "replace: pwdMustChange\npwdMustChange: FALSE\n")
    own_slapd.modify(f"dn: uid=frank,{PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: old\n")
    assert asked.sign_in("frank", "old")["answer"] == "yes"
    wait_until(lambda: asked.sign_in("frank", "old").get("message") == "the password has expired", 10, "expiry")


def test_two_accounts_of_one_name_are_nobody(own_slapd, ask):
    own_slapd.modify(f"dn: ou=guests,{PEOPLE}\nobjectClass: organizationalUnit\nou: guests\n\n"
                     f"dn: uid=alice,ou=guests,{PEOPLE}\nobjectClass: inetOrgPerson\nuid: alice\ncn: Other\nsn: Alice\n"
                     "userPassword: alice-demo\n")
    answer = ask(own_slapd.settings()).sign_in("alice")
    assert answer["answer"] == "unavailable"
    assert 'more than one account "alice"' in answer["message"]


def test_the_wrong_base_or_service_password_is_not_a_wrong_password(slapd, ask, tmp_path):
    wrong = tmp_path / "password"
    wrong.write_text("wrong\n")
    for more, word in (({"user_base": f"ou=nowhere,{SUFFIX}"}, "No such object"),
                       ({"group_base": f"ou=nowhere,{SUFFIX}"}, "No such object"),
                       ({"bind_password_file": wrong}, "service account")):
        answer = ask(slapd.settings(**more)).sign_in("alice")
        assert answer["answer"] == "unavailable" and word in answer["message"]


def test_without_rights_to_search_nobody_gets_in(slapd, ask):
    answer = ask(slapd.settings(bind_dn=None, bind_password_file=None)).sign_in("alice")
    assert answer["answer"] in ("unavailable", "unauthenticated")


def test_attributes_and_filters_are_settings(own_slapd, ask):
    asked = ask(own_slapd.settings(user_name_attribute="mail", display_name_attribute="sn", mail_attribute="uid",
                                   user_filter="(&(objectClass=inetOrgPerson)(!(uid=bob)))"))
    person = asked.sign_in("alice@usher.demo", "alice-demo")
    assert (person["name"], person["display_name"], person["mail"]) == ("alice@usher.demo", "Adams", "alice")
    assert asked.sign_in("bob@usher.demo", "bob-demo")["answer"] == "unauthenticated"


def test_fifty_at_once(slapd, ask):
    asked = ask(slapd.settings(), threads=50)
    for _ in range(3):
        assert all(answer["answer"] == "yes" for answer in asked.all("sign-in", "alice", "alice-demo"))
        assert all(answer["answer"] == "unauthenticated" for answer in asked.all("sign-in", "stranger", "alice-demo"))
