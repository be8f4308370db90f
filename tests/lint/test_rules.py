"""Each rule finds what it is for, and lets good files pass."""
import os

import pytest

from lint.rules import data, decisions, documents, headers, layers, scripts, sizes, sources, words
from lint.tree import Tree


@pytest.fixture
def tree(tmp_path):
    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if text.startswith("#!"):
                path.chmod(0o755)
        return Tree(tmp_path)
    return make


def test_layers_daemons_do_not_include_each_other(tree):
    files = {"broker/a.c": '#include "hostd/b.h"\n', "hostd/b.h": '#include "common/c.h"\n', "common/c.h": ""}
    assert layers.check(tree(files)) == ["broker/a.c:1: broker/ may not include hostd/b.h"]


def test_layers_common_knows_no_daemon(tree):
    assert layers.check(tree({"common/a.h": '\n#include "broker/b.h"\n', "broker/b.h": ""})) == \
        ["common/a.h:2: common/ may not include broker/b.h"]


@pytest.mark.parametrize("name, header, good", [
    ("hostd/virt/domain.c", "libvirt/libvirt.h", True),
    ("hostd/main.c", "libvirt/libvirt.h", False),
    ("broker/store/pool.c", "libpq-fe.h", True),
    ("broker/api/pool.c", "libpq-fe.h", False),
    ("broker/auth/ldap.c", "ldap.h", True),
    ("ctl/main.c", "ldap.h", False),
    ("gateway/ws/frame.c", "wslay/wslay.h", True),
    ("gateway/edge/head.c", "wslay/wslay.h", False),
    ("policies/placement.c", "time.h", False),
    ("policies/placement.c", "string.h", True),
    ("common/error.c", "cmocka.h", False),
])
def test_layers_a_library_has_one_owner(tree, name, header, good):
    assert bool(layers.check(tree({name: f"#include <{header}>\n"}))) is not good


def test_layers_paths_are_from_the_top(tree):
    assert layers.check(tree({"broker/a.c": '#include "b.h"\n', "broker/b.h": ""})) != []


def test_sources(tree):
    files = {"common/a.c": "void f (void)\n{\n  goto out;\n}\n", "common/b.c": '/* goto */ "goto"; system ("x");\n',
             "common/local.mk": "SOURCES = common/a.c\n"}
    found = sources.check(tree(files))
    assert [line.split(": ")[0] for line in found] == ["common/a.c:3", "common/b.c:1", "common/b.c"]


def test_sizes(tree):
    body = "  x ();\n"
    files = {"common/long.c": f"static void\nf (int a)\n{{\n{body * 99}}}\n", "common/fine.c": f"void\ng (void)\n{{\n{body * 98}}}\n",
             "web/tall.js": "x\n" * 601, "tests/t.py": "def f():\n" + "    x()\n" * 100}
    assert sizes.check(tree(files)) == ["common/long.c:3: f has 101 lines, over 100",
                                       "tests/t.py:1: f has 101 lines, over 100",
                                       "web/tall.js: 601 lines, over 600: split it"]


def test_documents(tree):
    files = {"README.md": "`common/error.h` `common/gone.h` [x](docs/a.md) [y](docs/b.md) [z](https://x.example/y)\n"
                          "`common/{error,gone}.h:12` `./check lint` `./nothing` `some/where` `common/`\n",
             "docs/a.md": "[up](../README.md#top)\n```\n`common/in-a-fence.h`\n```\n", "common/error.h": "", "check": ""}
    assert documents.check(tree(files)) == [
        "README.md:1: the link to «docs/b.md» leads nowhere",
        "README.md:1: there is no «common/gone.h»",
        "README.md:2: there is no «common/gone.h:12»",
        "README.md:2: there is no «./nothing»"]


def test_decisions(tree):
    files = {"docs/adr/README.md": "[one](0001-one.md)\n", "docs/adr/0001-one.md": "", "docs/adr/0001-two.md": "",
             "docs/adr/three.md": ""}
    assert decisions.check(tree(files)) == ["docs/adr/0001-two.md: 0001-one.md has the same number",
                                           "docs/adr/README.md doesn't list 0001-two.md",
                                           "docs/adr/three.md: the name is not NNNN-words.md"]


def test_scripts(tree):
    made = tree({"good": "#!/bin/bash\necho \"$1\"\n", "bad": "#!/bin/bash\necho $1\n", "plain": "text\n",
                 "forgotten": "#!/bin/sh\n"})
    os.chmod(made.root / "plain", 0o755)
    os.chmod(made.root / "forgotten", 0o644)
    found = scripts.check(made)
    assert found[:2] == ["forgotten: begins with #! and is not executable", "plain: is executable and no script"]
    assert all(line.startswith("bad:2") for line in found[2:]) and len(found) == 3


def test_words(tree):
    place = "/".join(("", "home", "someone", "usher"))
    files = {"a.md": f"see {place}\n", "b.c": "int a; \n", "c.md": "https://example.org/home/x ~/home/x\n",
             "d/package-lock.json": '"resolved": "https://mirror.example/x.tgz"\n"resolved": "https://registry.npmjs.org/x.tgz"\n'}
    assert words.check(tree(files)) == ["a.md:1: a path of one machine: /home/s", "b.c:1: blanks at the end of the line",
                                       'd/package-lock.json:1: a package mirror: "resolved": "https://mirror.example/x.tgz"']


def test_data(tree):
    files = {"LICENSE": "Apache License\n", "a.json": "{", "b.json": '{"a": 1, "a": 2}', "c.yaml": "a: [1\n", "d.yaml": "a: 1\n",
             "web/package.json": '{"license": "MIT"}', "tests/fuzz/corpus/x/y.json": "{"}
    found = data.check(tree(files))
    assert [line.split(":")[0] for line in found] == ["a.json", "b.json", "c.yaml", "web/package.json"]


def test_headers(tree):
    files = {"common/good.h": "#pragma once\n#include <glib.h>\ngboolean usher_x (void);\n",
             "common/bad.h": "#pragma once\ngboolean usher_x (void);\n"}
    found = headers.check(tree(files))
    assert len(found) == 1 and found[0].startswith("common/bad.h: does not compile alone: ")


def test_a_tree_without_git_is_walked(tree, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    files = {"a.md": "", "build/b.c": "", "build-check/c.c": "", "configure": "", "tests/e2e/node_modules/x/y.js": "", "policies/p.c": ""}
    assert tree(files).files == ["a.md", "policies/p.c"]
