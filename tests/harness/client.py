"""A person's or administrator's HTTP client: what a browser or usherctl would send, without hiding answers."""
import http.client
import json
import socket
import ssl
import time

from harness.wait import TooLate


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    @property
    def error(self):
        return (self.json or {}).get("error", {})

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Client:
    """One person; every request is a connection of its own unless `keep` is set. `source`: the address it comes from."""

    def __init__(self, port, ca_file, host="127.0.0.1", timeout=40, keep=False, source=None):
        self.address = (host, port)
        self.context = ssl.create_default_context(cafile=str(ca_file))
        self.context.check_hostname = False
        self.timeout = timeout
        self.keep = keep
        self.source = (source, 0) if source else None
        self.connection = None
        self.cookie = None

    def request(self, method, path, body=None, headers=None, raw=None):
        """`body` goes as JSON, `raw` as it is. OSError when nothing answers."""
        send = dict(headers or {})
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if method != "GET":
            send.setdefault("Content-Type", "application/json")
        if self.cookie:
            send.setdefault("Cookie", self.cookie)
        connection = self.connection or http.client.HTTPSConnection(*self.address, timeout=self.timeout, context=self.context,
                                                                    source_address=self.source)
        try:
            try:
                connection.request(method, path, data, send)
            except OSError:
                if connection.sock is None:
                    raise
                # Refused before all was sent: the answer may be there all the same.
            response = connection.getresponse()
            answer = Answer(response, response.read())
        except BaseException:
            connection.close()
            self.connection = None
            raise
        if self.keep and not response.will_close:
            self.connection = connection
        else:
            connection.close()
            self.connection = None
        return answer

    def get(self, path, **options):
        return self.request("GET", f"/api/v1{path}", **options)

    def post(self, path, body=None, **options):
        return self.request("POST", f"/api/v1{path}", body if body is not None else {}, **options)

    def put(self, path, body, **options):
        return self.request("PUT", f"/api/v1{path}", body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", f"/api/v1{path}", **options)

    def sign_in(self, user, password):
        """The answer; on 200 the cookie is kept."""
        answer = self.post("/signin", {"user": user, "password": password})
        if answer.status == 200:
            self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return answer

    def apply(self, kind, name, **spec):
        answer = self.put(f"/records/{kind}/{name}", {"spec": spec})
        assert answer.status in (200, 201), answer
        return answer.json

    def records(self, kind):
        answer = self.get(f"/records/{kind}")
        assert answer.status == 200, answer
        return answer.json["items"]

    def connect(self, pool, client="spice", seconds=120):
        """Asks as the portal does until the desktop answers: 202 and 503 are asked again. The 200's JSON."""
        until = time.monotonic() + seconds
        while True:
            try:
                answer = self.post(f"/pools/{pool}/connect", {"client": client})
            except (OSError, http.client.HTTPException) as error:
                answer = error
            if getattr(answer, "status", 0) == 200:
                return answer.json
            if getattr(answer, "status", 503) not in (202, 502, 503, 429):
                raise AssertionError(f"connect to {pool}: {answer}")
            if time.monotonic() > until:
                raise TooLate(f"no desktop of {pool} within {seconds} s: {answer}")
            time.sleep(min((answer.json or {}).get("retry_after_ms", 500), 2000) / 1000 if hasattr(answer, "json") else 0.5)


def raw_exchange(address, data, context=None, idle=1.5, limit=15):
    """Sends bytes as they are and reads until the other end closes, or has been silent for `idle` seconds: for
    malformed input. (bytes received, whether it closed)"""
    with socket.create_connection(address, timeout=limit) as plain:
        stream = context.wrap_socket(plain) if context else plain
        try:
            stream.sendall(data)
        except OSError:
            pass  # it may close before it has read all
        received = b""
        until = time.monotonic() + limit
        stream.settimeout(idle)
        try:
            while time.monotonic() < until:
                chunk = stream.recv(65536)
                if not chunk:
                    return received, True
                received += chunk
        except TimeoutError:
            return received, False
        except OSError:
            return received, True
        return received, False
