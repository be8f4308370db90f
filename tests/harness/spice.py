"""A small SPICE client: link stage with a ticket, the main and the inputs channel. Enough to hold a session
and to ask whether the desktop behind it still answers.

Layouts: docs of the SPICE protocol; little-endian. Each channel is a TLS connection of its own."""
import socket
import ssl
import struct
import threading

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key

MAIN, INPUTS = 1, 3
COMMON_CAPS = 0b1011  # authentication is selected, by ticket; mini headers
MAIN_CAPS = 0b1111
LINK_OK, LINK_PERMISSION_DENIED = 0, 7
MSG_SET_ACK, MSG_PING, MSG_DISCONNECTING = 3, 4, 6
MSGC_ACK_SYNC, MSGC_ACK, MSGC_PONG = 1, 2, 3
MSG_MAIN_INIT = 103
MSG_INPUTS_INIT, MSG_INPUTS_MOTION_ACK, MSGC_INPUTS_MOTION = 101, 111, 111
MOTIONS_PER_ACK = 4


class LinkRefused(Exception):
    def __init__(self, code):
        super().__init__(f"SPICE link result {code}")
        self.code = code


def link_message(channel, connection_id=0, caps=(MAIN_CAPS,)):
    words = struct.pack(f"<I{len(caps)}I", COMMON_CAPS, *caps)
    body = struct.pack("<IBBIII", connection_id, channel, 0, 1, len(caps), 18) + words
    return b"REDQ" + struct.pack("<III", 2, 2, len(body)) + body


class Channel:
    """One linked channel. A thread reads it: pings and acknowledgements are answered, other messages kept."""

    def __init__(self, stream, kind, ticket, connection_id=0):
        self.stream = stream
        self.buffer = b""
        self.messages = []
        self.changed = threading.Condition()
        self.closed = False
        self.ack_window = self.unacknowledged = 0
        self._link(kind, ticket, connection_id)
        self.reader = threading.Thread(target=self._read_all, daemon=True)
        self.reader.start()

    def _link(self, kind, ticket, connection_id):
        caps = (MAIN_CAPS,) if kind == MAIN else ()
        self.stream.sendall(link_message(kind, connection_id, caps))
        magic, _major, _minor, size = struct.unpack("<4sIII", self._take(16))
        if magic != b"REDQ":
            raise ValueError(f"not SPICE: {magic!r}")
        reply = self._take(size)
        error, = struct.unpack_from("<I", reply)
        if error:
            raise LinkRefused(error)
        key = load_der_public_key(reply[4:166])
        sealed = key.encrypt(ticket.encode() + b"\0", padding.OAEP(padding.MGF1(SHA1()), SHA1(), None))
        self.stream.sendall(struct.pack("<I", 1) + sealed)
        result, = struct.unpack("<I", self._take(4))
        if result != LINK_OK:
            raise LinkRefused(result)

    def _take(self, count):
        while len(self.buffer) < count:
            chunk = self.stream.recv(65536)
            if not chunk:
                raise ConnectionError("closed by the other end")
            self.buffer += chunk
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, kind, body=b""):
        self.stream.sendall(struct.pack("<HI", kind, len(body)) + body)

    def _read_all(self):
        try:
            while True:
                kind, size = struct.unpack("<HI", self._take(6))
                self._handle(kind, self._take(size))
        except (OSError, ValueError):
            pass
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _handle(self, kind, body):
        if kind == MSG_SET_ACK:
            generation, self.ack_window = struct.unpack_from("<II", body)
            self.unacknowledged = 0
            self.send(MSGC_ACK_SYNC, struct.pack("<I", generation))
        elif self.ack_window:
            self.unacknowledged += 1
            if self.unacknowledged >= self.ack_window:
                self.unacknowledged = 0
                self.send(MSGC_ACK)
        if kind == MSG_PING:
            self.send(MSGC_PONG, body[:12])
        with self.changed:
            self.messages.append((kind, body))
            self.changed.notify_all()

    def wait_message(self, kind, seconds=20):
        """The body of the next message of that kind; it and those before it are forgotten."""
        def found():
            return next((index for index, message in enumerate(self.messages) if message[0] == kind), None)
        with self.changed:
            self.changed.wait_for(lambda: found() is not None or self.closed, seconds)
            index = found()
            if index is None:
                raise ConnectionError("the channel was closed" if self.closed else f"no message {kind} in {seconds} s")
            body = self.messages[index][1]
            del self.messages[: index + 1]
            return body

    def wait_closed(self, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: self.closed, seconds)

    def close(self):
        try:
            self.stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.stream.close()
        self.reader.join(5)


class Session:
    """A desktop's session: main and inputs. `alive` asks the desktop itself."""

    def __init__(self, address, ticket, ca_file=None, timeout=30):
        self.address, self.ticket, self.timeout = address, ticket, timeout
        self.context = None
        if ca_file:
            self.context = ssl.create_default_context(cafile=str(ca_file))
            self.context.check_hostname = False
        self.inputs = None
        self.main = Channel(self._open(), MAIN, ticket)
        try:
            self.id, = struct.unpack_from("<I", self.main.wait_message(MSG_MAIN_INIT, timeout))
            self.inputs = Channel(self._open(), INPUTS, ticket, self.id)
            self.inputs.wait_message(MSG_INPUTS_INIT, timeout)
        except BaseException:
            self.close()
            raise

    def _open(self):
        plain = socket.create_connection(self.address, timeout=self.timeout)
        stream = self.context.wrap_socket(plain) if self.context else plain
        stream.settimeout(None)
        return stream

    def alive(self, seconds=20):
        """Moves the mouse and waits for the desktop's acknowledgement. ConnectionError when none comes."""
        for step in range(MOTIONS_PER_ACK):
            self.inputs.send(MSGC_INPUTS_MOTION, struct.pack("<iiH", 1 - 2 * (step % 2), 0, 0))
        self.inputs.wait_message(MSG_INPUTS_MOTION_ACK, seconds)
        return True

    def wait_closed(self, seconds):
        return self.main.wait_closed(seconds)

    def close(self):
        for channel in (self.inputs, self.main):
            if channel is not None:
                channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
