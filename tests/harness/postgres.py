"""A private PostgreSQL cluster for tests: own directory, unix socket only, run by an ordinary user.

    with PrivatePostgres() as postgres:
        postgres.conninfo("usher")
        postgres.kill(); postgres.start()
"""
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from harness.wait import wait_until

USER = "postgres"


class PrivatePostgres:
    def __init__(self, root=None):
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="usher-pg-"))
        self.owns_root = root is None
        self.data = self.root / "data"
        self.run_dir = self.root / "run"
        self.log = self.root / "postgres.log"
        self.process = None
        self.bin = pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])

    def __enter__(self):
        try:
            self._make()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _as_user(self, command):
        """PostgreSQL refuses root; setpriv execs, so the pid stays."""
        words = [str(word) for word in command]
        return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", *words] if os.geteuid() == 0 else words

    def _make(self):
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)
        owner = pwd.getpwnam(USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        for path in (self.data, self.run_dir):
            path.mkdir(exist_ok=True)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self.data.chmod(0o700)
        self.run_dir.chmod(0o755)
        subprocess.run(self._as_user([self.bin / "initdb", "-D", self.data, "-U", USER, "-A", "trust", "--no-sync",
                                      "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8"]),
                       check=True, stdout=subprocess.DEVNULL, cwd="/")
        (self.data / "postgresql.auto.conf").write_text(
            "listen_addresses = ''\n"
            f"unix_socket_directories = '{self.run_dir}'\n"
            "max_connections = 200\n"
            "shared_buffers = 32MB\n"
            "restart_after_crash = on\n")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._as_user([self.bin / "postgres", "-D", self.data]), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/")
        wait_until(self.answers, 60, f"PostgreSQL answers; see {self.log}")

    def answers(self):
        assert self.process.poll() is None, f"PostgreSQL ended:\n{self.log.read_text()[-3000:]}"
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.run_dir], check=False).returncode == 0

    def kill(self, number=signal.SIGKILL):
        """The whole cluster ends at once, as by a power cut: the postmaster first, then its children."""
        if self.process is None or self.process.poll() is not None:
            return
        children = _children(self.process.pid)
        self.process.send_signal(number)
        self.process.wait(30)
        for pid in children if number == signal.SIGKILL else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 20, "PostgreSQL's children end")
        if number == signal.SIGKILL:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self):
        self.kill(signal.SIGINT)  # «fast»: sessions are ended
        if self.owns_root:
            shutil.rmtree(self.root, ignore_errors=True)

    def conninfo(self, database="postgres", user=USER):
        return f"host={self.run_dir} dbname={database} user={user}"

    def query(self, sql, database="postgres"):
        """Rows of text columns, as the superuser."""
        return [line.split("\t") for line in self._psql(database, "-c", sql).splitlines()]

    def run_file(self, path, database="postgres"):
        """A file of SQL and psql's own commands, as the superuser."""
        self._psql(database, "-f", path)

    def _psql(self, database, *words):
        done = subprocess.run([self.bin / "psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(database), *words],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[-1]}: {done.stderr.strip()}")
        return done.stdout


def _children(parent):
    result = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                result.append(int(entry))
    return result
