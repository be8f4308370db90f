"""The settings files of a Stack's daemons."""

import shutil

SPICE_HTML5 = "/usr/share/spice-html5"


def broker(stack, name):
    return {
        "broker": {
            "name": name, "public_url": f"https://127.0.0.1:{stack.ports[name.replace('broker', 'gateway')]}",
            "api_socket": stack.api_socket(name),
            "gateway_socket": stack.gateway_socket(name), "web_dir": stack.source / "web", "spice_html5_dir": SPICE_HTML5,
            "log_level": "debug", "gateway_ca": stack.pki.ca, "gateway_certificate": stack.pki.root / "gateway.pem",
        },
        "database": {"conninfo": stack.postgres.conninfo("usher", "usher_broker"),
                     "owner_conninfo": stack.postgres.conninfo("usher", "usher_owner")},
        "hosts": {
            "listen": f"127.0.0.1:{stack.host_ports[name]}", "advertise_url": f"https://127.0.0.1:{stack.host_ports[name]}",
            "ca_certificate": stack.pki.ca, "ca_key": stack.pki.root / "ca.key",
            "certificate": stack.pki.root / "broker.pem", "key": stack.pki.root / "broker.key",
        },
        "keys": {"dir": stack.root / "keys"},
        "templates": {"dir": stack.root / "images", "reserve_mib": 0},
    }


def gateway(stack, name):
    port, broker_name = stack.ports[name], name.replace("gateway", "broker")
    return {
        "gateway": {
            "name": name, "listen": f"127.0.0.1:{port}", "certificate": stack.pki.root / "gateway.pem",
            "key": stack.pki.root / "gateway.key", "api_socket": stack.api_socket(broker_name),
            "gateway_socket": stack.gateway_socket(broker_name), "public_url": f"https://127.0.0.1:{port}",
            "drain_s": 2, "log_level": "debug",
        },
    }


def hostd(stack, _name):
    host = stack.root / "host"
    return {
        "hostd": {
            "name": "kvm1", "state_dir": stack.root / "state", "template_dir": stack.templates, "run_dir": stack.root / "run",
            "libvirt_uri": stack.libvirt_uri or "qemu:///system", "domain_type": "test" if stack.libvirt_uri else "qemu",
            "log_level": "debug", "shutdown_s": 10,
        },
        "broker": {
            "certificate": host / "host.pem", "key": host / "host.key", "ca": host / "ca.pem",
            "grant_key": host / "grant.pub", "identity": host / "host.json",
        },
        "door": {"listen": f"unix:{stack.root}/run/door.sock"},
    }


def joiner(stack, name):
    """Settings of a host that only joins."""
    home = stack.root / f"host-{name}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    names = {"certificate": "host.pem", "key": "host.key", "ca": "ca.pem", "grant_key": "grant.pub", "identity": "host.json"}
    return f"[hostd]\nname = {name}\nstate_dir = {home}\n[broker]\n" + "".join(
        f"{key} = {home / file}\n" for key, file in names.items())


MAKERS = {"gateway": gateway, "hostd": hostd, "broker": broker}


def text(stack, name):
    """The file's text; `stack.more` overrides, its key names a kind of daemon («broker» is all of them)."""
    kind = name.rstrip("0123456789")
    sections = MAKERS[kind](stack, name)
    for (daemon, section, key), value in stack.more.items():
        if daemon == kind:
            sections.setdefault(section, {})[key] = value
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items()), ""]
    if kind == "broker":
        lines.append(stack.slapd.settings())
    return "\n".join(lines)
