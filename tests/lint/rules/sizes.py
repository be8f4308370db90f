"""No file over 600 lines and no function over 100 (docs/HACKING.md says what to aim at)."""
import ast

FILE_LIMIT = 600
FUNCTION_LIMIT = 100
SOURCES = (".c", ".h", ".py", ".js", ".mjs", ".sh", ".css")


def c_functions(text):
    """(name, line, lines) of each body: with our braces it is from a line «{» to a line «}»."""
    lines = text.split("\n")
    begun = None
    for number, line in enumerate(lines, 1):
        if line == "{" and begun is None:
            begun = number
        elif line == "}" and begun is not None:
            head = lines[begun - 2] if begun > 1 else ""
            yield head.split("(")[0].strip() or "?", begun, number - begun + 1
            begun = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def long_functions(name, text):
    functions = c_functions(text) if name.endswith((".c", ".h")) else ()
    if name.endswith(".py"):
        functions = python_functions(text)
    for function, line, length in functions:
        if length > FUNCTION_LIMIT:
            yield f"{name}:{line}: {function} has {length} lines, over {FUNCTION_LIMIT}"


def check(tree):
    problems = []
    scripts = [name for name in tree.files if tree.first_line(name).startswith("#!")]
    for name in sorted(set(tree.named(*SOURCES) + scripts)):
        text = tree.text(name)
        count = text.count("\n")
        if count > FILE_LIMIT:
            problems.append(f"{name}: {count} lines, over {FILE_LIMIT}: split it")
        try:
            problems += long_functions(name, text)
        except SyntaxError as error:
            problems.append(f"{name}:{error.lineno}: {error.msg}")
    return problems
