"""HTTP through the gateway: what passes, what is refused, what it says when the broker is away."""
import json
import re
import socket
import ssl
import time

import pytest

from harness.wait import wait_until

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection:
    """Raw bytes over TLS; answers read by their own framing."""

    def __init__(self, edge):
        self.stream = edge.tls()
        self.buffer = b""

    def send(self, data):
        self.stream.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def _more(self):
        try:
            chunk = self.stream.recv(65536)
        except (ssl.SSLError, ConnectionError):
            chunk = b""
        self.buffer += chunk
        return bool(chunk)

    def _until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise ConnectionError(f"ended: {self.buffer[:200]!r}")
        part, _, self.buffer = self.buffer.partition(mark)
        return part

    def _take(self, count):
        while len(self.buffer) < count:
            if not self._more():
                raise ConnectionError("cut short")
        part, self.buffer = self.buffer[:count], self.buffer[count:]
        return part

    def _chunked(self):
        body = b""
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            body += self._take(size)
            assert self._take(2) == b"\r\n"
            if size == 0:
                return body

    def answer(self, head_only=False):
        """(status, head, body)"""
        head = self._until(b"\r\n\r\n")
        status = int(head.split()[1])
        length = CONTENT_LENGTH.search(head)
        if head_only or status in (100, 204, 304):
            return status, head, b""
        if b"chunked" in head.lower():
            return status, head, self._chunked()
        if length:
            return status, head, self._take(int(length[1]))
        while self._more():
            pass
        body, self.buffer = self.buffer, b""
        return status, head, body

    def ended(self):
        while self._more():
            pass
        return True


@pytest.fixture
def connection(edge):
    made = Connection(edge)
    yield made
    made.stream.close()


def get(path="/", *headers):
    return f"GET {path} HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in ("Host: localhost", *headers)) + "\r\n"


def error_of(body):
    return json.loads(body)["error"]


def test_passes_a_request_and_says_whose_it_is(connection):
    status, head, body = connection.send(get("/api/v1/me?x=1", "Cookie: usher_session=abc", "X-Usher-Client: 6.6.6.6",
                                             "X-Usher-Request: forged", "X-Forwarded-For: 6.6.6.6")).answer()
    seen = json.loads(body)
    headers = dict(seen["headers"])
    assert status == 200 and seen["path"] == "/api/v1/me?x=1"
    assert headers["x-usher-client"] == "127.0.0.1" and headers["cookie"] == "usher_session=abc"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-usher-request"])
    assert "x-forwarded-for" not in headers
    assert b"\r\nStrict-Transport-Security: max-age=" in head


def test_removes_what_is_about_one_connection(connection):
    _, _, body = connection.send(get("/", "Connection: keep-alive, x-private", "X-Private: 1", "Keep-Alive: 5", "TE: trailers",
                                     "Proxy-Authorization: x", "X-Kept: 1")).answer()
    names = {name for name, _ in json.loads(body)["headers"]}
    assert "x-kept" in names
    assert not names & {"connection", "x-private", "keep-alive", "te", "proxy-authorization"}


def test_keeps_the_connection_and_serves_pipelined_requests_in_order(connection):
    connection.send(get("/1") + get("/2") + get("/3"))
    assert [json.loads(connection.answer()[2])["path"] for _ in range(3)] == ["/1", "/2", "/3"]


@pytest.mark.parametrize("path,body", [("/chunked", b"first," + b"x" * 70000 + b",last"), ("/big", b"b" * 3_000_000), ("/nothing", b"")])
def test_passes_every_framing_and_goes_on(connection, path, body):
    assert connection.send(get(path)).answer()[2] == body
    assert connection.send(get("/after")).answer()[0] == 200


def test_passes_an_answer_that_ends_by_closing(connection):
    status, head, body = connection.send(get("/close")).answer()
    assert (status, body) == (200, b"until the end") and b"\r\nConnection: close" in head


def test_an_answer_cut_short_is_cut_short_for_the_client_too(connection):
    with pytest.raises(ConnectionError):
        connection.send(get("/short")).answer()


def test_a_head_request_has_no_body(connection):
    connection.send(get("/x").replace("GET", "HEAD", 1))
    assert connection.answer(head_only=True)[0] == 200
    assert connection.send(get("/after")).answer()[0] == 200


def test_passes_a_body_of_a_mebibyte_and_refuses_more(connection, edge):
    body = b"z" * (1024 * 1024)
    connection.send(f"POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert json.loads(connection.answer()[2])["body"] == len(body)
    refused = Connection(edge).send(f"POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body) + 1}\r\n\r\n")
    status, _, text = refused.answer()
    assert status == 413 and error_of(text)["code"] == "too_large" and error_of(text)["request"]


def test_answers_100_continue(connection):
    connection.send("POST /up HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert connection.answer()[0] == 100
    assert connection.send("abc").answer()[0] == 200


REFUSED = {
    "two lengths": (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "two equal lengths": (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "length list": (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc"),
    "signed length": (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc"),
    "hex length": (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc"),
    "huge length": (413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\nabc"),
    "chunked": (400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked and length": (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "odd chunked": (400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n"),
    "blank before the colon": (400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n"),
    "folded line": (400, "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n"),
    "bare LF": (400, "GET / HTTP/1.1\r\nHost: h\nX-A: 1\r\n\r\n"),
    "bare CR": (400, "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\rX-B: 2\r\n\r\n"),
    "NUL": (400, "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\0\r\n\r\n"),
    "no host": (400, "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n"),
    "two hosts": (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "odd host": (400, "GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n"),
    "absolute target": (400, "GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    "target with a blank": (400, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    "connect": (405, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"),
    "trace": (405, "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"),
    "HTTP/2 preface": (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "no HTTP": (400, "hello there\r\n\r\n"),
    "only a colon": (400, "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n"),
    "too many lines": (431, "GET / HTTP/1.1\r\nHost: h\r\n" + "X: y\r\n" * 120 + "\r\n"),
    "too long": (431, "GET / HTTP/1.1\r\nHost: h\r\nX: " + "y" * 20000 + "\r\n\r\n"),
    "endless": (431, "GET / HTTP/1.1\r\nHost: h\r\nX: " + "y" * 200000),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "-"))
def test_refuses_what_two_parsers_could_read_differently(connection, edge, case):
    wanted, data = REFUSED[case]
    before = len(edge.broker.api_requests)
    status, head, body = connection.send(data).answer()
    assert status == wanted, (status, body)
    assert error_of(body)["code"] in ("invalid", "too_large") and error_of(body)["message"]
    assert b"\r\nConnection: close" in head and connection.ended()
    assert len(edge.broker.api_requests) == before, "it reached the broker"


def test_waiting_for_the_broker_costs_nothing(connection, edge):
    reads = lambda: int(re.search(r"syscr: (\d+)", open(f"/proc/{edge.gateway.process.pid}/io").read())[1])
    assert connection.send(get("/1")).answer()[0] == 200
    before = reads()
    assert connection.send(get("/late")).answer()[2] == b"late"
    assert reads() - before < 100  # a loop that does not sleep makes thousands


def test_a_broker_that_is_away_is_said_clearly_and_comes_back(connection, edge):
    assert connection.send(get("/1")).answer()[0] == 200
    edge.broker.stop()
    wait_until(lambda: not edge.broker.api_socket.exists(), 5, "the sockets are gone")
    status, head, body = Connection(edge).send(get("/2")).answer()
    assert status == 503 and error_of(body)["code"] == "unavailable" and b"\r\nRetry-After: " in head
    edge.broker.start()
    assert Connection(edge).send(get("/3")).answer()[0] == 200


def test_a_broker_that_drops_a_request_is_said_clearly(connection):
    status, _, body = connection.send(get("/drop")).answer()
    assert status == 503 and error_of(body)["code"] == "unavailable"


def test_a_kept_connection_that_the_broker_closed_is_made_anew(connection, edge):
    assert connection.send(get("/1")).answer()[0] == 200
    edge.broker.stop()
    edge.broker.start()
    assert connection.send(get("/2")).answer()[0] == 200


def test_a_slow_head_is_ended(edge):
    edge.gateway.kill()
    edge.write_gateway_settings(head_timeout_s=1)
    edge.gateway.start()
    try:
        slow = Connection(edge).send("GET / HTTP/1.1\r\n")
        began = time.monotonic()
        for _ in range(4):
            time.sleep(0.3)
            try:
                slow.send("X-A: b\r\n")
            except OSError:
                break
        status, _, body = slow.answer()
        assert status == 408 and error_of(body)["message"] and time.monotonic() - began < 6
        with socket.create_connection(("127.0.0.1", edge.port), timeout=6) as silent:
            assert silent.recv(1) == b""  # no handshake at all
    finally:
        edge.gateway.kill()
        edge.write_gateway_settings()
        edge.gateway.start()


def private_kib(daemon):
    with open(f"/proc/{daemon.process.pid}/smaps_rollup", encoding="ascii") as file:
        return int(next(line.split()[1] for line in file if line.startswith("Private_Dirty")))


def test_clients_that_do_not_read_cost_no_memory_and_hold_up_nobody(edge):
    before = private_kib(edge.gateway)
    slow = [Connection(edge).send(get("/big") * 5) for _ in range(20)]  # 300 MB asked for, nothing read
    for _ in range(10):
        assert Connection(edge).send(get("/")).answer()[0] == 200
    assert private_kib(edge.gateway) - before < 20 * 256
    assert slow[0].answer()[2] == b"b" * 3_000_000
    for one in slow:
        one.stream.close()


def test_one_address_gets_no_more_than_its_share(edge):
    edge.gateway.kill()
    edge.write_gateway_settings(connections_per_address=3)
    edge.gateway.start()
    try:
        held = [Connection(edge) for _ in range(3)]
        for one in held:
            assert one.send(get("/")).answer()[0] == 200
        with pytest.raises(OSError):
            Connection(edge).send(get("/")).answer()
        held.pop().stream.close()

        def another():
            try:
                return Connection(edge).send(get("/")).answer()[0] == 200
            except OSError:
                return False
        wait_until(another, 5, "a place is free again")
    finally:
        edge.gateway.kill()
        edge.write_gateway_settings()
        edge.gateway.start()


def test_it_can_stop_being_root(edge):
    edge.gateway.kill()
    edge.write_gateway_settings(user="nobody")
    edge.gateway.start()
    try:
        with open(f"/proc/{edge.gateway.process.pid}/status", encoding="ascii") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        assert set(status["Uid"].split()) == {"65534"} and int(status["CapEff"], 16) == 0
        assert Connection(edge).send(get("/")).answer()[0] == 503, "nobody may not open this broker's socket"
    finally:
        edge.gateway.kill()
        edge.write_gateway_settings()
        edge.gateway.start()


def test_only_tls_12_and_13_are_spoken(edge):
    for version, works in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        context = ssl.create_default_context(cafile=str(edge.pki.ca))
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(socket.create_connection(("127.0.0.1", edge.port)), server_hostname="localhost") as stream:
            assert stream.selected_alpn_protocol() == "http/1.1" and works
            assert "GCM" in stream.cipher()[0] or "CHACHA" in stream.cipher()[0]
    context = ssl.create_default_context(cafile=str(edge.pki.ca))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        context.wrap_socket(socket.create_connection(("127.0.0.1", edge.port)), server_hostname="localhost")
