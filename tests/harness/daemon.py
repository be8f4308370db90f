"""One daemon under test: started with a log of its own, killed and started again as a test likes."""
import os
import pathlib
import signal
import subprocess

from harness.wait import wait_until

LOG_TAIL = 6000


class Daemon:
    """`ready` is asked until it is true after each start; None when the daemon has nothing to ask. `inside`
    turns a command line into the one that runs it elsewhere (PrivateLibvirt.inside)."""

    def __init__(self, name, command, log_dir, ready=None, inside=None, environment=None):
        self.name = name
        self.command = [str(word) for word in command]
        self.log = pathlib.Path(log_dir) / f"{name}.log"
        self.ready = ready
        self.inside = inside or (lambda words: words)
        self.environment = environment or {}
        self.process = None

    def start(self, wait_s=20, **environment):
        """`environment` is for this start alone, e.g. USHER_FAULT="hostd.clone"."""
        assert not self.running(), f"{self.name} runs already"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.inside(self.command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment, **environment})
        if wait_s:
            self.wait_ready(wait_s)
        return self

    def wait_ready(self, seconds=20):
        def up():
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            return self.ready is None or self.ready()
        wait_until(up, seconds, f"{self.name} is ready")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        """Ends it at once (or as `number` does) and waits until it is gone."""
        if self.process is None:
            return None
        if self.running():
            self.process.send_signal(number)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def stop(self):
        return self.kill(signal.SIGTERM)

    def wait_end(self, seconds):
        """Its exit status once it ended by itself, e.g. at a fault point."""
        wait_until(lambda: not self.running(), seconds, f"{self.name} ends")
        return self.process.returncode

    def tail(self):
        return self.log.read_text(errors="replace")[-LOG_TAIL:] if self.log.exists() else ""
