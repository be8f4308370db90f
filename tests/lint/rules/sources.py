"""What our C doesn't do: goto, unbounded copies, shells. And every .c file is named in some local.mk."""
import re

FORBIDDEN = {
    r"\bgoto\b": "no goto: g_autoptr and small functions",
    r"\b(strcpy|strcat|sprintf|vsprintf|gets)\s*\(": "unbounded copy",
    r"\b(system|popen)\s*\(": "no shell: GSubprocess with an argument vector",
    r"\b(mktemp|tmpnam)\s*\(": "a name that another may take first",
}
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def bare(text):
    """The text with comments and strings blanked, lines kept."""
    return COMMENT_OR_STRING.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def check(tree):
    problems = []
    fragments = "\n".join(tree.text(name) for name in tree.files if name.endswith(("local.mk", "Makefile.am")))
    built = set(re.findall(r"[\w./-]+\.c\b", fragments))
    for name in tree.named(".c", ".h"):
        text = bare(tree.text(name))
        for pattern, why in FORBIDDEN.items():
            for found in re.finditer(pattern, text):
                problems.append(f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0].strip()}: {why}")
        if name.endswith(".c") and name not in built:
            problems.append(f"{name}: no local.mk builds it")
    return problems
