"""Who may include whom (docs/ARCHITECTURE.md): common ← policies, templates ← daemons; daemons never include
each other; a third-party header appears only in the folder that owns its library."""
import re

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)

# folder -> folders it may include from
MAY_INCLUDE = {
    "common": {"common"},
    "policies": {"common", "policies"},
    "templates": {"common", "templates"},
    "broker": {"common", "policies", "templates", "broker"},
    "hostd": {"common", "policies", "templates", "hostd"},
    "gateway": {"common", "policies", "gateway"},
    "ctl": {"common", "templates", "ctl"},
}

# header of a library -> where it may appear, in the product's own folders
OWNERS = {
    r"libvirt/": ["hostd/virt/"],
    r"libpq-fe\.h|libpq/|postgres": ["broker/store/"],
    r"ldap\.h|lber\.h": ["broker/auth/"],
    r"wslay/": ["gateway/ws/"],
    r"libsoup/": ["broker/", "hostd/", "ctl/", "gateway/edge/"],
    r"openssl/": ["common/relay/", "common/pki", "common/checksum"],
    r"sodium": ["common/", "broker/", "gateway/", "templates/guest/"],
    r"yaml\.h": ["ctl/"],
    r"seccomp\.h|linux/seccomp": ["common/relay/", "common/image/"],
    r"systemd/": ["hostd/clone/"],
    r"cmocka\.h": [],
    r"sys/epoll\.h": ["common/relay/"],
}

# Decisions are pure: no clock, no socket, no process there.
PURE = {"policies": r"sys/socket|sys/un|netinet/|arpa/|sys/time|time\.h|sys/wait|spawn\.h|gio/|unistd\.h|fcntl\.h|pthread"}


def includes(text):
    return [(text.count("\n", 0, found.start()) + 1, found[1] == '"', found[2]) for found in INCLUDE.finditer(text)]


def own(folder, where, header):
    top = header.split("/", 1)[0]
    if "/" in header and top in MAY_INCLUDE and top not in MAY_INCLUDE[folder]:
        return f"{where}: {folder}/ may not include {header}"
    return None


def foreign(name, folder, where, header):
    for pattern, owners in OWNERS.items():
        if re.match(pattern, header) and not any(name.startswith(owner) for owner in owners):
            return f"{where}: <{header}> belongs to {', '.join(owners) or 'the tests'}"
    if folder in PURE and re.match(PURE[folder], header):
        return f"{where}: {folder}/ is pure: <{header}> has no place there"
    return None


def check(tree):
    problems = []
    for name in tree.named(".c", ".h"):
        folder = name.split("/", 1)[0]
        if folder not in MAY_INCLUDE:
            continue
        for line, quoted, header in includes(tree.text(name)):
            where = f"{name}:{line}"
            problem = own(folder, where, header) if quoted else foreign(name, folder, where, header)
            if quoted and not problem and not tree.exists(header) and header != "config.h":
                problem = f"{where}: «{header}» is not a path from the top of the tree"
            if problem:
                problems.append(problem)
    return problems
