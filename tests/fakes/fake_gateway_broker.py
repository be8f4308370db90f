"""A fake broker for tests of the gateway alone: the two sockets, tickets a test made up, and what was told.

Nothing of the broker's rules is here: a ticket is what `offer` was given, and it is taken once."""
import base64
import http.server
import json
import os
import secrets
import socketserver
import threading
import time
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class GrantKey:
    """The broker's signing key; `public_file` is what a door checks grants with."""

    def __init__(self, public_file):
        self.key = Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(32))
        assert self.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        public_file.write_text(base64url(public) + "\n")

    def seal(self, desktop, host, session, service="spice", seconds=300):
        claim = {"desktop": desktop, "host": host, "session": session, "service": service, "expires_at": int(time.time()) + seconds}
        text = json.dumps(claim, sort_keys=True, separators=(",", ":")).encode()
        return base64url(self.key.sign(text) + text)


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    fake = None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, status, value):
        self.answer(status, json.dumps(value).encode(), [("Content-Type", "application/json")])

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


class GatewayHandler(Handler):
    """Tickets and events."""

    def do_POST(self):
        fake, parts = self.server.fake, self.path.strip("/").split("/")
        body = json.loads(self.body())
        if parts == ["gateway", "v1", "redeem"]:
            fake.requests.append(body)
            time.sleep(fake.redeem_delay_s)
            offer = fake.tickets.pop(body["ticket"], None)
            self.answer_json(200, offer) if offer else self.answer_json(401, {"error": {"code": "unauthenticated"}})
        elif parts[:3] == ["gateway", "v1", "sessions"] and parts[4:] == ["events"]:
            fake.events.append((parts[3], body))
            self.answer(204)
        else:
            self.answer_json(404, {})


class ApiHandler(Handler):
    """Says back what came, in the framings a broker may use."""

    def do_any(self):
        fake, body, path = self.server.fake, self.body(), self.path.split("?")[0]
        fake.api_requests.append((self.command, self.path, list(self.headers.items()), body))
        if path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (b"first,", b"x" * 70000, b",last"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/close":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"until the end")
            self.close_connection = True
        elif path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"short")
            self.close_connection = True
        elif path == "/nothing":
            self.send_response(204)
            self.end_headers()
        elif path == "/big":
            self.answer(200, b"b" * 3_000_000)
        elif path == "/late":
            time.sleep(1)
            self.answer(200, b"late")
        elif path == "/drop":
            self.close_connection = True
        else:
            self.answer_json(200, {"method": self.command, "path": self.path, "body": len(body),
                                   "headers": [[name.lower(), value] for name, value in self.headers.items()]})

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_any


class FakeGatewayBroker:
    """`folder` gets api.sock and gateway.sock. Start and stop it as a test likes: tickets and events stay."""

    def __init__(self, folder):
        self.api_socket, self.gateway_socket = folder / "api.sock", folder / "gateway.sock"
        self.tickets, self.requests, self.events, self.api_requests = {}, [], [], []
        self.redeem_delay_s = 0
        self.servers = []

    def start(self):
        for path, handler in ((self.api_socket, ApiHandler), (self.gateway_socket, GatewayHandler)):
            if path.exists():
                os.unlink(path)
            server = UnixServer(str(path), handler)
            server.fake = self
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            self.servers.append(server)
        return self

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers = []
        for path in (self.api_socket, self.gateway_socket):
            path.unlink(missing_ok=True)

    def offer(self, grant_key, desktop, host, door, secret, grant_seconds=300):
        """A fresh ticket for that desktop; (ticket, session id)."""
        ticket, session = base64url(secrets.token_bytes(32)), str(uuid.uuid4())
        self.tickets[ticket] = {
            "session": session, "desktop": desktop, "user": "alice", "service": "spice", "door": door,
            "grant": grant_key.seal(desktop, host, session, seconds=grant_seconds), "secret": secret,
        }
        return ticket, session

    def events_of(self, session):
        return [event for id, event in self.events if id == session]
