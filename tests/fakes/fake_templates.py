"""A stand-in for the broker's side of templates (docs/protocols.md, "Templates"), on a unix socket: uploads in chunks, versions,
publish, download. It judges nothing but offsets, sizes and checksums, and can be told to fail.

    with FakeTemplates(folder) as fake:
        fake.url                                  # unix:/…/api.sock
        fake.fail.append(("PUT", 503, 3))         # the next three PUTs are answered so
        fake.cut.append("PUT")                    # the next PUT's connection is cut when its body has come
        fake.seen                                 # [(method, path)…]
"""
import hashlib
import http.server
import json
import re
import socketserver
import threading
import time
import urllib.parse


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients are killed under test


class FakeTemplates:
    def __init__(self, folder, chunk=64 * 1024):
        self.socket = folder / "api.sock"
        self.url = f"unix:{self.socket}"
        self.chunk = chunk
        self.uploads = {}       # id → {"name", "body", "data": {file: bytearray}}
        self.versions = {}      # (name, number) → {"manifest", "files": {file: bytes}, "note", "state", "list"}
        self.published = {}     # name → [numbers, the newest last]
        self.fail = []          # [method, status, times]
        self.cut = []
        self.hosts = []         # records that are listed
        self.slow = 0           # seconds a chunk takes
        self.checking = 0       # so often a finish is answered with "ask again"
        self.stop_after = None  # bytes of a download after which its connection is cut, once
        self.damaged = False    # downloads and uploads are altered on the way
        self.seen = []
        self.ranges = []
        self.server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        fake = self

        class Handler(_Handler):
            owner = fake
        self.socket.unlink(missing_ok=True)
        self.server = _Server(str(self.socket), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.socket.unlink(missing_ok=True)

    def begin(self, name, body):
        key = hashlib.sha256(json.dumps([name, body["manifest"], body["files"]], sort_keys=True).encode()).hexdigest()[:16]
        for (template, number), version in self.versions.items():
            if template == name and version["key"] == key:
                return 200, {"version": number}
        status = 200 if key in self.uploads else 201
        upload = self.uploads.setdefault(key, {"name": name, "body": body, "data": {f["file"]: bytearray() for f in body["files"]}})
        return status, {"upload": key, "chunk_max": self.chunk,
                        "files": [{"file": file, "received": len(data)} for file, data in upload["data"].items()]}

    def take(self, key, file, offset, octets):
        data = self.uploads[key]["data"][file]
        if offset != len(data):
            return 409, error("conflict", "not there", [{"rule": "received", "message": str(len(data))}])
        data += octets
        return 200, {"received": len(data)}

    def finish(self, key):
        upload = self.uploads[key]
        for file in upload["body"]["files"]:
            data = upload["data"][file["file"]]
            if len(data) != file["size"] or hashlib.sha256(data).hexdigest() != file["sha256"]:
                return 400, error("invalid", f"{file['file']} is not what was announced", [{"rule": "checksum", "message": "differs"}])
        name = upload["name"]
        number = 1 + max((n for t, n in self.versions if t == name), default=0)
        manifest = json.dumps({**upload["body"]["manifest"], "version": number, "note": upload["body"]["note"]}).encode()
        files = {**{file: bytes(data) for file, data in upload["data"].items()}, "manifest.json": manifest}
        self.versions[name, number] = {"key": key, "files": files, "note": upload["body"]["note"], "state": "draft"}
        del self.uploads[key]
        return 201, {"name": name, "version": number}

    def record(self, name, number):
        version = self.versions[name, number]
        files = [{"file": file, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                 for file, data in version["files"].items()]
        return {"kind": "template-version", "id": f"{name}-{number}", "name": f"{name}.{number}", "resource_version": 1,
                "created_at": "2026-11-21T12:00:00Z",
                "spec": {"template": name, "version": number, "note": version["note"], "files": files,
                         "manifest": json.loads(version["files"]["manifest.json"])},
                "status": {"state": version["state"], "size": sum(f["size"] for f in files), "hosts": ["kvm1"], "desktops": 2}}

    def change(self, name, what, number):
        list_ = self.published.setdefault(name, [])
        if what == "rollback":
            if len(list_) < 2:
                return 409, error("conflict", "nothing was published before", [{"rule": "rollback", "message": "it is the first"}])
            self.versions[name, list_.pop()]["state"] = "draft"
            number = list_[-1]
        elif (name, number) not in self.versions:
            return 404, error("missing", f"there is no {name}/{number}")
        elif what == "retire":
            self.versions[name, number]["state"] = "retired"
            return 200, {"kind": "template", "name": name, "spec": {"version": list_[-1] if list_ else 0}, "status": {}}
        elif not list_ or list_[-1] != number:
            list_.append(number)
        self.versions[name, number]["state"] = "published"
        return 200, {"kind": "template", "name": name, "spec": {"version": number}, "status": {}}


def error(code, message, reasons=()):
    return {"error": {"code": code, "message": message, "reasons": list(reasons), "request": "-"}}


class _Handler(http.server.BaseHTTPRequestHandler):
    owner = None
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def answer(self, status, value, extra=()):
        octets = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        for name, text in extra:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(octets)

    def planned(self):
        """Whether this request was to fail, and did."""
        for plan in self.owner.fail:
            if plan[0] == self.command and plan[2] > 0:
                plan[2] -= 1
                self.answer(plan[1], error("unavailable" if plan[1] == 503 else "internal", "told to fail"), [("Retry-After", "0")])
                return True
        return False

    def do(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.owner.seen.append((self.command, path))
        if self.planned():
            return
        for pattern, method, call in ROUTES:
            found = re.fullmatch("/api/v1" + pattern, path)
            if found and method == self.command:
                words = [urllib.parse.unquote(word) for word in found.groups()]
                try:
                    call(self, dict(urllib.parse.parse_qsl(query)), body, *words)
                except KeyError as missing:
                    self.answer(404, error("missing", f"there is no {missing}"))
                return
        self.answer(404, error("missing", f"no such call: {self.command} {path}"))

    do_GET = do_PUT = do_POST = do_DELETE = do

    def begin(self, _query, body, name):
        self.answer(*self.owner.begin(name, json.loads(body)))

    def put(self, query, body, key, file):
        if self.owner.damaged:
            body = bytes([body[0] ^ 1]) + body[1:]
        time.sleep(self.owner.slow)
        status, value = self.owner.take(key, file, int(query["offset"]), body)
        if self.owner.cut and self.owner.cut[0] == "PUT":
            self.owner.cut.pop()
            self.close_connection = True
            return  # taken, but nobody is told
        self.answer(status, value)

    def finish(self, _query, _body, key):
        if self.owner.checking > 0:
            self.owner.checking -= 1
            self.answer(503, error("busy", "still being checked"), [("Retry-After", "0")])
            return
        self.answer(*self.owner.finish(key))

    def drop(self, _query, _body, key):
        del self.owner.uploads[key]
        self.answer(204, None)

    def change(self, _query, body, name, what):
        self.answer(*self.owner.change(name, what, json.loads(body or b"{}").get("version")))

    def templates(self, _query, _body):
        self.answer(200, {"resource_version": 1, "items": []})

    def hosts(self, _query, _body):
        self.answer(200, {"resource_version": 1, "items": self.owner.hosts})

    def record(self, _query, _body, kind, name):
        self.answer(200, {"kind": kind, "id": name, "name": name, "spec": {"template": "small"}, "status": {}})

    def why(self, _query, _body, _id):
        self.answer(200, {"explanation": []})

    def list(self, _query, _body):
        self.answer(200, {"resource_version": 1, "items": [self.owner.record(*key) for key in sorted(self.owner.versions, key=str)]})

    def get(self, _query, _body, name, number):
        self.answer(200, self.owner.record(name, int(number)))

    def download(self, _query, _body, name, number, file):
        data = self.owner.versions[name, int(number)]["files"][file]
        begin = 0
        if "Range" in self.headers:
            begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            self.owner.ranges.append((file, begin))
        if self.owner.damaged:
            data = bytes([data[0] ^ 1]) + data[1:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.owner.stop_after is not None and len(data) > self.owner.stop_after:
            self.wfile.write(data[begin:self.owner.stop_after])
            self.owner.stop_after = None
            self.close_connection = True
            return
        self.wfile.write(data[begin:])


ROUTES = [
    (r"/templates/([^/]+)/uploads", "POST", _Handler.begin),
    (r"/templates/uploads/([^/]+)/finish", "POST", _Handler.finish),
    (r"/templates/uploads/([^/]+)/([^/]+)", "PUT", _Handler.put),
    (r"/templates/uploads/([^/]+)", "DELETE", _Handler.drop),
    (r"/templates/([^/]+)/(publish|rollback|retire)", "POST", _Handler.change),
    (r"/templates/([^/]+)/versions/(\d+)/files/([^/]+)", "GET", _Handler.download),
    (r"/records/template", "GET", _Handler.templates),
    (r"/records/host", "GET", _Handler.hosts),
    (r"/records/(pool|template)/([^/]+)", "GET", _Handler.record),
    (r"/why/([^/]+)", "GET", _Handler.why),
    (r"/records/template-version", "GET", _Handler.list),
    (r"/records/template-version/([^/]+)\.(\d+)", "GET", _Handler.get),
]
