"""A scripted LDAP server that answers as Active Directory does where OpenLDAP cannot: the in-chain rule, result 49
with «data 533» in its text, supportedCapabilities. It understands just enough BER (X.690) and LDAP (RFC 4511).

    with ActiveDirectory({"alice": Account("secret", groups=["staff"])}) as ad:
        ad.url, ad.seen_in_chain
"""

import dataclasses
import socket
import threading

CAPABILITY = "1.2.840.113556.1.4.800"
IN_CHAIN = b"1.2.840.113556.1.4.1941"
BASE = "dc=ad,dc=test"
SERVICE = (f"cn=usher,{BASE}", "service")


@dataclasses.dataclass
class Account:
    password: str
    groups: list = dataclasses.field(default_factory=list)
    data: str = ""  # what a bind is refused with: "533" …
    attributes: dict = dataclasses.field(default_factory=dict)


def tlv(tag, *parts):
    body = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    size = len(body)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def parse(data):
    """The tag, the body and what is behind it; None when `data` is not yet whole."""
    if len(data) < 2:
        return None
    size, at = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[2:2 + count], "big"), 2 + count
    if len(data) < at + size:
        return None
    return data[0], data[at:at + size], data[at + size:]


def children(body):
    while body:
        tag, inner, body = parse(body)
        yield tag, inner


def result(tag, code, text=""):
    return tlv(tag, tlv(0x0A, bytes([code])), tlv(0x04), tlv(0x04, text))


def entry(dn, attributes):
    pairs = b"".join(tlv(0x30, tlv(0x04, name), tlv(0x31, *(tlv(0x04, value) for value in values)))
                     for name, values in attributes.items())
    return tlv(0x64, tlv(0x04, dn), tlv(0x30, pairs))


class ActiveDirectory:
    def __init__(self, accounts):
        self.accounts, self.seen_in_chain = accounts, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ldap://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        for one in [self.listener, *self.connections]:
            one.close()

    def settings(self, **more):
        return {
            "servers": self.url, "starttls": "never", "bind_dn": SERVICE[0], "user_base": BASE, "group_base": BASE,
            "user_name_attribute": "sAMAccountName", "display_name_attribute": "displayName",
            "group_nesting": "in-chain"} | more

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        data = b""
        while True:
            try:
                got = connection.recv(65536)
            except OSError:
                return
            if not got:
                return
            data += got
            while message := parse(data):
                data = message[2]
                (_, number), (tag, body), *_ = children(message[1])
                for answer in self._answer(tag, body):
                    connection.sendall(tlv(0x30, tlv(0x02, number), answer))

    def _answer(self, tag, body):
        if tag == 0x60:
            yield self._bind(body)
        elif tag == 0x63:
            yield from self._search(body)
            yield result(0x65, 0)

    def _bind(self, body):
        _, (_, dn), (_, password) = list(children(body))[:3]
        if (dn.decode(), password.decode()) == SERVICE:
            return result(0x61, 0)
        account = self.accounts.get(dn.decode().split(",")[0].removeprefix("CN="))
        data = "52e" if account is None or account.password != password.decode() else account.data
        if not data:
            return result(0x61, 0)
        return result(0x61, 49, f"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1")

    def _search(self, body):
        fields = list(children(body))
        if fields[0][1] == b"":
            yield entry("", {"supportedCapabilities": [CAPABILITY]})
        elif IN_CHAIN in body:
            self.seen_in_chain += 1
            for name, account in self.accounts.items():
                if f"CN={name},".encode() in body:
                    yield from (entry(f"CN={group},{BASE}", {"cn": [group]}) for group in account.groups)
        else:
            for name, account in self.accounts.items():
                if tlv(0x04, name) in body:
                    yield entry(f"CN={name},{BASE}", {"sAMAccountName": [name], "displayName": [name.title()]}
                                | account.attributes)
