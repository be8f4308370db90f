"""Template versions get to the host: from shared storage, else fetched over the host's link, whatever happens on the way;
and go when nothing uses them. With libvirt's test driver and a scripted broker: the files, TLS and the disk are real."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from fakes.fake_images import sha256
from harness.stack import SOURCE, copy_version, tiny_templates
from harness.wait import wait_until
from rig import Rig, new_id

MIB = 1024 * 1024
MARK = ".fetched"


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """A folder with tiny/2 and tiny/3, whose disk has 6 MiB, zeros among them, and boots nowhere."""
    root = tmp_path_factory.mktemp("versions")
    for version in (2, 3):
        folder = root / f"tiny/{version}"
        copy_version(tiny_templates() / "tiny/1", folder)
        with open(folder / "disk.qcow2", "ab") as disk:
            seed = b"%d" % version
            for _ in range(5 * MIB // 32):
                seed = hashlib.sha256(seed).digest()
                disk.write(seed)
            disk.write(bytes(MIB))
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["version"] = version
        manifest["disk"]["sha256"] = sha256(folder / "disk.qcow2")
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return root / "tiny"


def empty_host(**images):
    rig = Rig(images=images)
    shutil.rmtree(rig.templates / "tiny")
    return rig


@pytest.fixture
def host():
    with empty_host(keep_s=2) as rig:
        yield rig
        rig.broker.images.gate.set()


def place(host, version):
    return host.templates / f"tiny/{version}"


def is_here(host, version):
    return f"tiny/{version}" in host.broker.host.get("templates", [])


def wait_here(host, version, seconds=30):
    wait_until(lambda: is_here(host, version), seconds, f"tiny/{version} is here; {host.broker.fetches} {host.hostd.tail()}")


def assert_same(host, version, folder):
    here = {path.name: sha256(path) for path in place(host, version).iterdir()}
    assert here.pop(MARK)
    assert here == {path.name: sha256(path) for path in folder.iterdir()}
    assert incoming(host) == []


def incoming(host):
    folder = host.templates / ".incoming"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def fetch_of(host, version):
    return next((one for one in host.broker.fetches if one["template"] == {"name": "tiny", "version": version}), None)


def reason_of(host, version):
    return (fetch_of(host, version) or {}).get("reason", "")


def test_a_version_comes_and_a_desktop_goes_on(host, versions):
    images, desktop = host.broker.images, new_id()
    images.gate.clear()
    host.broker.want_version("tiny", 2, versions / "2")
    host.broker.want(desktop, "office-1", version=2)
    seen = host.wait_state(desktop, "creating", 20, reason="template tiny/2 is on its way, 0 %")
    assert seen["starts"] == 0
    images.rate = MIB
    images.gate.set()

    def halfway():
        reason = host.broker.seen(desktop).get("reason", "")
        return reason.startswith("template tiny/2 is on its way, ") and " 0 %" not in reason and fetch_of(host, 2)["received"]
    wait_until(halfway, 20, "it is said how far it is")
    assert not place(host, 2).exists(), "nothing half-made is there"
    images.rate = None
    host.wait_state(desktop, "ready", 30, reason="")
    wait_here(host, 2)
    assert_same(host, 2, versions / "2")
    assert host.broker.fetches == []
    assert (place(host, 2) / "disk.qcow2").stat().st_mode & 0o777 == 0o444
    assert images.most_at_once <= 2


def test_zeros_take_no_room(host, versions):
    host.broker.want_version("tiny", 2, versions / "2")
    wait_here(host, 2)
    found = (place(host, 2) / "disk.qcow2").stat()
    assert found.st_blocks * 512 < found.st_size - MIB // 2


def test_what_was_cut_is_gone_on_with(host, versions):
    images = host.broker.images
    images.cut_after = 2 * MIB
    host.broker.want_version("tiny", 2, versions / "2")
    wait_here(host, 2, 60)
    assert_same(host, 2, versions / "2")
    disk = [start for path, start in images.asked if path.endswith("/disk.qcow2")]
    assert len(disk) >= 3 and disk == sorted(set(disk)), disk


def test_a_restart_goes_on_too(host, versions):
    images = host.broker.images
    images.rate = 2 * MIB
    host.broker.want_version("tiny", 2, versions / "2")
    half = host.templates / ".incoming/tiny-2/disk.qcow2"
    wait_until(lambda: half.exists() and half.stat().st_size > MIB, 20, "a part is here")
    host.hostd.kill()
    images.rate = None
    host.start()
    wait_here(host, 2)
    assert_same(host, 2, versions / "2")
    assert [start for path, start in images.asked if path.endswith("/disk.qcow2")][-1] >= MIB


def test_a_broker_without_ranges(host, versions):
    images = host.broker.images
    images.ignore_range = True
    images.cut_after = 3 * MIB
    host.broker.want_version("tiny", 2, versions / "2")
    wait_until(lambda: len([1 for path, _ in images.asked if path.endswith("/disk.qcow2")]) > 1, 20, "it was cut")
    images.cut_after = None
    wait_here(host, 2)
    assert_same(host, 2, versions / "2")


def test_a_part_that_rotted_is_not_believed(host, versions):
    images = host.broker.images
    images.rate = 2 * MIB
    host.broker.want_version("tiny", 2, versions / "2")
    half = host.templates / ".incoming/tiny-2/disk.qcow2"
    wait_until(lambda: half.exists() and half.stat().st_size > MIB, 20, "a part is here")
    host.hostd.kill()
    with open(half, "r+b") as file:
        file.seek(1000)
        file.write(b"rot")
    images.rate = None
    host.start()
    wait_until(lambda: "SHA-256" in reason_of(host, 2), 20, "it is said")
    wait_here(host, 2)
    assert_same(host, 2, versions / "2")


def test_wrong_bytes_are_thrown_away(host, versions):
    images, desktop = host.broker.images, new_id()
    images.spoil = {"disk.qcow2"}
    host.broker.want_version("tiny", 2, versions / "2")
    host.broker.want(desktop, "office-1", version=2)
    seen = host.wait_state(desktop, "failed", 20)
    assert seen["reason"].startswith("template tiny/2 does not come: disk.qcow2: "), seen
    assert "SHA-256" in reason_of(host, 2)
    assert not place(host, 2).exists()
    images.spoil = set()
    host.wait_state(desktop, "ready", 40)
    assert_same(host, 2, versions / "2")


@pytest.mark.parametrize("status, word", [(404, "404: no such image"), (403, "403"), (500, "500")])
def test_a_broker_that_does_not_give_it(host, versions, status, word):
    host.broker.images.status = status
    host.broker.want_version("tiny", 2, versions / "2")
    wait_until(lambda: word in reason_of(host, 2), 20, "it is said")
    host.broker.images.status = None
    wait_here(host, 2)


BAD = [{"file": "../../evil", "size": 3, "sha256": "0" * 64}, {"file": "disk.qcow2", "size": 0, "sha256": "0" * 64},
       {"file": "disk.qcow2", "size": 3, "sha256": "x"}, {"file": ".fetched", "size": 3, "sha256": "0" * 64},
       {"file": "manifest.json", "size": 3, "sha256": "0" * 64}]


@pytest.mark.parametrize("bad", BAD, ids=["a path", "no size", "no sum", "the mark", "twice"])
def test_what_the_broker_names_is_looked_at_first(host, versions, bad):
    host.broker.images.offer("tiny", 2, versions / "2")
    host.broker.images.files["tiny", 2].append(bad)
    host.broker.want_version("tiny", 3, versions / "3")
    wait_until(lambda: reason_of(host, 2), 20, "it is refused")
    wait_here(host, 3)
    assert not [path for path, _ in host.broker.images.asked if "/2/" in path]
    assert not place(host, 2).exists() and incoming(host) == []


def test_a_manifest_of_another_version(host, versions):
    host.broker.images.offer("tiny", 3, versions / "3")
    host.broker.want_version("tiny", 4, versions / "3")
    wait_until(lambda: "another template or version" in reason_of(host, 4), 20, "it is refused")
    assert not place(host, 4).exists()


def test_what_is_in_the_way_stays(host, versions):
    place(host, 2).mkdir(parents=True)
    (place(host, 2) / "notes").write_text("mine")
    host.broker.want_version("tiny", 2, versions / "2")
    wait_until(lambda: "in the way" in reason_of(host, 2), 20, "it is said")
    assert (place(host, 2) / "notes").read_text() == "mine"
    shutil.rmtree(place(host, 2))
    wait_here(host, 2)


def test_a_broken_one_that_was_fetched_comes_anew(host, versions):
    host.broker.want_version("tiny", 2, versions / "2")
    wait_here(host, 2)
    (place(host, 2) / "vmlinuz").unlink()
    wait_until(lambda: not is_here(host, 2), 20, "it is missed")
    wait_here(host, 2)
    assert_same(host, 2, versions / "2")


def test_shared_storage_first(versions, tmp_path):
    shared = tmp_path / "shared"
    copy_version(versions / "2", shared / "tiny/2")
    with empty_host(keep_s=1, shared=f"/nonexistent {shared}") as host:
        desktop = new_id()
        host.broker.want_version("tiny", 2, versions / "2")
        host.broker.want(desktop, "office-1", version=2)
        host.wait_state(desktop, "ready", 30)
        wait_here(host, 2)
        assert not place(host, 2).exists() and host.broker.images.asked == []
        backing = subprocess.run(["qemu-img", "info", "--output=json", host.directory(desktop) / "disk.qcow2"], check=True,
                                 capture_output=True, text=True).stdout
        assert json.loads(backing)["backing-filename"] == str(shared / "tiny/2/disk.qcow2")
        host.broker.change(desktop, wanted="gone")
        host.wait_over(desktop)
        host.broker.forget_version("tiny", 2)
        time.sleep(3)       # a sweep later it is there still: it is not ours
        assert is_here(host, 2) and (shared / "tiny/2/disk.qcow2").exists()


# -- eviction -------------------------------------------------------------------------------------------

def test_what_nothing_uses_goes(host, versions):
    by_hand = place(host, 9)
    copy_version(versions / "3", by_hand)
    desktop = new_id()
    for version in (2, 3):
        host.broker.want_version("tiny", version, versions / str(version))
    host.broker.want(desktop, "office-1", version=2)
    host.wait_state(desktop, "ready", 40)
    wait_here(host, 3)
    host.broker.forget_version("tiny", 2)
    host.broker.forget_version("tiny", 3)
    wait_until(lambda: not place(host, 3).exists(), 20, "what nothing uses goes")
    assert place(host, 2).exists(), "a desktop stands on it"
    host.broker.change(desktop, wanted="gone")
    host.wait_over(desktop)
    wait_until(lambda: not place(host, 2).exists(), 20, "the desktop is gone, and so is its version")
    wait_until(lambda: host.broker.host["templates"] == [], 20, "it is offered no more")
    assert by_hand.exists(), "nobody fetched it"
    wait_until(lambda: incoming(host) == [], 20, "nothing is left")


def test_what_lies_on_hosts_only_stays(host, versions):
    """The broker wants it and has no files of it (any more)."""
    host.broker.want_version("tiny", 2, versions / "2")
    wait_here(host, 2)
    host.broker.images.files["tiny", 2] = []
    host.broker.images.files["tiny", 9] = []
    host.broker.want_version("tiny", 3, versions / "3")
    wait_here(host, 3)
    time.sleep(4)       # sweeps
    assert place(host, 2).exists() and host.broker.fetches == []


def test_what_nobody_knows_stays(host, versions):
    desktop = new_id()
    host.broker.want_version("tiny", 2, versions / "2")
    host.broker.want(desktop, "office-1", version=2)
    host.wait_state(desktop, "ready", 30)
    host.hostd.kill()
    record = host.directory(desktop) / "desktop.json"
    text = record.read_text()
    record.write_text("{")
    host.broker.forget_version("tiny", 2)
    host.start()
    wait_until(lambda: "no version is removed" in host.hostd.tail(), 20, "it is said")
    assert place(host, 2).exists()
    record.write_text(text)


def test_a_fetch_nobody_wants_any_more(host, versions):
    host.broker.images.rate = MIB // 2
    host.broker.want_version("tiny", 2, versions / "2")
    wait_until(lambda: incoming(host) == ["tiny-2"], 20, "it comes")
    host.broker.forget_version("tiny", 2)
    wait_until(lambda: incoming(host) == [], 20, "nothing of it is left")
    assert not place(host, 2).exists() and host.broker.fetches == []


@pytest.fixture
def small_disk(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "usher-test", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk(small_disk, versions):
    with Rig(templates=small_disk / "templates", images={"keep_s": 3600}) as host:
        desktop, size = new_id(), sum(path.stat().st_size for path in (versions / "3").iterdir())
        leave(small_disk, size + 15 * MIB)
        host.broker.want_version("tiny", 2, versions / "2")
        host.broker.want(desktop, "office-1", version=2)
        seen = host.wait_state(desktop, "failed", 20)
        assert "disk full" in seen["reason"] and "disk full" in reason_of(host, 2)
        (small_disk / "filler").unlink()
        host.wait_state(desktop, "ready", 40)
        host.broker.change(desktop, wanted="gone")
        host.wait_over(desktop)
        host.broker.forget_version("tiny", 2)
        leave(small_disk, size + 15 * MIB)
        host.broker.want_version("tiny", 3, versions / "3")
        wait_here(host, 3, 40)
        assert not place(host, 2).exists(), "it went sooner, to make room"


def leave(path, octets):
    """Fills the disk until so many are free: a fetch wants to leave 16 MiB."""
    found = os.statvfs(path)
    (path / "filler").write_bytes(bytes(found.f_bavail * found.f_frsize - octets))


# -- speed, and being killed ----------------------------------------------------------------------------

def test_the_rate_is_kept(versions):
    with empty_host(rate_mib_s=4) as host:
        began = time.monotonic()
        for version in (2, 3):
            host.broker.want_version("tiny", version, versions / str(version))
        for version in (2, 3):
            wait_here(host, version, 60)
        total = sum(path.stat().st_size for version in (2, 3) for path in (versions / str(version)).iterdir()) / MIB
        assert time.monotonic() - began > total / 4 - 1.5, "both together are within the rate"


def points():
    text = "".join(path.read_text() for path in sorted((SOURCE / "hostd/images").glob("*.c")))
    return sorted({part.split('"')[1] for part in text.split("USHER_FAULT_POINT (")[1:]})


def test_every_step_has_its_points():
    assert {name.rsplit(".", 1)[0] for name in points()} == {"images.fetch", "images.evict"}


@pytest.mark.parametrize("point", [*points(), "images.fetch.amid_file:12", "images.fetch.after_file:3"])
def test_killed_at(point, versions):
    host, desktop = empty_host(keep_s=1), new_id()
    host.join()

    def dies(wanted):
        host.fault_file.write_text("")
        host.hostd.kill()
        host.start(USHER_FAULT=point, USHER_FAULT_FILE=str(host.fault_file))
        wanted()
        host.hostd.wait_end(30)
        assert not host.fault_file.exists(), f"it ended elsewhere: {host.hostd.tail()}"
        assert not place(host, 2).exists() or (place(host, 2) / MARK).exists()
        host.start()

    def want():
        host.broker.want_version("tiny", 2, versions / "2")
        host.broker.want(desktop, "office-1", version=2)

    try:
        host.start()
        dies(want) if "fetch" in point else want()
        host.wait_state(desktop, "ready", 40)
        wait_here(host, 2)
        assert_same(host, 2, versions / "2")
        host.broker.change(desktop, wanted="gone")
        host.wait_over(desktop)
        dies(lambda: host.broker.forget_version("tiny", 2)) if "evict" in point else host.broker.forget_version("tiny", 2)
        wait_until(lambda: not place(host, 2).exists() and incoming(host) == [], 20, "nothing is left")
    finally:
        host.stop()


@pytest.mark.parametrize("life", range(4))
def test_told_to_end_while_it_comes(host, versions, life):
    host.broker.images.rate = MIB
    host.broker.want_version("tiny", 2, versions / "2")
    wait_until(lambda: fetch_of(host, 2) and fetch_of(host, 2)["received"] > 0, 20, "it comes")
    time.sleep(0.1 * life)
    began = time.monotonic()
    assert host.hostd.stop() == 0, host.hostd.tail()
    assert time.monotonic() - began < 5


def test_killed_again_and_again(versions):
    """At instants nobody chose: it converges, and at no time is anything half-made usable."""
    host = empty_host()
    host.join()
    host.broker.images.rate = 8 * MIB
    host.broker.want_version("tiny", 2, versions / "2")
    sums = {one["file"]: one["sha256"] for one in host.broker.images.files["tiny", 2]}
    try:
        for life in range(8):
            host.start()
            time.sleep(0.2 + 0.13 * life)
            host.hostd.kill()
            if place(host, 2).exists():
                assert {name: sha256(place(host, 2) / name) for name in sums} == sums
        host.start()
        wait_here(host, 2, 40)
        assert_same(host, 2, pathlib.Path(versions / "2"))
    finally:
        host.stop()
