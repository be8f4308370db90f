"""Instant clones without the rest of a host: the program clone-driver is told what to do, on a private libvirt."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid

from harness.stack import BUILD, copy_version, tiny_templates
from harness.wait import wait_until

DEPLOYMENT = "4d4c0f63-0000-4000-8000-000000000001"
KEY = "tiny 1 1 192"
IDENTITY = "usr/lib/usher/identity"
# For a template made before it had one: sets the host name and keeps the document for the tests to read.
STUB = """#!/bin/sh
cat > /run/identity.json
hostname "$(sed 's/.*"hostname":"\\([^"]*\\)".*/\\1/' /run/identity.json)"
"""


def copy_template(into):
    """tiny/1, whose guest can take an identity."""
    folder = into / "tiny/1"
    copy_version(tiny_templates() / "tiny/1", folder)
    initrd = folder / "initrd.img"
    if IDENTITY.encode() in initrd.read_bytes():
        return
    tree = into / "stub"
    (tree / IDENTITY).parent.mkdir(parents=True)
    (tree / IDENTITY).write_text(STUB)
    (tree / IDENTITY).chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names.encode(), capture_output=True,
                             check=True).stdout
    initrd.chmod(0o644)
    with open(initrd, "ab") as file:  # the kernel unpacks one archive after the other
        file.write(b"\0" * (-initrd.stat().st_size % 512) + archive)
    shutil.rmtree(tree)


class Refused(Exception):
    """The driver's answer was a refusal; `code` is the error's name."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Lab:
    """A state directory, a template, and a driver; `driver` is the process or None."""

    def __init__(self, libvirt):
        self.libvirt = libvirt
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="usher-clone-"))
        self.root.chmod(0o711)
        self.state = self.root / "state"
        self.state.mkdir()
        self.state.chmod(0o711)
        self.templates = self.root / "templates"
        copy_template(self.templates)
        self.driver = None

    # -- the driver ---------------------------------------------------------------------------------

    def start(self, **environment):
        """A driver; one that runs is ended first."""
        self.end()
        with open(self.root / "driver.log", "a", encoding="utf-8") as log:
            self.driver = self.libvirt.popen(
                [BUILD / "tests/integration/hostd/clone-driver", "qemu:///system", DEPLOYMENT, self.templates, self.state,
                 BUILD / "usher-emulator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, **environment})
        assert self.driver.stdout.readline().strip() == '{"ok": true}', self.tail()
        return self

    def kill(self):
        self.driver.kill()
        self.driver.wait()

    def end(self):
        if self.driver is not None:
            self.driver.stdin.close()
            self.driver.wait(30)
            self.driver.stdout.close()
            self.driver = None

    def tail(self):
        return (self.root / "driver.log").read_text()[-3000:]

    def tell(self, line):
        """Its answer; None when it died over it."""
        try:
            self.driver.stdin.write(line + "\n")
            self.driver.stdin.flush()
        except BrokenPipeError:
            return None
        text = self.driver.stdout.readline()
        return json.loads(text) if text else None

    def do(self, line):
        """Its answer; Refused when it says no."""
        answer = self.tell(line)
        assert answer is not None, f"the driver died over «{line}»: {self.tail()}"
        if not answer["ok"]:
            raise Refused(answer["code"], answer["message"])
        return answer

    def stop(self):
        self.end()
        shutil.rmtree(self.root, ignore_errors=True)

    # -- parents ------------------------------------------------------------------------------------

    def stages(self):
        return [parent["stage"] for parent in self.do("list")["parents"]]

    def boot_parent(self):
        self.do(f"begin {KEY}")
        wait_until(lambda: self.do(f"is_ready {KEY}")["ready"], 120, "the parent is ready", 1)

    def make_parent(self):
        self.boot_parent()
        self.do(f"freeze {KEY}")

    # -- desktops -----------------------------------------------------------------------------------

    def fork(self, *names):
        """{name: id} of desktops forked at the same time."""
        ids = {name: str(uuid.uuid4()) for name in names}
        answer = self.do(" ; ".join(f"fork {id} {name} {KEY}" for name, id in ids.items()))
        for one in answer.get("all", [answer]):
            assert one["ok"], one
        return ids

    def remove(self, *ids):
        for one in ids:
            self.do(f"destroy {one}")
            self.do(f"undefine {one}")
            shutil.rmtree(self.state / "desktops" / one, ignore_errors=True)

    def virsh(self, command, desktop, *words):
        return self.libvirt.virsh(command, f"usher-{desktop}", *words)

    def agent(self, desktop, command, **arguments):
        text = self.virsh("qemu-agent-command", desktop, json.dumps({"execute": command, "arguments": arguments}))
        return json.loads(text)["return"]

    def host_name(self, desktop):
        return self.agent(desktop, "guest-get-host-name")["host-name"]

    def qemu(self, desktop):
        return self.libvirt.qemu_pids()[f"usher-{desktop}"]
