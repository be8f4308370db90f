"""JSON and YAML files can be read, without a key twice; the licence is Apache-2.0 wherever it is named."""
import json

import yaml

SPARED = ("tests/fuzz/corpus/",)


class Twice(ValueError):
    """A key stands twice in one object."""


def once(pairs):
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise Twice(f"the key «{key}» twice")
    return dict(pairs)


def check(tree):
    problems = []
    if "Apache License" not in tree.text("LICENSE")[:200]:
        problems.append("LICENSE: is not the Apache License")
    for name in tree.named(".json", ".yaml", ".yml"):
        if name.startswith(SPARED) or "/malformed/" in name:
            continue
        try:
            if name.endswith(".json"):
                document = json.loads(tree.text(name), object_pairs_hook=once)
            else:
                document = list(yaml.safe_load_all(tree.text(name)))
        except (ValueError, yaml.YAMLError) as error:
            problems.append(f"{name}: {error}")
            continue
        if name.endswith("package.json") and document.get("license") != "Apache-2.0":
            problems.append(f"{name}: the license is not Apache-2.0")
    return problems
