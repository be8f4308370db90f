"""Guests asked from outside through libvirt's API: their agents, without a process for each question."""
import base64
import json

import libvirt
import libvirt_qemu

from harness.wait import wait_until

libvirt.registerErrorHandler(lambda *_: None, None)  # what fails is raised; nothing is printed


class Guests:
    """`private`: the PrivateLibvirt they run in."""

    def __init__(self, private):
        socket = private.root / "run-libvirt" / "libvirt-sock"
        self.connection = libvirt.open(f"qemu+unix:///system?socket={socket}")

    def close(self):
        self.connection.close()

    def agent(self, desktop, command, seconds=5, **arguments):
        """What the guest agent returns; libvirt.libvirtError when it does not answer."""
        domain = self.connection.lookupByUUIDString(desktop)
        message = {"execute": command, "arguments": arguments}
        return json.loads(libvirt_qemu.qemuAgentCommand(domain, json.dumps(message), seconds, 0))["return"]

    def host_name(self, desktop):
        """None when there is no domain yet or its agent does not answer."""
        try:
            return self.agent(desktop, "guest-get-host-name", 1)["host-name"]
        except libvirt.libvirtError:
            return None

    def run(self, desktop, *words, seconds=30):
        """Standard output of a program in the guest."""
        pid = self.agent(desktop, "guest-exec", path=words[0], arg=list(words[1:]), **{"capture-output": True})["pid"]

        def ended():
            status = self.agent(desktop, "guest-exec-status", pid=pid)
            return status if status["exited"] else None
        status = wait_until(ended, seconds, f"{words[0]} ends in the guest", 0.05)
        return base64.b64decode(status.get("out-data", "")).decode(errors="replace")
