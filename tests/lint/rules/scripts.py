"""Scripts pass shellcheck, and a file with an interpreter's line is executable (and no other is)."""
import os
import re
import subprocess


def is_shell(line):
    return re.match(r"#!\s*/\S*\b(ba|da)?sh\b", line) or re.match(r"#!\s*/usr/bin/env\s+(ba|da)?sh\b", line)


def shellcheck(tree, names):
    if not names:
        return []
    done = subprocess.run(["shellcheck", "--format=gcc", "--external-sources", *names], cwd=tree.root,
                          capture_output=True, text=True, check=False)
    if done.returncode > 1:
        return [f"shellcheck: {done.stderr.strip()}"]
    return done.stdout.splitlines()


def check(tree):
    problems, shell = [], []
    for name in tree.files:
        line = tree.first_line(name)
        script = line.startswith("#!")
        executable = os.access(tree.root / name, os.X_OK)
        if script != executable:
            problems.append(f"{name}: {'begins with #! and is not executable' if script else 'is executable and no script'}")
        if script and is_shell(line):
            shell.append(name)
    return problems + shellcheck(tree, shell)
