"""A template version from an administrator's upload to a desktop on hosts that had nothing: the real broker gives its files
out over the hosts' mutual TLS. The first host runs guests under QEMU, the second libvirt's test driver."""
import hashlib
import json
import pathlib
import time

import pytest

from harness.ctl import Ctl
from harness.daemon import Daemon
from harness.stack import BUILD, Stack, copy_version, tiny_templates
from harness.wait import wait_until

MIB = 1024 * 1024
IMAGES = {"keep_s": 3, "rate_mib_s": 16, "reserve_mib": 16}


class SecondHost:
    """kvm2: an empty store, and a libvirt whose guests are thin air."""

    def __init__(self, stack):
        self.root = stack.root / "kvm2"
        self.templates = self.root / "templates"
        (self.root / "host").mkdir(parents=True)
        files = {"certificate": "host.pem", "key": "host.key", "ca": "ca.pem", "grant_key": "grant.pub", "identity": "host.json"}
        config = self.root / "hostd.conf"
        config.write_text("\n".join([
            "[hostd]", "name = kvm2", f"state_dir = {self.root}", f"template_dir = {self.templates}", f"run_dir = {self.root}/run",
            "libvirt_uri = test:///default", "disk_reserve_mib = 16", "log_level = debug",
            "[images]", *[f"{key} = {value}" for key, value in IMAGES.items()],
            "[broker]", *[f"{key} = {self.root}/host/{name}" for key, name in files.items()],
            "[door]", f"listen = unix:{self.root}/door.sock", ""]))
        stack.admin().apply("host", "kvm2", mode="active")
        stack.join_host("kvm2", config)
        self.hostd = Daemon("kvm2", [BUILD / "usher-hostd", "--config", config], stack.root / "log")
        stack.daemons["kvm2"] = self.hostd      # its log is printed with the others


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    tiny_templates()
    store = tmp_path_factory.mktemp("store")
    for folder in (store, *store.parents[:2]):
        folder.chmod(0o755)     # QEMU's user reads there
    with Stack(templates=store, more={("hostd", "images", key): value for key, value in IMAGES.items()}) as running:
        yield running
        if "kvm2" in running.daemons:
            running.daemons["kvm2"].kill()


@pytest.fixture(scope="module")
def ctl(stack, tmp_path_factory):
    tool = Ctl(tmp_path_factory.mktemp("ctl"), stack)
    tool.sign_in("admin")
    return tool


def larger(folder):
    """tiny with a larger initrd, so that it takes a while."""
    copy_version(tiny_templates() / "tiny/1", folder)
    seed, octets = b"larger", bytearray()
    while len(octets) < 24 * MIB:
        seed = hashlib.sha256(seed).digest()
        octets += seed
    with open(folder / "initrd.img", "ab") as initrd:
        initrd.write(octets)
    return folder


def hosts_of(stack, version):
    return stack.admin().get(f"/records/template-version/{version}").json["status"]["hosts"]


def wait_hosts(stack, version, names, seconds=60):
    wait_until(lambda: hosts_of(stack, version) == names, seconds, f"{names} have {version}")


def sums(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in pathlib.Path(folder).iterdir()
            if not path.name.startswith(".")}


def made_on_second_host(stack, person, version):
    """The person gets a desktop there, of that version of tiny."""
    rows = ("select h.name, d.seen_state, d.template_version from desktop d join host h on h.id = d.host join person o on o.id = d.owner "
            f"where o.name = '{person}'")
    stack.admin().apply("host", "kvm1", mode="drain")
    try:
        stack.person(person).post("/pools/office/connect", {"client": "spice"})
        wait_until(lambda: stack.rows(rows) == [["kvm2", "ready", version]], 60, "it is made on the second host")
    finally:
        stack.admin().apply("host", "kvm1", mode="active")


def pool(stack, **spec):
    admin = stack.admin()
    admin.apply("pool", "office", display_name="office", template="tiny", spares=0, maximum=5, vcpus=1, ram_mib=192,
                naming="office-{n}", clone="linked", **spec)
    admin.apply("entitlement", "office-everybody", pool="office", group="desktop-users")


@pytest.mark.limit(240)
def test_a_host_that_had_nothing_gets_it_and_people_work(stack, ctl):
    ctl("template", "import", tiny_templates() / "tiny/1", "--publish", "--note", "first")
    assert hosts_of(stack, "tiny.1") == []
    pool(stack)
    with stack.session("alice", "office") as session:
        assert session.alive()
    wait_hosts(stack, "tiny.1", ["kvm1"])
    assert sums(stack.templates / "tiny/1") == sums(stack.root / "images/tiny/1")
    assert (stack.templates / "tiny/1/.fetched").exists()


@pytest.mark.limit(240)
def test_a_second_host_gets_it_and_makes_a_desktop(stack):
    host = SecondHost(stack)
    host.hostd.start(wait_s=0)
    wait_hosts(stack, "tiny.1", ["kvm1", "kvm2"])
    assert sums(host.templates / "tiny/1") == sums(stack.root / "images/tiny/1")
    made_on_second_host(stack, "bob", "1")


@pytest.mark.limit(240)
def test_the_broker_dies_while_it_gives_a_version_out(stack, ctl, tmp_path):
    ctl("template", "import", larger(tmp_path / "larger"), "--name", "tiny", "--note", "second", "--publish")
    coming = stack.templates / ".incoming/tiny-2"
    wait_until(lambda: coming.is_dir() and sum(path.stat().st_size for path in coming.iterdir()) > 4 * MIB, 60, "a part is here", 0.02)
    stack.daemons["broker"].kill()
    assert not (stack.templates / "tiny/2").exists()
    had = sum(path.stat().st_size for path in coming.iterdir())
    time.sleep(2)
    assert had <= sum(path.stat().st_size for path in coming.iterdir()), "what has come is kept"
    stack.daemons["broker"].start()
    wait_until(lambda: (stack.client().get("/health").json or {}).get("database") == "ok", 30, "the broker has its database")
    wait_hosts(stack, "tiny.2", ["kvm1", "kvm2"], 90)
    for store in (stack.templates, stack.root / "kvm2/templates"):
        assert sums(store / "tiny/2") == sums(stack.root / "images/tiny/2")
    made_on_second_host(stack, "erin", "2")


@pytest.mark.limit(240)
def test_what_nobody_wants_goes_from_hosts(stack):
    """Desktops stand on both versions still: what is wanted no more goes when they are gone, and not before."""
    assert stack.admin().delete("/records/pool/office").status in (202, 204)
    wait_until(lambda: stack.desktop_rows() == [], 90, "its desktops are gone")
    for store in (stack.templates, stack.root / "kvm2/templates"):
        wait_until(lambda store=store: not list(store.glob("tiny/*")), 60, "its versions are gone from the hosts")
        wait_until(lambda store=store: not list(store.glob(".incoming/*")), 20, "nothing of them is left")
    wait_hosts(stack, "tiny.1", [])
    assert len(json.loads((stack.root / "images/tiny/2/manifest.json").read_text())) > 5, "the broker has them"
