"""Nothing names one developer's machine: its absolute paths, or a package mirror. No trailing blanks, no CR."""
import re

PLACES = re.compile(r"(?<![\w.}~-])/(?:home|Users|work|root)/[A-Za-z_.]|/tmp/(?:wt|setup)\b")
RESOLVED = re.compile(r'"resolved":\s*"(?!https://registry\.npmjs\.org/)([^"]+)"')
BINARY = (".png", ".jpg", ".ico", ".woff2", ".der", ".bin", ".qcow2", ".zst", ".gz")
SPARED = ("tests/lint/", "tests/fuzz/corpus/")


def check(tree):
    problems = []
    for name in tree.files:
        if name.startswith(SPARED) or name.endswith(BINARY) or b"\0" in (tree.root / name).read_bytes()[:4096]:
            continue
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            for pattern, what in ((PLACES, "a path of one machine"), (RESOLVED, "a package mirror")):
                found = pattern.search(line)
                if found:
                    problems.append(f"{name}:{number}: {what}: {found[0]}")
            if line != line.rstrip(" \t\r") and name != "LICENSE" and not name.endswith(".md"):
                problems.append(f"{name}:{number}: blanks at the end of the line")
    return problems
