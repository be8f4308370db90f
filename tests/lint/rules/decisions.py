"""docs/adr/README.md lists every decision, and each has a number of its own."""
import re


def check(tree):
    problems = []
    records = [name for name in tree.named(".md", under="docs/adr/") if not name.endswith("README.md")]
    index = tree.text("docs/adr/README.md") if tree.exists("docs/adr/README.md") else ""
    seen = {}
    for name in records:
        base = name.rpartition("/")[2]
        number = re.match(r"(\d{4})-[a-z0-9-]+\.md$", base)
        if not number:
            problems.append(f"{name}: the name is not NNNN-words.md")
            continue
        if number[1] in seen:
            problems.append(f"{name}: {seen[number[1]]} has the same number")
        seen[number[1]] = base
        if f"({base})" not in index:
            problems.append(f"docs/adr/README.md doesn't list {base}")
    return problems
