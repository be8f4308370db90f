"""Ports and sockets for tests."""
import random
import socket


def free_port():
    """A port of 127.0.0.1 that nothing listens on now, outside the range that the kernel hands out by itself."""
    while True:
        port = random.randrange(10240, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def accepts(address):
    """Whether something accepts at (host, port) or at the path of a unix socket."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(2)
        try:
            probe.connect(address if isinstance(address, tuple) else str(address))
            return True
        except OSError:
            return False
