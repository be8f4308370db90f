"""A stand-in for the broker's `GET /host/v1/images/NAME/VERSION/FILE`: gives the files of folders, with Range, and as badly as
a test likes. Part of FakeBroker, as `broker.images`.

    broker.images.offer("tiny", 2, folder)          # what the sync's `versions` say from now on
    broker.images.cut_after = 100_000               # each answer ends after so many bytes
    broker.images.spoil = {"disk.qcow2"}            # one byte of these files is another
    broker.images.rate = 1_000_000                  # bytes a second
    broker.images.asked                             # [(path, first byte asked for)]
"""
import hashlib
import pathlib
import re
import threading
import time

PATH = re.compile(r"/host/v1/images/([a-z0-9-]+)/(\d+)/([A-Za-z0-9._-]+)")
PIECE = 65536


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FakeImages:
    def __init__(self):
        self.folders = {}           # (name, version) -> folder
        self.files = {}             # (name, version) -> as the sync says them
        self.cut_after = None
        self.spoil = set()
        self.rate = None
        self.ignore_range = False   # answers 200 with all of it
        self.status = None          # answers this instead
        self.gate = threading.Event()   # cleared: bodies stop after their first piece until it is set
        self.gate.set()
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def offer(self, name, version, folder):
        folder = pathlib.Path(folder)
        self.folders[name, version] = folder
        self.files[name, version] = [{"file": path.name, "size": path.stat().st_size, "sha256": sha256(path)}
                                     for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]

    def versions(self):
        return [{"template": {"name": name, "version": version}, "files": files} for (name, version), files in self.files.items()]

    def answer(self, handler):
        """Of a BaseHTTPRequestHandler's GET."""
        found = PATH.fullmatch(handler.path)
        folder = self.folders.get((found[1], int(found[2]))) if found else None
        if self.status or folder is None or not (folder / found[3]).is_file():
            handler.answer(self.status or 404, {"error": {"code": "missing", "message": "no such image"}})
            return
        start = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(start[1]) if start else 0
        self.asked.append((handler.path, start))
        start = 0 if self.ignore_range else start
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self._send(handler, folder / found[3], start)
        except OSError:
            pass    # the host went away
        finally:
            with self.lock:
                self.at_once -= 1

    def _send(self, handler, path, start):
        size = path.stat().st_size
        if start > size or (start == size and size > 0):
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        handler.send_header("Content-Length", str(size - start))
        handler.end_headers()
        self._send_body(handler, path, start, size)

    def _send_body(self, handler, path, start, size):
        sent = 0
        with open(path, "rb") as file:
            file.seek(start)
            while piece := file.read(PIECE):
                if self.cut_after is not None and sent + len(piece) > self.cut_after:
                    piece = piece[:self.cut_after - sent]
                if path.name in self.spoil and start + sent + len(piece) == size:
                    piece = piece[:-1] + bytes([piece[-1] ^ 1])
                handler.wfile.write(piece)
                sent += len(piece)
                if self.cut_after is not None and sent >= self.cut_after and start + sent < size:
                    handler.wfile.flush()
                    handler.close_connection = True
                    return
                if self.rate:
                    time.sleep(len(piece) / self.rate)
                self.gate.wait(60)
