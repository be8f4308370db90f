"""A stand-in for the broker's side towards hosts: the join and the sync (docs/protocols.md), with mutual TLS.

    broker = FakeBroker(pki, state_dir)      # listens on 127.0.0.1
    broker.want(ID, "office-1", wanted="running")
    broker.seen(ID)                          # what the host reported last, {} before
    broker.stop(); broker.start()            # away and back, same port

It holds what is wanted and what was seen, and judges nothing.
"""
import hashlib
import http.server
import json
import secrets
import ssl
import subprocess
import threading
import time
import uuid

from fakes.fake_images import FakeImages


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # hosts come and go under test


class FakeBroker:
    def __init__(self, pki, state_dir):
        self.pki = pki
        self.state_dir = state_dir
        self.deployment = str(uuid.uuid4())
        self.answers_as = None          # another deployment's id, to test that it is not obeyed
        self.changed = threading.Condition()
        self.version = 1
        self.wanted = {}
        self.parents = []               # [(template, version, vcpus, ram_mib)] to be kept ready
        self.reports = {}               # id → as last reported
        self.parent_reports = {}        # as `parents` → as last reported
        self.host = {}
        self.fetches = []               # as last reported
        self.images = FakeImages()
        self.tokens = {}                # token → host name; used once
        self.joined = {}                # host name → host id
        self.requests = 0
        self.holding = None             # an Event: answers to syncs that do not wait are held back until it is set
        self.held = 0
        self.certificate, self.key = pki.issue("fake-broker")
        self.grant_key = "A" * 43
        self.server = None
        self.port = 0
        self.start()

    # -- life ---------------------------------------------------------------------------------------

    def start(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.pki.ca)
        context.num_tickets = 0     # as the broker: each connection has a handshake of its own, with the host's certificate in it
        context.verify_mode = ssl.CERT_OPTIONAL     # the join comes without one; the sync is refused without
        broker = self

        class Handler(_Handler):
            owner = broker
            tls = context

        self.server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        with self.changed:
            self.changed.notify_all()               # those that wait end

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    # -- records ------------------------------------------------------------------------------------

    def want(self, desktop, name, wanted="running", template="tiny", version=1, vcpus=1, ram_mib=192, restart=0, console=None,
             **more):
        """`console` is {"revision", "secret", "valid_until"}; `more`: clone, system_revision, data_gib."""
        with self.changed:
            self.wanted[desktop] = {
                "id": desktop, "name": name, "wanted": wanted, "template": {"name": template, "version": version}, "vcpus": vcpus,
                "ram_mib": ram_mib, "restart_revision": restart,
                "console": console, **more}
            self._bump()

    def keep(self, *parents):
        with self.changed:
            self.parents = list(parents)
            self._bump()

    def want_version(self, name, version, folder):
        """Has the host have a template version: `folder` has its files."""
        with self.changed:
            self.images.offer(name, version, folder)
            self._bump()

    def forget_version(self, name, version):
        with self.changed:
            del self.images.files[name, version]
            self._bump()

    def change(self, desktop, **members):
        with self.changed:
            self.wanted[desktop].update(members)
            self._bump()

    def forget(self, desktop):
        with self.changed:
            del self.wanted[desktop]
            self._bump()

    def _bump(self):
        self.version += 1
        self.changed.notify_all()

    def seen(self, desktop):
        with self.changed:
            return dict(self.reports.get(desktop, {}))

    def seen_parent(self, parent):
        with self.changed:
            return dict(self.parent_reports.get(parent, {}))

    def token(self, name):
        secret = secrets.token_urlsafe(32)
        token = f"{secret}.{hashlib.sha256(self.pki.ca.read_bytes()).hexdigest()}"
        self.tokens[token] = name
        return token

    # -- calls --------------------------------------------------------------------------------------

    def join(self, request):
        name = self.tokens.pop(request["token"], None)
        if name is None or name != request["name"]:
            return 403, {"error": {"code": "refused", "message": "the token is unknown or used"}}
        host = str(uuid.uuid4())
        self.joined[name] = host
        return 200, {"host": host, "deployment": self.deployment, "certificate": self._sign(request["csr"], host),
                     "ca": self.pki.ca.read_text(), "grant_key": self.grant_key, "sync_url": self.url}

    def _sign(self, csr, host):
        extensions = self.state_dir / "join.ext"
        extensions.write_text(f"basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{host}\n")
        return subprocess.run(
            ["openssl", "x509", "-req", "-CA", self.pki.ca, "-CAkey", self.pki.root / "ca.key", "-CAcreateserial", "-days", "2",
             "-extfile", extensions, "-subj", f"/CN={host}"], input=csr, capture_output=True, text=True, check=True).stdout

    def sync(self, request):
        server = self.server
        deadline = time.monotonic() + min(request["wait_s"], 25)
        with self.changed:
            self.requests += 1
            self.host = request["host"]
            self.reports = {one["id"]: one for one in request["desktops"]}
            self.parent_reports = {(one["template"]["name"], one["template"]["version"], one["vcpus"], one["ram_mib"]): one
                                   for one in request["parents"]}
            self.fetches = request.get("fetches", [])
            while self.version <= request["after"] and self.server is server and time.monotonic() < deadline:
                self.changed.wait(deadline - time.monotonic())
            if self.server is not server:
                return 503, {"error": {"code": "unavailable", "message": "going down"}}
            unknown = [{"id": one["id"], "name": "", "wanted": "gone", "template": {"name": "", "version": 0}, "vcpus": 0, "ram_mib": 0,
                        "restart_revision": 0, "console": None}
                       for one in request["desktops"] if one["id"] not in self.wanted and one["state"] != "absent"]
            answer = json.dumps({"deployment": self.answers_as or self.deployment, "host": next(iter(self.joined.values()), ""),
                                 "version": self.version, "draining": False, "desktops": [*self.wanted.values(), *unknown],
                                 "parents": [{"template": {"name": name, "version": version}, "vcpus": vcpus, "ram_mib": ram_mib}
                                             for name, version, vcpus, ram_mib in self.parents],
                                 "versions": self.images.versions()})
        if self.holding and request["wait_s"] == 0:
            self.held += 1
            self.holding.wait(30)
        return 200, json.loads(answer)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None
    tls = None

    def setup(self):
        self.request = self.tls.wrap_socket(self.request, server_side=True)  # in this connection's own thread
        self.request.settimeout(60)
        super().setup()

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/v1/hosts/join":
            self.answer(*self.owner.join(request))
        elif self.path == "/host/v1/sync" and self.request.getpeercert():
            self.answer(*self.owner.sync(request))
        else:
            self.answer(403, {"error": {"code": "refused", "message": "no such call, or no certificate"}})

    def do_GET(self):
        if self.request.getpeercert():
            self.owner.images.answer(self)
        else:
            self.answer(403, {"error": {"code": "refused", "message": "no certificate"}})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
