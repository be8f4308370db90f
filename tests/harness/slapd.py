"""A private slapd with the demo directory, for tests.

    with PrivateSlapd() as slapd:                     # on a unix socket
        settings = slapd.settings()                   # the broker's section [directory]
        slapd.kill(); slapd.start()
    with PrivateSlapd(tls=True) as slapd:             # also ldap:// and ldaps:// on 127.0.0.1, with a CA of its own
        slapd.settings(servers=slapd.ldaps, ca_file=slapd.ca)

`make_ca(directory)` gives a second, wrong authority. As root slapd runs as `nobody`. Needs slapd, ldap-utils, openssl.
"""

import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SUFFIX = "dc=usher,dc=demo"
os.environ["PATH"] += ":/usr/sbin:/sbin"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_ca(directory, name="ca"):
    """A certificate authority; returns its certificate's path, the key is beside it."""
    directory = pathlib.Path(directory)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN=usher test {name}", "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem"],
        check=True, capture_output=True)
    return directory / f"{name}.pem"


def make_certificate(directory, ca, name="server", addresses="IP:127.0.0.1,DNS:localhost"):
    directory = pathlib.Path(directory)
    request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
    extensions.write_text(f"subjectAltName={addresses}\n")
    subprocess.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
         "-keyout", directory / f"{name}.key", "-out", request], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", pathlib.Path(ca).with_suffix(".key"),
         "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", directory / f"{name}.pem"],
        check=True, capture_output=True)
    return directory / f"{name}.pem"


class PrivateSlapd:
    """`hash`: argon2 or ssha. `threads`: slapd's worker threads (None: its default of 16)."""

    def __init__(self, root=None, tls=False, hash="ssha", people=None, groups=None, threads=None):
        self.owns_root = root is None
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="usher-slapd-"))
        self.owner = "nobody" if os.getuid() == 0 else subprocess.check_output(["id", "-un"], text=True).strip()
        self.tls, self.hash, self.people, self.groups, self.threads = tls, hash, people, groups, threads
        self.home = self.root / "slapd"
        self.process = None
        self.ldapi = "ldapi://" + urllib.parse.quote(str(self.home / "ldapi"), safe="")
        self.ldap = self.ldaps = self.ca = None

    def __enter__(self):
        self.root.chmod(0o755)
        try:
            self._make()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.kill(signal.SIGTERM)
        if self.owns_root:
            shutil.rmtree(self.root, ignore_errors=True)

    def _make(self):
        arguments = [SOURCE / "packaging/demo-directory/make-directory", "--hash", self.hash]
        for option, value in (("--people", self.people), ("--groups", self.groups)):
            arguments += [option, value] if value else []
        line = subprocess.check_output([*arguments, self.home, self.owner], text=True)
        self.command = shlex.split(line)
        configuration = self.home / "slapd.conf"
        extra = f"threads {self.threads}\n" if self.threads else ""
        if self.tls:
            self.ca = make_ca(self.root)
            make_certificate(self.root, self.ca)
            for name in ("server.key", "server.pem"):
                shutil.chown(self.root / name, self.owner)
            extra += f"TLSCertificateFile {self.root}/server.pem\nTLSCertificateKeyFile {self.root}/server.key\n"
            self.ldap, self.ldaps = (f"{scheme}://127.0.0.1:{free_port()}" for scheme in ("ldap", "ldaps"))
            self.command[-1] += f" {self.ldap}/ {self.ldaps}/"
        configuration.write_text(extra + configuration.read_text())

    def start(self):
        with open(self.root / "slapd.log", "a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while subprocess.run(["ldapwhoami", "-x", "-H", self.ldapi], capture_output=True).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("slapd did not start: " + (self.root / "slapd.log").read_text())
            time.sleep(0.02)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        self.process.wait()
        self.process = None

    def freeze(self):
        """It keeps its sockets and answers nothing, until kill() or thaw()."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        deadline = time.monotonic() + 10
        while any((task / "stat").read_text().rpartition(")")[2].split()[0] != "T" for task in tasks.iterdir()):
            if time.monotonic() > deadline:
                raise AssertionError("slapd does not stop")
            time.sleep(0.01)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def modify(self, ldif):
        """Applies LDIF changes (or adds entries) as the directory's administrator."""
        done = subprocess.run(["ldapmodify", "-a", "-Q", "-Y", "EXTERNAL", "-H", self.ldapi], input=ldif, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr

    def settings(self, **more):
        """The text of section [directory] for the broker's configuration; keywords add to it or override."""
        values = {
            "servers": self.ldapi,
            "bind_dn": f"cn=usher,ou=services,{SUFFIX}",
            "bind_password_file": self.home / "service.password",
            "user_base": f"ou=people,{SUFFIX}",
            "group_base": f"ou=groups,{SUFFIX}",
        } | more
        return "[directory]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value is not None)
