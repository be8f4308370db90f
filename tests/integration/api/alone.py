"""A broker alone: real PostgreSQL, real slapd, and hosts and gateways played by the test over the broker's own sockets.

    with Alone() as alone:
        alice = alone.person("alice")
        alice.get("/api/v1/pools")
        host = alone.join("kvm1"); host.sync([...])

Each answer is held against docs/openapi.yaml as it comes (Document.check), which also notes what was exercised."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile

import jsonschema
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness import settings
from harness.daemon import Daemon
from harness.net import accepts, free_port
from harness.pki import Pki
from harness.postgres import PrivatePostgres
from harness.slapd import PrivateSlapd
from harness.stack import BUILD, SOURCE, temporary_root
from harness.wait import wait_until


class Document:
    """docs/openapi.yaml: finds what it says of a request and checks the answer."""

    def __init__(self):
        self.text = yaml.safe_load((SOURCE / "docs/openapi.yaml").read_text())
        self.schemas = self._nullable(self.text["components"]["schemas"])
        self.seen = set()

    def operations(self):
        """{(path, METHOD): operation}"""
        return {(path, method.upper()): operation for path, item in self.text["paths"].items()
                for method, operation in item.items() if method in ("get", "put", "post", "delete")}

    def find(self, method, target):
        path = target.partition("?")[0]
        catch_all = None
        for template, verb in self.operations():
            if verb != method:
                continue
            if template == "/{path}":
                catch_all = template
            elif re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
                return template
        return catch_all

    def check(self, method, target, answer):
        template = self.find(method, target)
        assert template, f"{method} {target} is not in the document"
        responses = self.operations()[template, method]["responses"]
        assert str(answer.status) in responses, f"{method} {template}: {answer} is not in the document"
        self.seen.add((template, method, answer.status))
        response = self._resolved(responses[str(answer.status)])
        for name in response.get("headers", {}):
            assert answer.headers[name], f"{method} {template}: {answer.status} without {name}"
        content = response.get("content", {})
        if not content:
            assert answer.body == b"", answer
        elif "application/json" in content:
            schema = {"components": {"schemas": self.schemas}, **self._nullable(content["application/json"]["schema"])}
            jsonschema.validate(answer.json, schema, cls=jsonschema.Draft7Validator)
        elif "*/*" not in content:
            assert answer.headers["Content-Type"] in content, answer.headers["Content-Type"]

    def _resolved(self, node):
        while "$ref" in node:
            found = self.text
            for part in node["$ref"][2:].split("/"):
                found = found[part]
            node = found
        return node

    def _nullable(self, node):
        """OpenAPI 3.0's nullable as JSON Schema knows it."""
        if isinstance(node, list):
            return [self._nullable(one) for one in node]
        if not isinstance(node, dict):
            return node
        plain = {key: self._nullable(value) for key, value in node.items() if key != "nullable"}
        return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    @property
    def error(self):
        return (self.json or {}).get("error", {})

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Caller:
    """Sends requests through `connect()`, each on a connection of its own; checks every answer."""

    def __init__(self, document, connect, headers=None):
        self.document, self.connect = document, connect
        self.headers = dict(headers or {})

    def request(self, method, target, body=None, raw=None, headers=None, check=True):
        send = {**self.headers, **(headers or {})}
        if method != "GET":
            send.setdefault("Content-Type", "application/json")
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        connection = self.connect()
        try:
            connection.request(method, target, data, {name: value for name, value in send.items() if value is not None})
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        if check:
            self.document.check(method, target, answer)
        return answer

    def get(self, target, **more):
        return self.request("GET", target, **more)

    def post(self, target, body=None, **more):
        return self.request("POST", target, body if body is not None or "raw" in more else {}, **more)

    def put(self, target, body=None, **more):
        return self.request("PUT", target, body, **more)

    def delete(self, target, **more):
        return self.request("DELETE", target, **more)

    def sign_in(self, user, password=None):
        answer = self.post("/api/v1/signin", {"user": user, "password": f"{user}-demo" if password is None else password})
        if answer.status == 200:
            self.headers["Cookie"] = answer.headers["Set-Cookie"].split(";")[0]
        return answer

    def apply(self, kind, name, **spec):
        answer = self.put(f"/api/v1/records/{kind}/{name}", {"spec": spec})
        assert answer.status in (200, 201), answer
        return answer.json


class Host(Caller):
    """A host that joined; what it says it sees is up to the test."""

    def __init__(self, alone, name, welcome, key, certificate):
        self.welcome, self.name, self.version = welcome, name, 0
        self.context = ssl.create_default_context(cafile=str(alone.pki.ca))
        self.context.check_hostname = False
        self.context.load_cert_chain(certificate, key)
        super().__init__(alone.document, lambda: http.client.HTTPSConnection("127.0.0.1", alone.host_port, timeout=40,
                                                                              context=self.context))

    def said(self, desktops=(), wait_s=0, **more):
        about = {"name": self.name, "version": "0.1.0", "domain_type": "test", "door": "unix:/run/usher/door.sock", "cpus": 8,
                 "memory_mib": 64000, "memory_free_mib": 60000, "disk_free_mib": 800000, "templates": ["tiny/1"]}
        return {"deployment": self.welcome["deployment"], "after": self.version, "wait_s": wait_s, "host": about,
                "desktops": list(desktops), **more}

    def sync(self, desktops=(), wait_s=0, **more):
        answer = self.post("/host/v1/sync", self.said(desktops, wait_s, **more))
        if answer.status == 200:
            self.version = answer.json["version"]
        return answer

    def obey(self, **overrides):
        """One round of a perfect host: all it should hold is ready, all it should not is absent."""
        wanted = self.sync().json["desktops"]
        seen = [{"id": one["id"], "state": "absent" if one["wanted"] == "gone" else "ready", "reason": "",
                 "console_revision": (one.get("console") or {}).get("revision", 0),
                 "restart_revision": one["restart_revision"], "starts": 1, **overrides} for one in wanted]
        return self.sync(seen).json["desktops"]


class Alone:
    def __init__(self, more=None, **directory):
        """`more`: {("broker", section, key): value} for its settings. `directory`: PrivateSlapd's people and groups."""
        self.more, self.directory = more or {}, directory
        self.source = SOURCE
        self.document = Document()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="api-", dir=temporary_root()))
        self.root.chmod(0o711)
        self.port, self.host_port = 8443, free_port()
        self.ports, self.host_ports = {"gateway": self.port}, {"broker": self.host_port}
        self.resources = contextlib.ExitStack()
        self.broker = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__(True)
            raise
        return self

    def __exit__(self, kind, *_):
        if self.broker is not None:
            self.exit_status = self.broker.stop()
            if kind is not None:
                print(self.broker.tail())
        self.resources.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def _folder(self, name, mode=0o755):
        path = self.root / name
        path.mkdir()
        path.chmod(mode)
        return path

    def _start(self):
        for name in ("run", "log", "host"):
            self._folder(name)
        self._folder("keys", 0o700)
        self.pki = Pki(self.root / "pki")
        self.pki.issue("gateway", rsa=True)
        self.pki.issue("broker")
        self.postgres = self.resources.enter_context(PrivatePostgres(self._folder("pg")))
        for role in ("usher_owner", "usher_broker"):
            self.postgres.query(f"create role {role} login")
        self.postgres.query("create database usher owner usher_owner")
        self.slapd = self.resources.enter_context(PrivateSlapd(self._folder("ldap"), **self.directory))
        config = self.root / "broker.conf"
        config.write_text(settings.text(self, "broker"))
        self.broker = Daemon("broker", [BUILD / "usher-broker", "--config", config], self.root / "log",
                             lambda: accepts(self.api_socket("broker")))
        self.broker.start()
        wait_until(lambda: self.nobody().get("/api/v1/health").json["database"] == "ok", 30, "the broker has its database")
        wait_until(lambda: self.nobody().sign_in("admin").status == 200, 30, "the schema is there")

    def api_socket(self, _name):
        return self.root / "run/api.sock"

    def gateway_socket(self, _name):
        return self.root / "run/gateway.sock"

    def nobody(self, address="192.0.2.1"):
        """As the gateway relays a stranger."""
        return Caller(self.document, lambda: UnixConnection(self.api_socket(""), 40), {"X-Usher-Client": address})

    def person(self, name):
        caller = self.nobody()
        answer = caller.sign_in(name)
        assert answer.status == 200, answer
        return caller

    def gateway(self):
        return Caller(self.document, lambda: UnixConnection(self.gateway_socket(""), 40))

    def audit(self, action):
        rows = self.postgres.query(f"select outcome, message from audit where action = '{action}' order by seq", "usher")
        return [tuple(row) for row in rows]

    def token(self, admin, name):
        answer = admin.post(f"/api/v1/records/host/{name}/token")
        assert answer.status == 201, answer
        return answer.json["token"]

    def join(self, name, admin=None):
        token = self.token(admin or self.person("admin"), name)
        key_text, request = certificate_request(name)
        answer = self.nobody().post("/api/v1/hosts/join", {"token": token, "name": name, "csr": request})
        assert answer.status == 200, answer
        key, certificate = self.root / f"host/{name}.key", self.root / f"host/{name}.pem"
        key.write_text(key_text)
        certificate.write_text(answer.json["certificate"])
        return Host(self, name, answer.json, key, certificate)


def certificate_request(name):
    """(private key, request), both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    key_text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key_text.decode(), request.public_bytes(serialization.Encoding.PEM).decode()


def verifies(certificate, ca):
    """By the openssl program, as strangers would."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate)
        file.flush()
        return subprocess.run(["openssl", "verify", "-CAfile", str(ca), file.name], check=False, capture_output=True).returncode == 0
