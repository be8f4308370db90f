"""What an administrator's program does with template versions over the API, and images to do it with."""
import hashlib
import json
import struct
import subprocess

MIB = 1 << 20


def qcow2(path, size=8 * MIB, fill=b"", options=()):
    """A qcow2 of `size` bytes for the guest, with `fill` at its beginning."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), str(size)], check=True)
    if fill:
        raw = path.with_suffix(".raw")
        raw.write_bytes(fill)
        subprocess.run(["qemu-img", "convert", "-q", "-n", "--target-is-zero", "-f", "raw", "-O", "qcow2", str(raw), str(path)], check=True)
        raw.unlink()
    return path


def patched(path, *changes):
    """The image with (offset, bytes) written into it."""
    data = bytearray(path.read_bytes())
    for offset, new in changes:
        data[offset:offset + len(new)] = new
    path.write_bytes(data)
    return path


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def manifest(name, disk, virtual_size=8 * MIB, **more):
    return {"name": name, "disk": {"file": "disk.qcow2", "format": "qcow2", "sha256": sha256(disk), "virtual_size": virtual_size},
            "boot": None, "machine": "pc-q35-7.2", "guest": "linux", "video": "qxl", "minimum": {"vcpus": 1, "ram_mib": 64},
            "default": {"vcpus": 1, "ram_mib": 256}, "ready": {"rule": "agent", "timeout_s": 60}, "sealed": [], **more}


def about(name, data):
    return {"file": name, "size": len(data), "sha256": sha256(data)}


def wish(name, disk, virtual_size=8 * MIB, files=(), note="", **more):
    body = {"manifest": manifest(name, disk, virtual_size, **more), "files": [about("disk.qcow2", disk), *files], "note": note}
    return body


def begin(admin, name, body):
    return admin.post(f"/api/v1/templates/{name}/uploads", body)


def piece(admin, upload, file, offset, data, **more):
    return admin.request("PUT", f"/api/v1/templates/uploads/{upload}/{file}?offset={offset}", raw=data,
                         headers={"Content-Type": "application/octet-stream", **more.pop("headers", {})}, **more)


def send(admin, begun, file, data):
    """The rest of a file, in pieces."""
    received = next(one["received"] for one in begun["files"] if one["file"] == file)
    while received < len(data):
        answer = piece(admin, begun["upload"], file, received, data[received:received + begun["chunk_max"]])
        assert answer.status == 200, answer
        received = answer.json["received"]


def finish(admin, upload):
    return admin.post(f"/api/v1/templates/uploads/{upload}/finish")


def upload(admin, name, disk, virtual_size=8 * MIB, others=(), **more):
    """A whole upload; the answer to its finish."""
    body = wish(name, disk, virtual_size, files=[about(file, data) for file, data in others], **more)
    begun = begin(admin, name, body)
    assert begun.status in (200, 201), begun
    send(admin, begun.json, "disk.qcow2", disk)
    for file, data in others:
        send(admin, begun.json, file, data)
    return finish(admin, begun.json["upload"])


def evil_images(folder):
    """(what is wrong, image, virtual size its manifest tells)"""
    secret = folder / "secret"
    secret.write_text("not yours")
    base = qcow2(folder / "base.qcow2")
    backing = folder / "backing.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(backing), str(8 * MIB)], check=True)
    yield "backing file", backing.read_bytes(), 8 * MIB
    by_json = folder / "json.qcow2"
    name = json.dumps({"driver": "raw", "file": {"driver": "file", "filename": str(secret)}})
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", f"json:{name}", "-F", "raw", str(by_json), str(8 * MIB)], check=True)
    yield "json: name", by_json.read_bytes(), 8 * MIB
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={folder / 'data.raw'}", str(folder / "data.qcow2"),
                    str(8 * MIB)], check=True)
    yield "external data file", (folder / "data.qcow2").read_bytes(), 8 * MIB
    plain = qcow2(folder / "plain.qcow2").read_bytes()
    yield "truncated head", plain[:60], 8 * MIB
    yield "truncated tables", plain[:70000], 8 * MIB
    yield "no qcow2", b"#!/bin/sh\n" + bytes(4086), 8 * MIB
    yield "another size", plain, 16 * MIB
    yield "absurd size", patched(qcow2(folder / "huge.qcow2"), (24, struct.pack(">Q", 1 << 62))).read_bytes(), 8 * MIB
    yield "unknown feature", patched(qcow2(folder / "feature.qcow2"), (72, struct.pack(">Q", 1 << 40))).read_bytes(), 8 * MIB
    yield "bits unclean", patched(qcow2(folder / "corrupt.qcow2"), (72, struct.pack(">Q", 2))).read_bytes(), 8 * MIB
    for method in (1, 2):
        yield "encrypted", patched(qcow2(folder / f"locked{method}.qcow2"), (32, struct.pack(">I", method))).read_bytes(), 8 * MIB
    kept = qcow2(folder / "kept.qcow2")
    subprocess.run(["qemu-img", "snapshot", "-c", "one", str(kept)], check=True)
    yield "inner snapshot", kept.read_bytes(), 8 * MIB
