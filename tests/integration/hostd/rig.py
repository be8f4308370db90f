"""One host under test: a fake broker, a state directory, usher-hostd; with a private libvirt, or libvirt's test driver."""
import base64
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import uuid

from fakes.fake_broker import FakeBroker
from harness.daemon import Daemon
from harness.pki import Pki
from harness.spice import LinkRefused, Session
from harness.stack import BUILD, copy_version, tiny_templates
from harness.wait import wait_until

READY_S = 120   # a guest under emulation on a busy machine


class Rig:
    """`libvirt` is a PrivateLibvirt, or None for libvirt's test driver."""

    def __init__(self, libvirt=None, state_dir=None, templates=None, images=None, **settings):
        self.libvirt = libvirt
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="usher-hostd-"))
        self.root.chmod(0o711)
        self.state = pathlib.Path(state_dir or self.root / "state")
        self.state.mkdir(exist_ok=True)
        self.state.chmod(0o711)
        self.run = self.root / "run"
        self.fault_file = self.root / "fault"
        self.broker = FakeBroker(Pki(self.root / "pki"), self.root)
        self.config = self.root / "hostd.conf"
        self.templates = pathlib.Path(templates or self.root / "templates")
        if templates is None:
            copy_version(tiny_templates() / "tiny/1", self.templates / "tiny/1")
        self.images = images or {}      # settings of [images]
        self.write_config(**settings)
        self.hostd = Daemon("hostd", [BUILD / "usher-hostd", "--config", self.config], self.root,
                            inside=libvirt.inside if libvirt else None)

    def write_config(self, clones=None, **settings):
        values = {"name": "kvm1", "state_dir": self.state, "template_dir": self.templates, "run_dir": self.run,
                  "libvirt_uri": "qemu:///system" if self.libvirt else "test:///default", "disk_reserve_mib": 16, "shutdown_s": 20,
                  "log_level": "info", **settings}
        host = self.root / "host"
        files = {"certificate": "host.pem", "key": "host.key", "ca": "ca.pem", "grant_key": "grant.pub", "identity": "host.json"}
        lines = ["[hostd]", *[f"{key} = {value}" for key, value in values.items()],
                 "[images]", *[f"{key} = {value}" for key, value in {"reserve_mib": 16, **self.images}.items()],
                 "[broker]", *[f"{key} = {host / name}" for key, name in files.items()],
                 "[door]", f"listen = unix:{self.root}/door.sock",
                 "[clones]", *[f"{key} = {value}" for key, value in (clones or {}).items()]]
        self.config.write_text("\n".join(lines) + "\n")

    def join(self, token=None, check=True, *options):
        file = self.root / "token"
        file.write_text(token or self.broker.token("kvm1"))
        return subprocess.run([BUILD / "usher-hostd", "join", "--config", self.config, "--broker", self.broker.url,
                               "--token-file", file, *options], capture_output=True, text=True, check=check)

    def start(self, **environment):
        self.hostd.start(wait_s=0, **environment)
        return self

    def stop(self):
        """Ends hostd and the broker; removes the directory."""
        self.hostd.stop()
        if self.broker.server:
            self.broker.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        self.join()
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def survive(self, point, step, seconds=60):
        """`step` makes hostd come to the fault point; it dies there and is started again."""
        self.fault_file.write_text("")
        if self.hostd.running():
            self.hostd.kill()
        self.start(USHER_FAULT=point, USHER_FAULT_FILE=str(self.fault_file))
        step()
        self.hostd.wait_end(seconds)
        assert not self.fault_file.exists(), f"it ended elsewhere: {self.hostd.tail()}"
        self.start()

    @contextlib.contextmanager
    def held(self, point, step, seconds=60):
        """`step` makes hostd come to the fault point, where it waits while the block runs; then it goes on."""
        self.fault_file.write_text("")
        if self.hostd.running():
            self.hostd.kill()
        self.start(USHER_FAULT=point, USHER_FAULT_FILE=str(self.fault_file), USHER_FAULT_HOLD="1")
        step()
        wait_until(lambda: not self.fault_file.exists(), seconds, f"hostd comes to {point}", 0.02)
        try:
            yield
        finally:
            self.fault_file.write_text("")

    # -- asking -------------------------------------------------------------------------------------

    def wait_state(self, desktop, states, seconds=READY_S, **members):
        """Waits until the desktop is reported in one of `states` (a word or several) with `members` as given."""
        wanted = states.split()

        def reached():
            seen = self.broker.seen(desktop)
            return seen if seen.get("state") in wanted and all(seen.get(key) == value for key, value in members.items()) else None
        try:
            return wait_until(reached, seconds, f"desktop {states} {members}")
        except AssertionError as error:
            raise AssertionError(f"{error}; seen {self.broker.seen(desktop)}\n{self.hostd.tail()}") from None

    def wait_parent(self, parent, states, seconds=READY_S):
        wanted = states.split()

        def reached():
            seen = self.broker.seen_parent(parent)
            return seen if seen.get("state") in wanted else None
        try:
            return wait_until(reached, seconds, f"parent {parent} {states}")
        except AssertionError as error:
            raise AssertionError(f"{error}; seen {self.broker.seen_parent(parent)}\n{self.hostd.tail()}") from None

    def wait_over(self, desktop, seconds=60):
        """Waits until nothing of the desktop is left, then lets the broker forget it."""
        self.wait_state(desktop, "absent", seconds)
        self.broker.forget(desktop)
        self.assert_nothing_left()

    def assert_nothing_left(self):
        assert list((self.state / "desktops").iterdir()) == []
        assert list((self.run / "consoles").iterdir()) == []
        if self.libvirt:
            domains = self.libvirt.virsh("list", "--all", "--name").split()
            assert domains == [], f"{domains}: {self.hostd.tail()}"
            assert self.libvirt.qemu_pids() == {}

    def console(self, desktop):
        """Host and port of its SPICE server as the door reads them; None when it has none."""
        path = self.run / "consoles" / desktop
        return json.loads(path.read_text())["spice"] if path.exists() else None

    def lets_in(self, desktop, secret):
        """Whether its SPICE server takes `secret`."""
        at = self.console(desktop)
        try:
            with Session((at["host"], at["port"]), secret) as session:
                return session.alive()
        except LinkRefused:
            return False

    def disk(self, desktop, name="disk.qcow2"):
        """What qemu-img says of one of its disks, also while a guest has it."""
        answer = subprocess.run(["qemu-img", "info", "-U", "--output=json", self.directory(desktop) / name], check=True, capture_output=True)
        return json.loads(answer.stdout)

    def agent(self, desktop, path, *arguments, text=None):
        """Runs a program in the guest by its agent; its standard output."""
        def ask(command, **members):
            answer = self.libvirt.virsh("qemu-agent-command", f"usher-{desktop}", "--timeout", "10",
                                        json.dumps({"execute": command, "arguments": members}))
            return json.loads(answer)["return"]

        more = {"input-data": base64.b64encode(text.encode()).decode()} if text is not None else {}
        pid = ask("guest-exec", path=path, arg=list(arguments), **{"capture-output": True}, **more)["pid"]
        ended = wait_until(lambda: (status := ask("guest-exec-status", pid=pid))["exited"] and status, 30, f"{path} ends")
        assert ended["exitcode"] == 0, ended
        return base64.b64decode(ended.get("out-data", "")).decode()

    def boots(self, desktop):
        """How often the guest says it has booted from this disk; the last host name it gave."""
        lines = (self.directory(desktop) / "serial.log").read_text(errors="replace").splitlines()
        words = [line.split() for line in lines if line.startswith("usher-tiny:") and " boot " in line]
        return (words[-1][1], int(words[-1][-1])) if words else (None, 0)

    def directory(self, desktop):
        return self.state / "desktops" / desktop


def new_id():
    return str(uuid.uuid4())


def second_version(host, change_initrd=lambda initrd: initrd):
    """tiny/2: as tiny/1, or with another initramfs."""
    made = host.templates / "tiny/2.new"
    copy_version(host.templates / "tiny/1", made)
    for name, change in (("manifest.json", lambda text: json.dumps({**json.loads(text), "version": 2}).encode()),
                         ("initrd.img", change_initrd)):
        changed = change((made / name).read_bytes())
        (made / name).unlink()
        (made / name).write_bytes(changed)
    made.rename(host.templates / "tiny/2")


def remove_domains(libvirt):
    """What a test that failed may have left: the next must not meet it."""
    for name in libvirt.virsh("list", "--all", "--name", check=False).split():
        libvirt.virsh("destroy", name, check=False)
        libvirt.virsh("undefine", name, "--managed-save", check=False)
