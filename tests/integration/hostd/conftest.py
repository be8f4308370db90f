"""One private libvirt for each file of tests, one host for each test."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.libvirt import PrivateLibvirt  # noqa: E402
from harness.stack import tiny_templates  # noqa: E402
from rig import Rig, remove_domains  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def template():
    """Built here, so that no test's own time goes into it."""
    return tiny_templates()


@pytest.fixture(scope="module")
def libvirt():
    with PrivateLibvirt() as running:
        yield running


@pytest.fixture
def host(libvirt):
    """A host that has joined and runs, on real QEMU."""
    with Rig(libvirt) as rig:
        yield rig
    remove_domains(libvirt)


@pytest.fixture
def idle_host(libvirt):
    """As `host`, and hostd is not started yet."""
    rig = Rig(libvirt)
    rig.join()
    yield rig
    rig.stop()
    remove_domains(libvirt)


@pytest.fixture
def fake_host():
    """A host on libvirt's test driver."""
    with Rig() as rig:
        yield rig
