"""Bytes of strangers at the gateway's port: each is answered or the connection closed, and the gateway serves on."""
import os
import ssl
import struct

import pytest

from harness.client import raw_exchange
from harness.spice import MAIN, link_message

HEAD = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"
SPICE_REPLY = b"REDQ"


def ask(stack, data):
    context = ssl.create_default_context(cafile=str(stack.pki.ca))
    context.check_hostname = False
    return raw_exchange(("127.0.0.1", stack.port), data, context)[0]


@pytest.fixture(autouse=True)
def the_gateway_serves_on(stack):
    process = stack.daemons["gateway"].process
    yield
    assert process.poll() is None, stack.daemons["gateway"].tail()
    assert stack.client().get("/health").status == 200


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None


@pytest.mark.parametrize("data, statuses", [
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 17000 + b"\r\n\r\n", (431,)),
    (HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(120)) + b"\r\n", (431,)),
    (b"GET /" + b"a" * 17000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431)),
    (b"POST /api/v1/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n", (413,)),
    (b"POST /api/v1/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"2\r\n{}\r\n0\r\n\r\n", (400, 411, 501)),
    (b"POST /api/v1/signin HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", (400,)),
    (b"POST /api/v1/signin HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", (400,)),
    (b"POST /api/v1/signin HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", (400, 413)),
    (b"POST /api/v1/signin HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", (400, 411, 501)),
    (b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", (400,)),
    (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", (400,)),
    (b"GET / HTTP/1.1\nHost: x\n\n", (200, 400, None)),  # no end of a head: it waits
    (b"GET / HTTP/3.7\r\nHost: x\r\n\r\n", (400, 505)),
    (b"GET http://elsewhere.example/ HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404)),
    (b"CONNECT inside.example:22 HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404, 405, 501)),
    (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    (b"\r\n\r\n\r\n", (400, None)),
    (b"GET\r\n\r\n", (400,)),
    (HEAD + b"X-Usher-Client: 10.0.0.1\r\n\r\n", (200,)),
], ids=lambda value: value[:40].decode(errors="replace") if isinstance(value, bytes) else "")
def test_http_heads(stack, data, statuses):
    assert status_of(ask(stack, data)) in statuses


@pytest.mark.parametrize("path", ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/js/..%2f..%2fetc/passwd", "//etc/passwd",
                                  "/spice-html5/../../../etc/passwd"])
def test_no_path_leads_out_of_the_portal(stack, path):
    answer = ask(stack, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert status_of(answer) in (400, 403, 404) and b"root:" not in answer


# --- WebSocket -----------------------------------------------------------------------------------------

def upgrade(*more, key=b"dGhlIHNhbXBsZSBub25jZQ==", origin=None):
    lines = [b"GET /spice HTTP/1.1", b"Host: x", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
             b"Sec-WebSocket-Key: " + key, b"Sec-WebSocket-Protocol: binary", *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def frame(opcode, payload, masked=True, final=True, length=None):
    size = len(payload) if length is None else length
    head = bytes([(0x80 if final else 0) | opcode])
    flag = 0x80 if masked else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", size)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", size)
    mask = b"\x01\x02\x03\x04" if masked else b""
    return head + mask + bytes(byte ^ mask[index % 4] if masked else byte for index, byte in enumerate(payload))


@pytest.mark.parametrize("data", [
    b"GET /spice HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /spice HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 0\r\n\r\n",
    upgrade().replace(b"Version: 13", b"Version: 8"),
    upgrade(key=b""),
], ids=["no upgrade", "post", "version", "no key"])
def test_websocket_upgrades(stack, data):
    assert status_of(ask(stack, data)) in (400, 404, 405, 426)


@pytest.mark.parametrize("sent", [
    os.urandom(4000),
    frame(2, b"REDQ", masked=False),
    frame(2, b"", length=2 ** 63),
    frame(2, b"x", length=2 ** 40),
    frame(3, b"reserved"),
    frame(1, b"text is not SPICE"),
    frame(9, b"p" * 126),
    frame(2, b"GET / HTTP/1.1\r\n\r\n" * 10),
    frame(2, os.urandom(5000)),
    frame(0, b"continues nothing"),
    frame(8, b"\x03\xe8"),
], ids=["random", "unmasked", "negative length", "huge length", "reserved opcode", "text", "long ping", "http in it", "noise in it",
        "continuation", "close"])
def test_websocket_garbage(stack, sent):
    answer = ask(stack, upgrade() + sent)
    assert status_of(answer) == 101
    # Never more than the frames that end it: nothing of a desktop.
    assert len(answer.split(b"\r\n\r\n", 1)[1]) < 200


# --- SPICE ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data", [
    b"REDQ",
    b"REDQ" + struct.pack("<III", 2, 2, 0xffffffff),
    b"REDQ" + struct.pack("<III", 2, 2, 4097) + b"x" * 4097,
    b"REDQ" + struct.pack("<III", 2, 2, 0),
    b"REDQ" + struct.pack("<III", 9, 9, 18) + b"\0" * 18,
    b"REDQ" + struct.pack("<III", 2, 2, 18) + struct.pack("<IBBIII", 0, MAIN, 0, 1 << 30, 1 << 30, 18),
    b"REDQ" + struct.pack("<III", 2, 2, 26) + struct.pack("<IBBIII", 0, MAIN, 0, 1, 1, 0xfffffff0) + b"\0" * 8,
    link_message(200),
    link_message(MAIN) + struct.pack("<I", 1) + b"\0" * 128,
    link_message(MAIN) + struct.pack("<I", 1) + b"\xff" * 128,
    link_message(MAIN) + struct.pack("<I", 2) + os.urandom(512),
    link_message(MAIN) + struct.pack("<I", 77) + b"\0" * 128,
    link_message(3, connection_id=0x12345678) + struct.pack("<I", 1) + b"\1" * 128,
    b"RED\0" + os.urandom(200),
    os.urandom(300),
    b"\x16\x03\x01" + os.urandom(300),
], ids=["magic only", "huge size", "over 4096", "no message", "version", "capability counts", "capability offset", "channel 200",
        "ticket of zeros", "ticket of ones", "sasl", "mechanism 77", "inputs of no session", "red nul", "random", "tls in tls"])
def test_spice_garbage(stack, data):
    answer = ask(stack, data)
    assert len(answer) < 1000
    if answer.startswith(SPICE_REPLY) and len(answer) > 200:
        assert struct.unpack_from("<I", answer, len(answer) - 4)[0] != 0, "the link was accepted"


def test_plain_text_on_the_tls_port(stack):
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16" + os.urandom(2000), link_message(MAIN)):
        received, closed = raw_exchange(("127.0.0.1", stack.port), data)
        assert closed and len(received) < 100


@pytest.mark.limit(90)
def test_old_tls_is_refused(stack):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        raw_exchange(("127.0.0.1", stack.port), b"", context)
