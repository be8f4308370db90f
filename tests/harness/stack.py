"""All of Usher on private state, for tests: PostgreSQL, slapd, libvirtd, brokers, gateway, hostd and its door.

    with Stack() as stack:
        stack.publish("office", template="tiny")             # template, pool, entitlement of group desktop-users
        with stack.session("alice", "office") as session:    # signs in, connects, holds the desktop's SPICE session
            stack.daemons["broker"].kill()
            session.alive()
        stack.check_consistency()

Each daemon is a harness.daemon.Daemon; `stack.postgres`, `stack.slapd` and `stack.libvirt` can be killed and started too.
When the block ends by an exception the end of every log is printed. Nothing is left: what runs is ended by pid."""
import contextlib
import fcntl
import hashlib
import http.client
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from harness import settings
from harness.client import Client
from harness.daemon import Daemon
from harness.libvirt import PrivateLibvirt
from harness.net import accepts, free_port
from harness.pki import Pki
from harness.postgres import PrivatePostgres
from harness.slapd import PrivateSlapd
from harness.spice import LinkRefused, Session
from harness.wait import wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("USHER_BUILD", SOURCE / "build"))
ADMINISTRATOR = "admin"
GROUP = "desktop-users"


def password(account):
    """As the demo directory's own table has it."""
    table = SOURCE / "packaging/demo-directory/people.tsv"
    people = (line.split("\t") for line in table.read_text().splitlines() if not line.startswith("#"))
    return next(fields[3] for fields in people if fields[0] == account)


def temporary_root():
    return pathlib.Path(os.environ.get("TMPDIR", "/tmp"))


def tiny_templates():
    """The folder with template tiny/1, built once in a run of ./check, and once more when its recipe has changed."""
    recipe = hashlib.sha256()
    for path in sorted(path for part in ("tiny", "guest", "lib") for path in (SOURCE / "templates" / part).iterdir()):
        recipe.update(path.name.encode() + b"\0" + path.read_bytes())
    out = temporary_root() / "usher-templates" / recipe.hexdigest()[:16]
    out.mkdir(parents=True, exist_ok=True)
    out.chmod(0o755)
    with open(out / ".built", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache = SOURCE / "build-check" / "template-cache"
        subprocess.run([SOURCE / "templates/tiny/build", out, "--cache", cache], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
    return out


def copy_version(version, folder):
    """Plain files with the same bytes. A libvirt notes in extended attributes how many of its domains use a file and whose it was: no two
    may share one, and what a copy takes along of them would be wrong for it."""
    shutil.copytree(version, folder, copy_function=shutil.copyfile)


class Stack:
    """`brokers`: how many share the database; each has a gateway («broker2», «gateway2»), the host syncs with the first.
    `libvirt_uri`: another libvirt than a private one with QEMU, e.g. test:///PATH; then `templates` must be given. `people` and `groups`: tables of another demo directory, `hash` how its
    passwords are hashed. `network`: with libvirt's default network, in the machine's own network namespace (one such Stack at
    a time). `more`: {(daemon, section, key): value} for the settings files."""

    def __init__(self, brokers=1, libvirt_uri=None, templates=None, people=None, groups=None, hash="ssha",
                 network=False, more=None):
        self.source = SOURCE
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir=temporary_root()))
        self.root.chmod(0o711)
        self.libvirt_uri = libvirt_uri
        self.templates = templates
        self.people, self.groups, self.hash = people, groups, hash
        self.network = network
        self.more = more or {}
        self.broker_names = ["broker"] + [f"broker{number}" for number in range(2, brokers + 1)]
        self.ports = {name.replace("broker", "gateway"): free_port() for name in self.broker_names}
        self.port = self.ports["gateway"]
        self.host_ports = {name: free_port() for name in self.broker_names}
        self.daemons = {}
        self.postgres = self.slapd = self.libvirt = self.pki = None
        self.resources = contextlib.ExitStack()

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.dump_logs()
            self._end()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.dump_logs()
        self._end()

    # -- life ---------------------------------------------------------------------------------------

    def _start(self):
        for name in ("config", "run", "log", "keys", "state", "host"):
            (self.root / name).mkdir()
            (self.root / name).chmod(0o755 if name != "keys" else 0o700)
        self.pki = Pki(self.root / "pki")
        self.pki.issue("gateway")
        self.pki.issue("broker")
        self.postgres = self.resources.enter_context(PrivatePostgres(self._private("pg")))
        self.postgres.run_file(SOURCE / "broker/store/roles.sql")
        self.slapd = self.resources.enter_context(PrivateSlapd(self._private("ldap"), people=self.people, groups=self.groups,
                                                               hash=self.hash))
        if self.libvirt_uri is None:
            if self.templates is None:
                self.templates = self.root / "templates"
                copy_version(tiny_templates() / "tiny/1", self.templates / "tiny/1")
            self.libvirt = self.resources.enter_context(PrivateLibvirt(self._private("virt")))
            if self.network:
                self.libvirt.virsh("net-start", "default")
                self.resources.callback(self.libvirt.virsh, "net-destroy", "default", check=False)
        for name in self.broker_names:
            self._add_broker(name)
        for name, port in self.ports.items():
            self._add(name, ["usher-gateway", "--config", self._config(name)], lambda port=port: self._portal_answers(port))
        self._add("hostd", ["usher-hostd", "--config", self._config("hostd")], None, inside=True)
        self._add("door", ["usher-door", "--config", self._config("hostd")], lambda: accepts(self.root / "run/door.sock"))
        for name in self.broker_names + list(self.ports):
            self.daemons[name].start()
        wait_until(lambda: self.client().get("/health").json["database"] == "ok", 60, "the broker has its database")
        self._join()
        self.daemons["hostd"].start()
        self.daemons["door"].start()
        wait_until(self.host_is_up, 30, "the host has reported")

    def _private(self, name):
        path = self.root / name
        path.mkdir()
        path.chmod(0o755)
        return path

    def _config(self, daemon):
        path = self.root / "config" / f"{daemon}.conf"
        path.write_text(settings.text(self, daemon))
        path.chmod(0o600)
        return path

    def _add(self, name, command, ready, inside=False):
        words = [BUILD / command[0], *command[1:]]
        self.daemons[name] = Daemon(name, words, self.root / "log", ready,
                                    self.libvirt.inside if inside and self.libvirt else None)

    def _add_broker(self, name):
        api = self.api_socket(name)
        self._add(name, ["usher-broker", "--config", self._config(name)], lambda: accepts(api))

    def api_socket(self, name):
        return self.root / "run" / f"{name}-api.sock"

    def gateway_socket(self, name):
        return self.root / "run" / f"{name}-gateway.sock"

    def _portal_answers(self, port):
        try:
            return Client(port, self.pki.ca, timeout=3).get("/health").status == 200
        except OSError:
            return False

    def _join(self):
        self.admin().apply("host", "kvm1", mode="active")
        self.join_host("kvm1", self.root / "config/hostd.conf")

    def join_host(self, name, config=None):
        """As an administrator puts a host in: a token, and `usher-hostd join`. Without `config`: one that is thrown away."""
        token = self.admin().post(f"/records/host/{name}/token")
        assert token.status == 201, token
        if config is None:
            config = self.root / "config" / f"{name}.conf"
            config.write_text(settings.joiner(self, name))
        done = subprocess.run([BUILD / "usher-hostd", "join", "--broker", f"https://127.0.0.1:{self.port}", "--token",
                               token.json["token"], "--config", config], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60)
        assert done.returncode == 0, f"join: {done.stderr}"

    def _end(self):
        for name in ("hostd", "door", *self.ports, *self.broker_names):
            if name in self.daemons:
                self.daemons[name].kill()
        self.resources.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def dump_logs(self):
        for daemon in self.daemons.values():
            print(f"---- {daemon.log}\n{daemon.tail()}", file=sys.stderr)

    # -- people -------------------------------------------------------------------------------------

    def client(self, gateway="gateway", **options):
        """Nobody yet: sign_in() makes it somebody."""
        return Client(self.ports[gateway], self.pki.ca, **options)

    def person(self, name, **options):
        """Signed in."""
        client = self.client(**options)
        answer = client.sign_in(name, password(name))
        assert answer.status == 200, answer
        return client

    def admin(self):
        return self.person(ADMINISTRATOR)

    def publish(self, pool, template="tiny", group=GROUP, ram_mib=192, spares=0, maximum=20, **spec):
        admin = self.admin()
        admin.apply("template", template, version=1)
        admin.apply("pool", pool, display_name=pool, template=template, spares=spares, maximum=maximum, vcpus=1,
                    ram_mib=ram_mib, naming=f"{pool}-{{n}}", **spec)
        admin.apply("entitlement", f"{pool}-{group}", pool=pool, group=group)
        return admin

    def session(self, user, pool, seconds=120, gateway="gateway"):
        """A held SPICE session, with `offer` (the answer to connect) beside it."""
        offer = self.person(user, gateway=gateway).connect(pool, "spice", seconds)
        return self.open_session(offer, gateway)

    def open_session(self, offer, gateway="gateway"):
        """The SPICE session that an answer to connect offers; `offer` is kept beside it."""
        session = Session(("127.0.0.1", self.ports[gateway]), offer["ticket"], self.pki.ca)
        session.offer = offer
        return session

    def session_by_and_by(self, user, pool, seconds=120):
        """As session(), while something is being killed: asked again until it comes."""
        return self.until_it_works(lambda: self.session(user, pool, 20), seconds)

    def until_it_works(self, call, seconds=60):
        """What `call` gives once it doesn't fail: for what a person would try again."""
        last = []

        def works():
            try:
                last[:] = [call(), None]
                return True
            except (AssertionError, OSError, http.client.HTTPException, LinkRefused) as error:
                last[:] = [None, error]
                return False
        try:
            wait_until(works, seconds, "it works", 0.3)
        except AssertionError:
            raise last[1] from None
        return last[0]

    def start_what_is_down(self):
        for part in (self.postgres, self.slapd):
            if part.process is None or part.process.poll() is not None:
                part.start()
        if self.libvirt and ("libvirtd" not in self.libvirt.daemons or self.libvirt.daemons["libvirtd"].poll() is not None):
            self.libvirt.start("libvirtd")
        for daemon in self.daemons.values():
            if not daemon.running():
                daemon.start()

    # -- what is there ------------------------------------------------------------------------------

    def host_is_up(self):
        hosts = self.admin().records("host")
        return bool(hosts) and hosts[0]["status"].get("state") == "up"

    def domain_ids(self):
        """Ids of all desktops that libvirt has a domain of."""
        return set(self.libvirt.virsh("list", "--all", "--name").replace("usher-", "").split())

    def disks(self):
        folder = self.root / "state" / "desktops"
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def rows(self, sql):
        return self.postgres.query(sql, "usher")

    def desktop_rows(self):
        """[(id, pool, state, person or "")] of all desktops on record."""
        return self.rows("select d.id, p.name, d.state, coalesce(o.name, '') from desktop d join pool p on p.id = d.pool "
                         "left join person o on o.id = d.owner where d.state <> 'gone' order by d.name")

    def rows_of(self, pool):
        return [row for row in self.desktop_rows() if row[1] == pool]

    def reason_of(self, pool):
        """What its desktops say stands in the way."""
        return " ".join(" ".join(row) for row in self.rows(
            f"select d.reason, d.seen_reason from desktop d join pool p on p.id = d.pool where p.name = '{pool}'"))

    def locked_account(self):
        table = SOURCE / "packaging/demo-directory/people.tsv"
        return next(line.split("\t")[0] for line in table.read_text().splitlines() if line.endswith("\tlocked"))

    def forget_throttle(self):
        self.rows("delete from attempt")

    def audit_since(self):
        return Audit(self)


class Audit:
    """What was audited since this was made."""

    def __init__(self, stack):
        self.stack = stack
        self.begin = int(stack.rows("select coalesce(max(seq), 0) from audit")[0][0])

    def lines(self):
        return self.stack.rows(f"select action, outcome, message from audit where seq > {self.begin} order by seq")

    def wait(self, action, outcomes, seconds=10):
        """A line of that action, whose outcome is one of `outcomes`, with words for a person."""
        outcomes = (outcomes,) if isinstance(outcomes, str) else outcomes

        def found():
            return [line for line in self.lines() if line[0] == action and line[1] in outcomes and line[2]]
        return wait_until(found, seconds, f"audit has {action} {outcomes}; it has {self.lines()}")[0]
