"""A private libvirtd with QEMU, for tests: its own mount namespace and directories, so that tests on one
machine never meet each other's domains nor the machine's own libvirt.

    with PrivateLibvirt() as libvirt:
        libvirt.virsh("list", "--all")
        hostd = libvirt.popen(["build/usher-hostd", "--config", conf])
        libvirt.kill("libvirtd"); libvirt.start("libvirtd")

Needs root, libvirt-daemon-system, qemu-system-x86. Domains run as libvirt-qemu; `root` is a directory that this
user can pass through. Nothing is left: domains are destroyed and every process of the namespace is ended by pid.
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import uuid

from harness.wait import wait_until

DAEMONS = {
    # virtlogd first: without it no domain starts.
    "virtlogd": ("/usr/sbin/virtlogd", "/run/libvirt/virtlogd-sock"),
    "virtlockd": ("/usr/sbin/virtlockd", "/run/libvirt/virtlockd-sock"),
    "libvirtd": ("/usr/sbin/libvirtd", "/run/libvirt/libvirt-sock"),
}
PRIVATE = ("/run/libvirt", "/var/lib/libvirt", "/etc/libvirt", "/var/log/libvirt", "/var/cache/libvirt")


class PrivateLibvirt:
    """`network=True` gives it libvirt's default network, in a network namespace of its own."""

    uri = "qemu:///system"

    def __init__(self, root=None, network=False):
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="usher-libvirt-"))
        self.owns_root = root is None
        self.network = network
        self.holder = None
        self.daemons = {}

    # -- life ---------------------------------------------------------------------------------------

    def __enter__(self):
        try:
            self._make_namespace()
            for name in DAEMONS:
                self.start(name)
            if self.network:
                self.virsh("net-start", "default")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _make_namespace(self):
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)
        for path in PRIVATE:
            private = self._private(path)
            if path == "/etc/libvirt":
                if not private.exists():
                    shutil.copytree(path, private, symlinks=True, ignore=_machines_own)
                self._configure(private)
            private.mkdir(parents=True, exist_ok=True)
            private.chmod(0o755)
            os.makedirs(path, exist_ok=True)
        mounts = " && ".join(f"mount --bind {self._private(path)} {path}" for path in PRIVATE)
        # /sys shows the interfaces of the namespace it was mounted in, and libvirt sets a bridge's ports there.
        cgroups = self.root / "cgroup"
        extra = (f"ip link set lo up && mkdir -p {cgroups} && mount --rbind /sys/fs/cgroup {cgroups} && mount -t sysfs sysfs /sys && "
                 f"mount --rbind {cgroups} /sys/fs/cgroup && " if self.network else "")
        flags = ["--mount", "--propagation", "private"] + (["--net"] if self.network else [])
        self.holder = subprocess.Popen(
            ["unshare", *flags, "sh", "-c", f"{mounts} && {extra}echo up && exec sleep infinity"],
            stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline().strip() != "up":
            raise RuntimeError("cannot make a mount namespace for libvirt")

    def _private(self, path):
        return self.root / path.strip("/").replace("/", "-")

    def _configure(self, etc):
        first = random.randrange(20000, 60000, 100)
        (etc / "qemu.conf").write_text(f"remote_display_port_min = {first}\nremote_display_port_max = {first + 99}\n")
        (etc / "libvirtd.conf").write_text(f'host_uuid = "{uuid.uuid4()}"\nauth_unix_rw = "none"\n')

    def socket(self):
        """libvirtd's, as seen from outside."""
        return self._private("/run/libvirt") / "libvirt-sock"

    def stop(self):
        """Ends every domain and process; leaves nothing. May be called twice."""
        if self.holder is None:
            return
        if "libvirtd" in self.daemons and self.daemons["libvirtd"].poll() is None:
            for domain in self.virsh("list", "--name", check=False).split():
                self.virsh("destroy", domain, check=False)
            if self.network:
                self.virsh("net-destroy", "default", check=False)
        for name in reversed(list(DAEMONS)):
            self.kill(name, signal.SIGTERM)
        for pid in self._leftovers():
            os.kill(pid, signal.SIGKILL)
        self.holder.kill()
        self.holder.wait()
        self.holder = None
        if self.owns_root:
            shutil.rmtree(self.root, ignore_errors=True)

    def _leftovers(self):
        """Processes of the namespace, and QEMUs (which have one of their own), by libvirt's pid files."""
        pids = set()
        for file in self._private("/run/libvirt").glob("qemu/*.pid"):
            text = file.read_text().strip()
            if text.isdigit() and b"qemu" in _command(int(text)):
                pids.add(int(text))
        try:
            ours = os.readlink(f"/proc/{self.holder.pid}/ns/mnt")
        except OSError:
            return pids  # ended with the tests' process group: then so were the others
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.holder.pid:
                try:
                    if os.readlink(f"/proc/{entry}/ns/mnt") == ours:
                        pids.add(int(entry))
                except OSError:
                    continue
        return pids

    # -- daemons ------------------------------------------------------------------------------------

    def start(self, name):
        """Starts one of DAEMONS and waits until it answers."""
        program, socket = DAEMONS[name]
        log = open(self.root / f"{name}.log", "a", encoding="utf-8")
        with log:
            self.daemons[name] = self.popen([program, "--pid-file", f"/run/libvirt/{name}.pid"], stdout=log, stderr=log)
        daemon = self.daemons[name]

        def up():
            if daemon.poll() is not None:
                raise RuntimeError(f"{name} ended: {(self.root / (name + '.log')).read_text()[-2000:]}")
            return (self._private("/run/libvirt") / os.path.basename(socket)).exists()

        wait_until(up, 20, f"{name} listens")
        if name == "libvirtd":
            wait_until(lambda: self.run(["virsh", "-c", self.uri, "version"], check=False,
                                        capture_output=True).returncode == 0, 30, "libvirtd answers", 0.3)

    def kill(self, name, sig=signal.SIGKILL):
        """Ends one of DAEMONS; its domains go on."""
        daemon = self.daemons.pop(name, None)
        if daemon is not None and daemon.poll() is None:
            daemon.send_signal(sig)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        if name in DAEMONS:
            (self._private("/run/libvirt") / os.path.basename(DAEMONS[name][1])).unlink(missing_ok=True)

    def qemu_pids(self):
        """{domain name: pid of its QEMU}."""
        result = {}
        for file in self._private("/run/libvirt").glob("qemu/*.pid"):
            text = file.read_text().strip()
            if text.isdigit() and b"qemu" in _command(int(text)):
                result[file.stem] = int(text)
        return result

    # -- commands inside ----------------------------------------------------------------------------

    def inside(self, command):
        """The command line that runs `command` in the namespace (nsenter execs it: same pid)."""
        flags = ["--mount"] + (["--net"] if self.network else [])
        return ["nsenter", "--target", str(self.holder.pid), *flags, f"--wd={os.getcwd()}", "--",
                *[str(word) for word in command]]

    def run(self, command, **options):
        """subprocess.run() inside; check=True unless told otherwise."""
        options.setdefault("check", True)
        return subprocess.run(self.inside(command), **options)

    def popen(self, command, **options):
        """subprocess.Popen() inside; the pid is the command's own."""
        return subprocess.Popen(self.inside(command), **options)

    def virsh(self, *words, check=True):
        """virsh's standard output."""
        return self.run(["virsh", "-q", "-c", self.uri, *words], check=check, capture_output=True, text=True).stdout


def _machines_own(directory, names):
    """Domains that the machine's own libvirt has, and what it starts by itself, are not ours."""
    inside = os.path.basename(directory) == "qemu"
    return [name for name in names if name == "autostart" or (inside and name.endswith(".xml"))]


def _command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
