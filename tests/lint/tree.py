"""The files that lint looks at: those under version control, or all but build output where there is no git."""
import pathlib
import re
import subprocess

IGNORED = re.compile(r"(^|/)(build-[^/]*|build|autom4te\.cache|node_modules|__pycache__|\.git|m4)/"
                     r"|^(configure|aclocal\.m4|config\.h\.in|Makefile\.in)~?$|\.(o|a)$")


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.files = sorted(self._tracked() or self._walked())

    def _tracked(self):
        try:
            done = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(self.root), "ls-files", "-z", "--cached", "--others",
                                   "--exclude-standard"], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return []
        names = done.stdout.split("\0") if done.returncode == 0 else []
        return [name for name in names if name and (self.root / name).is_file()]

    def _walked(self):
        names = (str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())
        return [name for name in names if not IGNORED.search(name)]

    def named(self, *endings, under=""):
        return [name for name in self.files if name.endswith(endings) and name.startswith(under)]

    def text(self, name):
        return (self.root / name).read_text(errors="replace")

    def first_line(self, name):
        with open(self.root / name, "rb") as stream:
            return stream.readline(200).decode(errors="replace")

    def exists(self, name):
        return (self.root / name).exists()
