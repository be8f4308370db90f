"""SPICE through the gateway and the door to a real QEMU: the ticket's rules, and who outlives whom."""
import base64
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import time

import pytest

from harness.spice import INPUTS, MAIN, MSG_MAIN_INIT, MSG_SET_ACK, Channel, LinkRefused, Session, link_message
from harness.wait import wait_until
from websocket import WebSocket, WebSocketException

DENIED, BAD_ID, NO_CHANNEL, ERROR = 7, 8, 9, 1
MSGC_DISPLAY_INIT = 101


def refusal(call):
    with pytest.raises(LinkRefused) as caught:
        call()
    return caught.value.code


def wait_event(edge, session, kind, seconds=10):
    return wait_until(lambda: next((event for event in edge.broker.events_of(session) if event["event"] == kind), None), seconds,
                      f"the broker hears {kind}; it heard {edge.broker.events_of(session)}")


def test_a_ticket_opens_the_desktop_once(edge):
    ticket, id = edge.offer()
    with edge.session(ticket) as session:
        assert session.alive()
        assert wait_event(edge, id, "active")["gateway"] == "gw1"
        assert edge.broker.requests[-1]["carrier"] == "tls" and edge.broker.requests[-1]["client_address"] == "127.0.0.1"
        assert refusal(lambda: edge.session(ticket)) == DENIED, "a second main link while the first lives"
        assert session.alive()
    event = wait_event(edge, id, "disconnected")
    assert event["reason"] == "client closed" and event["bytes_to_client"] > 100 and event["bytes_to_desktop"] > 50
    assert refusal(lambda: edge.session(ticket)) == DENIED, "and after it"


def test_what_is_no_ticket_is_denied(edge):
    before = len(edge.broker.requests)
    for wrong in ("", "x", "A" * 42, "A" * 44, "A" * 42 + "!", edge.secret):
        assert refusal(lambda: edge.session(wrong)) == DENIED
    assert len(edge.broker.requests) == before, "the broker was asked"
    assert refusal(lambda: edge.session("A" * 43)) == DENIED
    assert len(edge.broker.requests) == before + 1


def test_other_channels_need_the_ticket_and_the_session_s_id(edge):
    ticket, _ = edge.offer()
    other, _ = edge.offer()
    with edge.session(ticket) as session:
        assert refusal(lambda: Channel(edge.tls(), INPUTS, ticket, session.id ^ 1)) == BAD_ID
        assert refusal(lambda: Channel(edge.tls(), INPUTS, other, session.id)) == DENIED
        assert refusal(lambda: Channel(edge.tls(), INPUTS, ticket, 0)) == BAD_ID
        assert refusal(lambda: Channel(edge.tls(), MAIN, ticket, session.id)) == BAD_ID
        assert refusal(lambda: Channel(edge.tls(), 7, ticket, session.id)) == NO_CHANNEL
        assert refusal(lambda: Channel(edge.tls(), 200, ticket, session.id)) == NO_CHANNEL
        assert session.alive()


def test_every_channel_of_the_desktop_links(edge):
    ticket, _ = edge.offer()
    with edge.session(ticket) as session:
        opened = []
        for kind in (2, 4, 5, 6, 9, 11):
            opened.append(Channel(edge.tls(), kind, ticket, session.id))
        # The server makes the display channel once it is told of the caches, and the cursor channel behind it;
        # QEMU 7.2 can crash when a client leaves before.
        opened[0].send(MSGC_DISPLAY_INIT, struct.pack("<BqBi", 1, 1 << 20, 1, 1 << 20))
        for channel in opened[:2]:
            channel.wait_message(MSG_SET_ACK)
        assert session.alive()
        for channel in opened:
            channel.close()


def test_all_channels_end_with_main(edge):
    ticket, id = edge.offer()
    session = edge.session(ticket)
    session.main.close()
    assert session.inputs.wait_closed(5)
    wait_event(edge, id, "disconnected")
    assert refusal(lambda: Channel(edge.tls(), INPUTS, ticket, session.id)) == DENIED
    session.close()


def test_a_desktop_that_ends_ends_the_session_and_says_so(edge):
    ticket, id = edge.offer()
    with edge.session(ticket) as session:
        edge.qemu.kill()
        assert session.wait_closed(5)
        assert wait_event(edge, id, "disconnected")["reason"] == "desktop closed"


def test_a_desktop_that_does_not_answer_is_an_error_not_a_denial(edge):
    edge.qemu.kill()
    ticket, id = edge.offer()
    assert refusal(lambda: edge.session(ticket)) == ERROR
    assert "does not answer" in wait_event(edge, id, "disconnected")["reason"]


def test_the_door_turns_away_what_the_broker_did_not_grant(edge):
    for options in ({"grant_seconds": -1}, {"door": f"unix:{edge.root}/none.sock"}, {"secret": "another"}):
        ticket, id = edge.offer(**options)
        assert refusal(lambda: edge.session(ticket)) in (ERROR, DENIED)
        wait_event(edge, id, "disconnected")
    ticket, _ = edge.broker.offer(edge.grant_key, edge.host, edge.host, f"unix:{edge.root}/door.sock", edge.secret)
    assert refusal(lambda: edge.session(ticket)) == ERROR  # no console of that name
    assert "no such desktop" in edge.logs()


def test_a_broker_that_is_away_is_an_error_not_a_denial(edge):
    ticket, _ = edge.offer()
    edge.broker.stop()
    assert refusal(lambda: edge.session(ticket)) == ERROR
    edge.broker.start()
    with edge.session(ticket) as session:
        assert session.alive()


def test_a_running_session_outlives_the_broker_and_its_events_come_later(edge):
    ticket, id = edge.offer()
    with edge.session(ticket) as session:
        wait_event(edge, id, "active")
        edge.broker.stop()
        assert session.alive()
    time.sleep(0.5)
    edge.broker.start()
    wait_event(edge, id, "disconnected", 15)


def test_a_client_that_leaves_while_the_broker_thinks_spends_its_ticket(edge):
    edge.broker.redeem_delay_s = 1
    ticket, id = edge.offer()
    stream = edge.tls()
    before = len(edge.broker.requests)

    def link():
        try:
            Channel(stream, MAIN, ticket)
        except (OSError, ValueError):
            pass
    import threading
    thread = threading.Thread(target=link)
    thread.start()
    wait_until(lambda: len(edge.broker.requests) > before, 5, "the ticket is with the broker")
    stream.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert "left" in wait_event(edge, id, "disconnected")["reason"]


def test_killing_the_gateway_ends_the_session_and_it_comes_back(edge):
    ticket, _ = edge.offer()
    with edge.session(ticket) as session:
        edge.gateway.kill()
        assert session.wait_closed(5)
    edge.gateway.start()
    ticket, _ = edge.offer()
    with edge.session(ticket) as session:
        assert session.alive()


def test_killing_the_door_ends_the_session_and_it_comes_back(edge):
    ticket, id = edge.offer()
    with edge.session(ticket) as session:
        edge.door.kill()
        assert session.wait_closed(5)
        wait_event(edge, id, "disconnected")
    edge.door.start()  # on the socket that the dead one left
    ticket, _ = edge.offer()
    with edge.session(ticket) as session:
        assert session.alive()


def test_the_gateway_drains(edge):
    ticket, id = edge.offer()
    with edge.session(ticket) as session:
        edge.gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(edge), 5, "nothing is accepted any more")
        assert session.alive()
        assert session.wait_closed(10)
    assert edge.gateway.wait_end(10) == 0
    assert wait_event(edge, id, "disconnected")["reason"] == "gateway draining"


def accepts(edge):
    try:
        socket.create_connection(("127.0.0.1", edge.port), timeout=1).close()
        return True
    except OSError:
        return False


def test_the_door_by_tcp_wants_both_certificates(edge):
    from harness.net import free_port
    port, path = free_port(), edge.root / "hostd.conf"
    kept = path.read_text()
    path.write_text(kept.replace(f"unix:{edge.root}/door.sock", f"127.0.0.1:{port}"))
    edge.door.kill()
    edge.door.start(wait_s=0)
    try:
        from harness import net
        wait_until(lambda: net.accepts(("127.0.0.1", port)), 5, "the door listens")
        ticket, _ = edge.offer(door=f"127.0.0.1:{port}")
        with edge.session(ticket) as session:
            assert session.alive()
        ticket, _ = edge.offer(door=f"localhost:{port}")  # a name, looked up
        with edge.session(ticket) as session:
            assert session.alive()
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            plain.sendall(b"UDOR\1\1\0\1x")
            try:
                assert plain.recv(100)[:4] != b"UDOR"
            except ConnectionResetError:
                pass
    finally:
        edge.door.kill()
        path.write_text(kept)


# --- garbage --------------------------------------------------------------------------------------------

GARBAGE = {
    "version 1": b"REDQ" + struct.pack("<III", 1, 0, 18) + bytes(18),
    "size 0": b"REDQ" + struct.pack("<III", 2, 2, 0),
    "huge size": b"REDQ" + struct.pack("<III", 2, 2, 0xFFFFFFFF) + bytes(100),
    "caps beyond the end": b"REDQ" + struct.pack("<III", 2, 2, 18) + struct.pack("<IBBIII", 0, 1, 0, 5, 5, 18),
    "caps offset wraps": b"REDQ" + struct.pack("<III", 2, 2, 18) + struct.pack("<IBBIII", 0, 1, 0, 1, 1, 0xFFFFFFF0),
    "caps count wraps": b"REDQ" + struct.pack("<III", 2, 2, 18) + struct.pack("<IBBIII", 0, 1, 0, 0x80000001, 0x7FFFFFFF, 18),
}


@pytest.mark.parametrize("name", GARBAGE, ids=lambda name: name.replace(" ", "-"))
def test_a_garbage_link_gets_an_error_and_the_gateway_lives(edge, name):
    with edge.tls() as stream:
        stream.sendall(GARBAGE[name])
        head = b""
        while len(head) < 20:
            head += stream.recv(100) or b"?" * 20
        assert head[:4] == b"REDQ" and struct.unpack_from("<I", head, 16)[0] in (3, 4)
    assert edge.gateway.running()


def test_random_bytes_behind_a_good_link_are_denied(edge):
    with edge.tls() as stream:
        stream.sendall(link_message(MAIN) + struct.pack("<I", 1) + secrets.token_bytes(128))
        answer = b""
        while chunk := stream.recv(4096):
            answer += chunk
        assert struct.unpack("<I", answer[-4:])[0] == DENIED
    assert edge.gateway.running()


def test_a_flood_of_links_keeps_nobody_waiting(edge):
    flood = []
    for _ in range(150):  # more than keys are kept
        flood.append(edge.tls())
        flood[-1].sendall(link_message(MAIN))
    ticket, _ = edge.offer()
    began = time.monotonic()
    with edge.session(ticket) as session:
        assert session.alive() and time.monotonic() - began < 5
    for stream in flood:
        stream.close()


def test_a_ticket_for_another_service_is_denied(edge):
    ticket, id = edge.offer()
    edge.broker.tickets[ticket]["service"] = "rdp"
    assert refusal(lambda: edge.session(ticket)) == DENIED
    wait_event(edge, id, "disconnected")


def test_an_unoffered_mechanism_is_refused(edge):
    with edge.tls() as stream:
        stream.sendall(link_message(MAIN) + struct.pack("<I", 2) + secrets.token_bytes(128))
        answer = b""
        while chunk := stream.recv(4096):
            answer += chunk
        assert struct.unpack("<I", answer[-4:])[0] == 3


def test_a_link_byte_by_byte_works(edge):
    class Dripping:
        def __init__(self, stream):
            self.stream = stream

        def sendall(self, data):
            for byte in data:
                self.stream.sendall(bytes([byte]))

        def __getattr__(self, name):
            return getattr(self.stream, name)
    ticket, _ = edge.offer()
    channel = Channel(Dripping(edge.tls()), MAIN, ticket)
    assert len(channel.wait_message(MSG_MAIN_INIT)) == 32
    channel.close()


# --- WebSocket ------------------------------------------------------------------------------------------

class WebStream:
    """A stream inside WebSocket frames, with the methods a Channel uses."""

    def __init__(self, edge, **options):
        self.socket = WebSocket(sslopt={"ca_certs": str(edge.pki.ca)})
        options = options or {"suppress_origin": True}  # what is no browser sends none
        self.socket.connect(f"wss://localhost:{edge.port}/spice", timeout=20, **options)

    def sendall(self, data):
        self.socket.send_binary(data)

    def recv(self, _size):
        try:
            opcode, data = self.socket.recv_data()
        except WebSocketException:
            return b""
        return data if opcode == 2 else b""

    def shutdown(self, how):
        self.socket.sock.shutdown(how)  # closing alone would wait for the reader, and nobody would hear of it

    def close(self):
        self.socket.close()


def test_spice_in_a_websocket(edge):
    ticket, id = edge.offer()
    main = Channel(WebStream(edge, subprotocols=["binary"], origin=f"https://localhost:{edge.port}"), MAIN, ticket)
    assert main.stream.socket.subprotocol == "binary"
    session_id, = struct.unpack_from("<I", main.wait_message(MSG_MAIN_INIT))
    assert edge.broker.requests[-1]["carrier"] == "websocket"
    inputs = Channel(WebStream(edge), INPUTS, ticket, session_id)
    inputs.wait_message(101)
    main.stream.socket.ping(b"still there?")
    inputs.close()
    main.close()
    assert wait_event(edge, id, "disconnected")["reason"] == "client closed"


def upgrade(edge, *headers, method="GET"):
    base = ("Host: localhost", "Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    stream = edge.tls()
    lines = [line for line in base if not any(line.split(":")[0] == other.split(":")[0] for other in headers)]
    stream.sendall(f"{method} /spice HTTP/1.1\r\n".encode() + "".join(f"{line}\r\n" for line in (*lines, *headers) if line[-1] != "-").encode() + b"\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += stream.recv(4096) or b"\r\n\r\n"
    return stream, int(answer.split()[1]), answer


def test_the_handshake_is_rfc_6455_s(edge):
    _, status, answer = upgrade(edge)
    assert status == 101 and b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer


@pytest.mark.parametrize("headers,status", [
    (("Origin: https://evil.example",), 403), (("Origin: null",), 403), (("Origin: http://localhost",), 403),
    (("Origin: https://localhost:1", "Origin: https://evil.example"), 403), (("Upgrade: -",), 400),
    (("Sec-WebSocket-Version: 8",), 400), (("Sec-WebSocket-Key: -",), 400)])
def test_a_wrong_handshake_is_refused(edge, headers, status):
    _, got, answer = upgrade(edge, *headers)
    assert got == status and json.loads(answer.partition(b"\r\n\r\n")[2] or b"{}") is not None


@pytest.mark.parametrize("frame", [
    b"\x82\x04REDQ",  # not masked
    b"\x81\x84\0\0\0\0REDQ",  # text
    b"\xc2\x84\0\0\0\0REDQ",  # a reserved bit
    b"\x80\x84\0\0\0\0REDQ",  # goes on with nothing
    b"\x09\x84\0\0\0\0ping",  # a fragmented ping
    b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # an impossible length
    b"\x83\x84\0\0\0\0REDQ",  # a reserved opcode
])
def test_wrong_frames_end_the_connection(edge, frame):
    stream, status, _ = upgrade(edge)
    assert status == 101
    stream.sendall(frame)
    stream.settimeout(5)
    with stream:
        try:
            while stream.recv(4096):
                pass
        except ConnectionError:
            pass
    assert edge.gateway.running()


# --- what nobody learns ---------------------------------------------------------------------------------

class Recorder:
    """Keeps every byte that came."""

    def __init__(self, stream, into):
        self.stream, self.into = stream, into

    def recv(self, size):
        data = self.stream.recv(size)
        self.into.append(data)
        return data

    def __getattr__(self, name):
        return getattr(self.stream, name)


def test_the_client_never_gets_the_desktop_s_secret_and_logs_hold_none(edge):
    ticket, _ = edge.offer()
    came = []
    main = Channel(Recorder(edge.tls(), came), MAIN, ticket)
    session_id, = struct.unpack_from("<I", main.wait_message(MSG_MAIN_INIT))
    inputs = Channel(Recorder(edge.tls(), came), INPUTS, ticket, session_id)
    inputs.wait_message(101)
    inputs.close()
    main.close()
    everything = b"".join(came)
    assert len(everything) > 400
    for secret in (edge.secret.encode(), base64.b64encode(edge.secret.encode())):
        assert secret not in everything
    logs = edge.logs()
    assert edge.secret not in logs and ticket not in logs
    for daemon in (edge.gateway, edge.door):
        with open(f"/proc/{daemon.process.pid}/cmdline", "rb") as file:
            assert edge.secret.encode() not in file.read()


def test_gateway_and_door_gave_up_what_they_need_not(edge):
    for daemon in (edge.gateway, edge.door):
        with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"


# --- the clients people use -----------------------------------------------------------------------------

def test_spicy_screenshot_takes_a_picture(edge, tmp_path):
    ticket, _ = edge.offer()
    picture = tmp_path / "screen.ppm"
    subprocess.run(["spicy-screenshot", "-h", "localhost", "-s", str(edge.port), "-w", ticket, "-o", str(picture)], check=True,
                   timeout=40, stdin=subprocess.DEVNULL, env={**os.environ, "HOME": str(tmp_path), "SSL_CERT_FILE": str(edge.pki.ca)})
    assert picture.read_bytes()[:2] == b"P6" and picture.stat().st_size > 10000
