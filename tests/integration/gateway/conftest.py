"""The gateway, a door and a real QEMU with SPICE (its processor stopped: no guest is needed), on a fake broker."""
import json
import os
import pathlib
import secrets
import shutil
import socket
import ssl
import tempfile
import uuid

import pytest

from fakes.fake_gateway_broker import FakeGatewayBroker, GrantKey
from harness.daemon import Daemon
from harness.net import accepts, free_port
from harness.pki import Pki
from harness.spice import Session

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("USHER_BUILD", SOURCE / "build"))


class Edge:
    """Everything of these tests; `qemu`, `door` and `gateway` are Daemons, `broker` is the fake one."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="gw-", dir=os.environ.get("TMPDIR", "/tmp")))
        self.port, self.spice_port = free_port(), free_port()
        self.desktop, self.host = str(uuid.uuid4()), str(uuid.uuid4())
        self.secret = secrets.token_urlsafe(24)
        self.pki = Pki(self.root / "pki")
        self.pki.issue("gateway", rsa=True)
        self.pki.issue(self.host)
        self.grant_key = GrantKey(self.root / "grant.pub")
        self.broker = FakeGatewayBroker(self.root)
        self._write_files()
        self.qemu = self._daemon("qemu", self._qemu_command(), lambda: accepts(("127.0.0.1", self.spice_port)))
        self.door = self._daemon("door", [BUILD / "usher-door", "--config", self.root / "hostd.conf"],
                                 lambda: accepts(self.root / "door.sock"))
        self.gateway = self._daemon("gateway", [BUILD / "usher-gateway", "--config", self.root / "gateway.conf"],
                                    lambda: accepts(("127.0.0.1", self.port)))

    def _daemon(self, name, command, ready):
        return Daemon(name, command, self.root, ready)

    def _write_files(self):
        consoles = self.root / "consoles"
        consoles.mkdir()
        self.console = consoles / self.desktop
        self.console.write_text(json.dumps({"spice": {"host": "127.0.0.1", "port": self.spice_port}}))
        (self.root / "host.json").write_text(json.dumps({"host": self.host, "deployment": str(uuid.uuid4())}))
        (self.root / "secret").write_text(self.secret)
        (self.root / "hostd.conf").write_text(f"""[hostd]
run_dir = {self.root}
[broker]
identity = {self.root}/host.json
grant_key = {self.root}/grant.pub
certificate = {self.pki.root}/{self.host}.pem
key = {self.pki.root}/{self.host}.key
ca = {self.pki.ca}
[door]
listen = unix:{self.root}/door.sock
""")
        self.write_gateway_settings()

    def write_gateway_settings(self, **more):
        values = {
            "name": "gw1", "listen": f"127.0.0.1:{self.port}", "certificate": self.pki.root / "gateway.pem",
            "key": self.pki.root / "gateway.key", "api_socket": self.broker.api_socket,
            "gateway_socket": self.broker.gateway_socket, "public_url": f"https://localhost:{self.port}", "drain_s": 2,
            "log_level": "debug", **more,
        }
        doors = {"ca": self.pki.ca, "certificate": self.pki.root / "gateway.pem", "key": self.pki.root / "gateway.key"}
        lines = ["[gateway]", *(f"{key} = {value}" for key, value in values.items()),
                 "[doors]", *(f"{key} = {value}" for key, value in doors.items()), ""]
        (self.root / "gateway.conf").write_text("\n".join(lines))

    def _qemu_command(self):
        return ["qemu-system-x86_64", "-S", "-display", "none", "-machine", "q35,accel=tcg", "-m", "64", "-nodefaults",
                "-vga", "qxl", "-object", f"secret,id=spice,file={self.root}/secret",
                "-spice", f"port={self.spice_port},addr=127.0.0.1,password-secret=spice",
                "-device", "virtio-serial-pci", "-chardev", "spicevmc,id=agent,name=vdagent",
                "-device", "virtserialport,chardev=agent,name=com.redhat.spice.0",
                "-chardev", "spiceport,id=dav,name=org.spice-space.webdav.0",
                "-device", "virtserialport,chardev=dav,name=org.spice-space.webdav.0",
                "-device", "ich9-usb-ehci1", "-chardev", "spicevmc,id=usb,name=usbredir", "-device", "usb-redir,chardev=usb",
                "-audiodev", "spice,id=sound", "-device", "ich9-intel-hda", "-device", "hda-duplex,audiodev=sound"]

    def start(self):
        self.broker.start()
        for daemon in (self.qemu, self.door, self.gateway):
            daemon.start()
        return self

    def revive(self):
        """What a test killed lives again."""
        if not self.broker.servers:
            self.broker.start()
        for daemon in (self.qemu, self.door, self.gateway):
            if not daemon.running():
                daemon.start()

    def end(self):
        for daemon in (self.gateway, self.door, self.qemu):
            daemon.kill()
        self.broker.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    # -- clients ----------------------------------------------------------------------------------------

    def offer(self, **options):
        door = options.pop("door", f"unix:{self.root}/door.sock")
        return self.broker.offer(self.grant_key, self.desktop, self.host, door, options.pop("secret", self.secret), **options)

    def tls(self, timeout=20):
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=timeout),
                                   server_hostname="localhost")

    def session(self, ticket):
        return Session(("127.0.0.1", self.port), ticket, self.pki.ca)

    def logs(self):
        return "".join(daemon.log.read_text(errors="replace") for daemon in (self.gateway, self.door) if daemon.log.exists())


@pytest.fixture(scope="module")
def running_edge():
    edge = Edge()
    try:
        yield edge.start()
    finally:
        for daemon in (edge.gateway, edge.door, edge.qemu):
            print(f"---- {daemon.log}\n{daemon.tail()}")
        edge.end()


@pytest.fixture
def edge(running_edge):
    running_edge.revive()
    yield running_edge
    running_edge.broker.redeem_delay_s = 0
