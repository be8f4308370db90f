"""A guest of a template on QEMU alone, without libvirt and Usher, for tests of what is inside it.

    with Guest(templates / "tiny/1", tmp_path, name="one") as guest:
        guest.wait_agent(120)
        assert guest.run("hostname").out == "one\\n"
        guest.qmp("device_add", driver="virtio-net-pci", netdev="n", bus="port0")

It has no network card; two spare ports take what is plugged in. `fork()` freezes it and gives guests that go on from there.
"""
import base64
import json
import pathlib
import random
import socket
import subprocess
import time
from dataclasses import dataclass

from harness.wait import wait_until


@dataclass
class Answer:
    status: int
    out: str
    err: str
    seconds: float


class Refused(AssertionError):
    """QEMU or the guest agent said no."""


class _Lines:
    """JSON documents, one a line, over a unix socket; an answer is what is no event."""

    def __init__(self, path, seconds):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        self.rest = b""
        self.mark = None

    def ask(self, document):
        self.socket.sendall(json.dumps(document).encode() + b"\n")
        return self.read()

    def read(self):
        while True:
            while b"\n" not in self.rest:
                got = self.socket.recv(65536)
                if not got:
                    raise ConnectionError("closed")
                self.rest += got
            line, self.rest = self.rest.split(b"\n", 1)
            answer = json.loads(line.lstrip(b"\xff"))
            if "event" not in answer:
                return answer

    def close(self):
        self.socket.close()


class Guest:
    """`ram_mib`, `vcpus`: None for the template's defaults. `devices`: more arguments for QEMU, e.g. a data disk."""

    def __init__(self, version, folder, name, ram_mib=None, vcpus=None, devices=(), genid="auto", incoming=None):
        self.version = pathlib.Path(version)
        self.folder = pathlib.Path(folder)
        self.name = name
        self.manifest = json.loads((self.version / "manifest.json").read_text())
        self.ram_mib = ram_mib or self.manifest["default"]["ram_mib"]
        self.vcpus = vcpus or self.manifest["default"]["vcpus"]
        self.devices = list(devices)
        self.genid = genid
        self.incoming = incoming
        self.process = self.monitor = self.lines = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _path(self, what):
        return self.folder / f"{self.name}.{what}"

    def start(self):
        boot = self.manifest["boot"]
        overlay = self._path("qcow2")
        if not overlay.exists():
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.version / self.manifest["disk"]["file"],
                            overlay], check=True)
        command = [
            "qemu-system-x86_64", "-machine", f"{self.manifest['machine']},memory-backend=hot", "-cpu", "max", "-accel", "tcg",
            "-m", f"{self.ram_mib}M", "-smp", str(self.vcpus), "-nodefaults", "-display", "none", "-vga", "qxl",
            "-object", f"memory-backend-ram,id=hot,size={self.ram_mib}M",
            "-kernel", self.version / boot["kernel"], "-initrd", self.version / boot["initrd"],
            "-append", f"{boot['cmdline']} systemd.hostname={self.name}",
            "-drive", f"file={overlay},if=none,id=system,format=qcow2", "-device", "virtio-blk-pci,drive=system",
            "-device", f"vmgenid,guid={self.genid}", "-device", "virtio-rng-pci", "-serial", f"file:{self._path('serial')}",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self._path('agent')},server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
            "-device", "pcie-root-port,id=port0,slot=10", "-device", "pcie-root-port,id=port1,slot=11",
            "-qmp", f"unix:{self._path('qmp')},server=on,wait=off", *self.devices]
        if self.incoming:
            command += ["-incoming", "defer"]
        with open(self._path("log"), "ab") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._connects, 20, f"QEMU of {self.name} answers")

    def _connects(self):
        if self.process.poll() is not None:
            raise AssertionError(f"QEMU of {self.name} ended:\n{self._path('log').read_text()}")
        try:
            self.monitor = _Lines(self._path("qmp"), 60)
        except OSError:
            return False
        self.monitor.read()
        self.qmp("qmp_capabilities")
        return True

    def stop(self):
        for connection in (self.monitor, self.lines):
            if connection is not None:
                connection.close()
        self.monitor = self.lines = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def qmp(self, execute, **arguments):
        answer = self.monitor.ask({"execute": execute, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}})
        if "error" in answer:
            raise Refused(f"{execute}: {answer['error']['desc']}")
        return answer["return"]

    # -- the guest agent ---------------------------------------------------------------------------------

    def agent(self, execute, seconds=30, **arguments):
        # One connection is kept: the agent sleeps a tenth of a second whenever nobody is at the other end.
        if self.lines is None:
            self.lines = _Lines(self._path("agent"), seconds)
        self.lines.socket.settimeout(seconds)
        try:
            if self.lines.mark is None: # the answer to what was asked on another connection may still come
                self.lines.mark = random.randrange(1 << 30)
                answer = self.lines.ask({"execute": "guest-sync", "arguments": {"id": self.lines.mark}})
                while answer.get("return") != self.lines.mark:
                    answer = self.lines.read()
            answer = self.lines.ask({"execute": execute, **({"arguments": arguments} if arguments else {})})
        except OSError:
            self.lines.close()
            self.lines = None
            raise
        if "error" in answer:
            raise Refused(f"{execute}: {answer['error']['desc']}")
        return answer["return"]

    def _pings(self):
        try:
            return self.agent("guest-ping", seconds=1) == {}
        except (OSError, Refused):
            return False

    def wait_agent(self, seconds):
        wait_until(self._pings, seconds, f"the guest agent of {self.name} answers")
        return self

    def run(self, line, words=None, input=None, seconds=60):
        """What a line for the guest's shell answers; with `words` (perhaps none), what the program `line` does."""
        path, words = (line, words) if words is not None else ("/bin/sh", ["-c", line])
        arguments = {"path": path, "arg": words, "capture-output": True}
        if input is not None:
            arguments["input-data"] = base64.b64encode(input.encode()).decode()
        began = time.monotonic()
        pid = self.agent("guest-exec", **arguments)["pid"]
        end = {}
        while not end.get("exited"):
            if time.monotonic() - began > seconds:
                raise AssertionError(f"«{line}» in {self.name} did not end within {seconds} s")
            end = self.agent("guest-exec-status", pid=pid)
        text = {key: base64.b64decode(end.get(key, "")).decode(errors="replace") for key in ("out-data", "err-data")}
        return Answer(end.get("exitcode", -end.get("signal", 0)), text["out-data"], text["err-data"], time.monotonic() - began)

    # -- forks -------------------------------------------------------------------------------------------

    def fork(self, names):
        """Freezes this guest; gives guests of these names, not started, that go on from its instant (their memory a copy)."""
        state = self._path("state")
        self.qmp("stop")
        self.qmp("migrate", uri=f"exec:cat > {state}")
        wait_until(lambda: self.qmp("query-migrate").get("status") == "completed", 60, f"the state of {self.name} is written")
        disk = self._path("qcow2")
        self.stop()
        forks = []
        for name in names:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, self.folder / f"{name}.qcow2"], check=True)
            forks.append(Guest(self.version, self.folder, name, self.ram_mib, self.vcpus, self.devices, self.genid, incoming=state))
        return forks

    def go_on(self):
        """A fork takes up the state it was given, and runs."""
        self.qmp("migrate-incoming", uri=f"exec:cat {self.incoming}")
        wait_until(lambda: self.qmp("query-migrate").get("status") == "completed", 60, f"the state of {self.name} is in", interval=0.02)
        self.qmp("cont")
        return self

    def plug_network(self):
        """A card on a network of QEMU's own, which nothing outside is on."""
        octets = ":".join(f"{octet:02x}" for octet in self.name.encode()[-3:].rjust(3, b"0"))
        self.qmp("netdev_add", type="user", id="net", restrict=True)
        self.qmp("device_add", driver="virtio-net-pci", netdev="net", id="card", bus="port0", mac=f"52:54:00:{octets}")
        return f"52:54:00:{octets}"
