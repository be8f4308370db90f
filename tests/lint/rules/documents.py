"""A document names only paths that exist: link targets, and code spans that begin with a folder of the tree.
A module may be named without .c and .h; a word in capitals stands for any."""
import glob
import re

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"^(?:\./)?[\w.{},*+-]+(?:/[\w.{},*+-]+)*/?(?::\d+)?$")


def spread(text):
    """a{b,c}d -> abd, acd"""
    found = re.search(r"\{([^{}]*)\}", text)
    if not found:
        return [text]
    return [path for part in found[1].split(",") for path in spread(text[: found.start()] + part + text[found.end():])]


def there(tree, path):
    path = re.sub(r":\d+$", "", path).rstrip("/")
    path = path[2:] if path.startswith("./") else path
    pattern = str(tree.root / re.sub(r"\b[A-Z][A-Z-]*\b", "*", path)) if "*" not in path else str(tree.root / path)
    return tree.exists(path) or bool(glob.glob(pattern) or glob.glob(pattern + ".[ch]"))


def check(tree):
    problems = []
    folders = {name.split("/", 1)[0] for name in tree.files if "/" in name}
    for name in tree.named(".md"):
        text = tree.text(name)
        line_of = lambda found: text.count("\n", 0, found.start()) + 1  # noqa: E731
        base = name.rpartition("/")[0]
        for found in LINK.finditer(text):
            target = found[1].split("#")[0]
            if not target or re.match(r"[a-z]+:", target):
                continue
            if not (tree.root / base / target).exists():
                problems.append(f"{name}:{line_of(found)}: the link to «{found[1]}» leads nowhere")
        prose = FENCE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
        for found in SPAN.finditer(prose):
            path = found[1].split()[0]
            first = path.removeprefix("./").split("/", 1)[0]
            if not PATH.match(path) or not ("/" in path and (first in folders or path.startswith("./"))):
                continue
            problems += [f"{name}:{line_of(found)}: there is no «{one}»" for one in spread(path) if not there(tree, one)]
    return problems
