"""usherctl with a configuration directory of its own.

    ctl = Ctl(home, stack)              # of a harness.stack.Stack; sign_in() first
    ctl = Ctl(home, server="unix:/…")   # of anything that answers
    ctl("get", "pools")                 # its standard output; standard error when `status` is not 0
"""
import json
import os
import signal
import subprocess

from harness.stack import BUILD, password


class Ctl:
    program = BUILD / "usherctl"

    def __init__(self, home, stack=None, server=None):
        self.stack = stack
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "LC_ALL": "C.UTF-8", "TMPDIR": str(home)}
        if server:
            self.environment["USHER_SERVER"] = server
        self.session = home / "usher/session.json"
        self.said = ""      # the last command's standard error

    def run(self, *words, text="", status=0, timeout=90, **environment):
        done = subprocess.run([self.program, *map(str, words)], input=text, text=True, capture_output=True, check=False,
                              env={**self.environment, **environment}, timeout=timeout)
        self.said = done.stderr
        assert done.returncode == status, (words, done)
        return done.stdout if status == 0 else done.stderr

    def __call__(self, *words, **options):
        return self.run(*words, **options)

    def json(self, *words, **options):
        return json.loads(self.run(*words, "-o", "json", **options))

    def start(self, *words, **options):
        """Running beside the test, both outputs in one pipe."""
        return subprocess.Popen([self.program, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env={**self.environment, **options})

    def killed(self, *words, fault):
        """Runs into that fault point, and dies of it."""
        done = subprocess.run([self.program, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, env={**self.environment, "USHER_FAULT": fault}, timeout=90)
        assert done.returncode == -signal.SIGKILL, (words, done)

    def sign_in(self, user):
        return self("signin", user, "--server", f"https://127.0.0.1:{self.stack.port}", "--ca", self.stack.pki.ca,
                    "--password-file", "-", text=password(user) + "\n")
