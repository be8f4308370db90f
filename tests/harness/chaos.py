"""Killing the parts of a Stack, and what must hold afterwards."""
import contextlib
import os
import re
import signal
import threading

from harness.stack import SOURCE
from harness.wait import wait_until

FAULT_POINT = re.compile(r'USHER_FAULT_POINT \("([^"]+)"\)')
# Where a fault point of a folder is reached.
DAEMON_OF = {"broker": "broker", "hostd": "hostd", "gateway": "gateway"}
# Reached only when a database is new, which has a test of its own.
ONCE = "store.migrate"
# Steps that not every desktop's life has: tests/integration/hostd walks them by itself.
HOSTS_OWN = ("hostd.fork.", "hostd.renew.", "hostd.parent.")
# Those inside parents and forks: tests/integration/hostd/test_clone_points.py walks them.
CLONES = "clone."
# Those of fetching template versions (tests/integration/hostd/test_images.py) and of taking them in
# (tests/integration/api/test_template_faults.py).
IMAGES = "images."


def fault_points(of_every_life=False):
    """[(daemon, name)] of all points in the source of the daemons, or of those that every desktop comes to."""
    found = set()
    for folder, daemon in DAEMON_OF.items():
        for path in sorted((SOURCE / folder).rglob("*.c")):
            where = "door" if "door" in path.relative_to(SOURCE / folder).parts else daemon
            found |= {(where, name) for name in FAULT_POINT.findall(path.read_text())
                      if not name.startswith((ONCE, CLONES, IMAGES)) and not (of_every_life and name.startswith(HOSTS_OWN))}
    return sorted(found)


def clone_points():
    """Names of the points inside parents and forks."""
    texts = [path.read_text() for path in sorted((SOURCE / "hostd").rglob("*.c"))]
    return sorted({name for text in texts for name in FAULT_POINT.findall(text) if name.startswith(CLONES)})


def kill_qemu(stack, name=None):
    pids = stack.libvirt.qemu_pids()
    assert pids, "no QEMU runs"
    for domain, pid in pids.items():
        if name is None or name in domain:
            os.kill(pid, signal.SIGKILL)


# victim -> (how it is killed, how it comes back)
VICTIMS = {
    "broker": (lambda stack: stack.daemons["broker"].kill(), lambda stack: stack.daemons["broker"].start()),
    "hostd": (lambda stack: stack.daemons["hostd"].kill(), lambda stack: stack.daemons["hostd"].start()),
    "gateway": (lambda stack: stack.daemons["gateway"].kill(), lambda stack: stack.daemons["gateway"].start()),
    "door": (lambda stack: stack.daemons["door"].kill(), lambda stack: stack.daemons["door"].start()),
    "postgres": (lambda stack: stack.postgres.kill(), lambda stack: stack.postgres.start()),
    "slapd": (lambda stack: stack.slapd.kill(), lambda stack: stack.slapd.start()),
    "libvirtd": (lambda stack: stack.libvirt.kill("libvirtd"), lambda stack: stack.libvirt.start("libvirtd")),
    "qemu": (kill_qemu, lambda stack: None),
}


def kill(stack, victim):
    VICTIMS[victim][0](stack)


def revive(stack, victim):
    VICTIMS[victim][1](stack)


@contextlib.contextmanager
def supervised(stack, names, before_start=lambda name: None):
    """What systemd does: starts these daemons again when they end. Yields the list of (name, exit status)."""
    ended, over = [], threading.Event()

    def watch():
        while not over.wait(0.1):
            for name in names:
                daemon = stack.daemons[name]
                if not daemon.running() and not over.is_set():
                    ended.append((name, daemon.process.returncode))
                    before_start(name)
                    daemon.start(wait_s=0)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()


class Gauntlet:
    """Has daemons die at each of their fault points, one after the other: when one has fired, the daemon is started
    again with the next one set. `fired`: {(daemon, name)}; `left`: {daemon: [names]}, those still to come."""

    def __init__(self, stack, folder):
        self.stack = stack
        self.folder = folder
        self.left = {}
        for daemon, name in fault_points(of_every_life=True):
            self.left.setdefault(daemon, []).append(name)
        self.fired = []

    def trigger(self, name):
        return self.folder / name

    def arm(self, daemon):
        """Sets the next point for the daemon's next start; notes the one before when it fired."""
        names = self.left[daemon]
        if names and self.stack.daemons[daemon].environment.get("USHER_FAULT") == names[0] and not self.trigger(names[0]).exists():
            self.fired.append((daemon, names.pop(0)))
        self.stack.daemons[daemon].environment = {}
        if names:
            self.trigger(names[0]).write_text("")
            self.stack.daemons[daemon].environment = {"USHER_FAULT": names[0], "USHER_FAULT_FILE": str(self.trigger(names[0]))}

    @contextlib.contextmanager
    def one_life(self):
        """Points fire in here. One that waited in vain stands behind the others in the next life."""
        for daemon in self.left:
            self.stack.daemons[daemon].kill()  # and supervised() starts it: it may die while it starts
        try:
            with supervised(self.stack, list(self.left), self.arm):
                yield
        finally:
            for daemon, names in self.left.items():
                self.stack.daemons[daemon].kill()
                self.arm(daemon)
                self.stack.daemons[daemon].environment = {}
                self.stack.daemons[daemon].start()
                names.append(names.pop(0)) if names else None


def disagreements(stack):
    """What domains, disks and rows say differently of each other; empty when all is well."""
    rows = {row[0]: row[1:] for row in stack.desktop_rows()}
    domains, disks = stack.domain_ids(), stack.disks()
    found = [f"domain {one} has no row" for one in domains - set(rows)]
    found += [f"disk {one} has no row" for one in disks - set(rows)]
    owners = {}
    for desktop, (pool, state, owner) in rows.items():
        if owner:
            owners.setdefault((pool, owner), []).append(desktop)
        if state in ("spare", "assigned") and desktop not in domains:
            found.append(f"{state} desktop {desktop} has no domain")
    found += [f"{owner} has {len(held)} desktops of {pool}: {held}" for (pool, owner), held in owners.items() if len(held) > 1]
    return found


def check_consistency(stack, seconds=60):
    wait_until(lambda: not disagreements(stack), seconds, f"domains, disks and rows agree; they don't: {disagreements(stack)}")


def check_all_gone(stack, pool, seconds=60):
    """The pool is deleted; its desktops, domains, disks and rows must go."""
    admin = stack.admin()
    answer = admin.delete(f"/records/pool/{pool}")
    assert answer.status in (202, 204, 404), answer

    def left():
        return [row for row in stack.desktop_rows() if row[1] == pool] or stack.domain_ids() - {row[0] for row in stack.desktop_rows()} \
            or stack.disks() - {row[0] for row in stack.desktop_rows()}
    wait_until(lambda: not left(), seconds, f"all of pool {pool} is gone")
