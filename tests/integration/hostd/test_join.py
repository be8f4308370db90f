"""A host joins by a one-time token, and by nothing else."""
import json
import stat

import pytest

from fakes.fake_broker import FakeBroker
from harness.pki import Pki
from rig import Rig


@pytest.fixture
def stranger():
    rig = Rig()
    yield rig
    rig.stop()


def kept(rig):
    host = rig.root / "host"
    return sorted(path.name for path in host.iterdir()) if host.exists() else []


def test_it_joins_once(stranger):
    token = stranger.broker.token("kvm1")
    assert "joined" in stranger.join(token).stdout
    host = stranger.root / "host"
    assert kept(stranger) == ["ca.pem", "grant.pub", "host.json", "host.key", "host.pem"]
    assert stat.S_IMODE((host / "host.key").stat().st_mode) == 0o600
    assert json.loads((host / "host.json").read_text()) == {
        "deployment": stranger.broker.deployment, "host": stranger.broker.joined["kvm1"], "sync_url": stranger.broker.url}
    before = (host / "host.pem").read_text()
    again = stranger.join(token)  # used: it would be refused, were it sent
    assert "joined already" in again.stdout and (host / "host.pem").read_text() == before


def refused(rig, token, *options):
    answer = rig.join(token, False, *options)
    assert answer.returncode == 1 and answer.stderr, answer
    assert token.split(".")[0] not in answer.stderr
    assert kept(rig) == []
    return answer.stderr


def test_a_used_token(stranger):
    token = stranger.broker.token("kvm1")
    stranger.broker.tokens.clear()
    assert "token" in refused(stranger, token)


def test_a_malformed_token(stranger):
    assert "form" in refused(stranger, "nonsense")


@pytest.mark.parametrize("with_ca", [False, True], ids=["by the hash", "by the CA"])
def test_another_deployment_answers(stranger, with_ca):
    """A man in the middle: he has a CA of his own, and the token, which he was sent."""
    true_token = stranger.broker.token("kvm1")
    true_ca = stranger.root / "true-ca.pem"
    true_ca.write_bytes(stranger.broker.pki.ca.read_bytes())
    stranger.broker.stop()
    stranger.broker = FakeBroker(Pki(stranger.root / "false-pki"), stranger.root)
    stranger.broker.tokens[true_token] = "kvm1"
    options = ["--ca", str(true_ca)] if with_ca else []
    message = refused(stranger, true_token, *options)
    assert with_ca or "token" in message
    assert (true_token not in stranger.broker.tokens) is not with_ca, "with the CA at hand he is not even sent it"


def test_he_passes_the_true_ca_on(stranger):
    """As above, and his answer holds the true CA: then his own certificate is not that CA's."""
    true_token = stranger.broker.token("kvm1")
    true_pki = stranger.broker.pki
    stranger.broker.stop()
    false = FakeBroker(Pki(stranger.root / "false-pki"), stranger.root)
    false.tokens[true_token] = "kvm1"
    false.pki = true_pki
    stranger.broker = false
    assert "revoke" in refused(stranger, true_token)


def test_the_ca_file_is_not_the_tokens(stranger):
    other = Pki(stranger.root / "other-pki")
    token = stranger.broker.token("kvm1")
    assert "CA" in refused(stranger, token, "--ca", str(other.ca))
    assert token in stranger.broker.tokens, "nothing was sent"


def test_nobody_answers(stranger):
    token = stranger.broker.token("kvm1")
    stranger.broker.stop()
    refused(stranger, token)
    stranger.broker.start()
    assert "joined" in stranger.join(token).stdout


def test_hostd_says_that_it_has_not_joined(stranger):
    stranger.start()
    assert stranger.hostd.wait_end(10) == 1
    assert "join" in stranger.hostd.tail()
