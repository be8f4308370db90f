"""What stands in a desktop's way is reported in words for a person, is tried again, and leaves nothing. With
libvirt's test driver: the disks are real."""
import json
import pathlib
import subprocess

import pytest

from harness.stack import copy_version
from harness.wait import wait_until
from rig import Rig, new_id

TINY = "tiny/1"


def manifest(host):
    return host.templates / TINY / "manifest.json"


def break_manifest(host):
    manifest(host).write_text("{")


def cut_disk(host):
    disk = host.templates / TINY / "disk.qcow2"
    disk.chmod(0o644)
    disk.write_bytes(disk.read_bytes()[:-512])


def lose_kernel(host):
    (host.templates / TINY / "vmlinuz").unlink()


def other_version(host):
    document = json.loads(manifest(host).read_text())
    manifest(host).unlink()
    manifest(host).write_text(json.dumps({**document, "version": 2}))


@pytest.mark.parametrize("breaking", [break_manifest, cut_disk, lose_kernel, other_version])
def test_a_broken_image(breaking):
    rig = Rig()
    for path in (rig.templates / TINY).iterdir():
        path.chmod(0o644)
    breaking(rig)
    with rig as host:
        desktop = new_id()
        host.broker.want(desktop, "office-1")
        seen = host.wait_state(desktop, "failed", 20)
        assert seen["reason"].startswith("broken image: "), seen
        assert not (host.directory(desktop) / "disk.qcow2").exists()
        if breaking is not cut_disk:
            assert TINY not in host.broker.host["templates"], "it is not offered"
        host.broker.change(desktop, wanted="gone")
        host.wait_over(desktop)


def test_a_template_that_is_not_here_comes(fake_host):
    desktop = new_id()
    fake_host.broker.want(desktop, "office-1", version=2)
    seen = fake_host.wait_state(desktop, "failed", 20)
    assert "tiny/2" in seen["reason"]
    second = fake_host.templates / "tiny/2"
    copy_version(fake_host.templates / TINY, second.with_suffix(".new"))
    made = second.with_suffix(".new") / "manifest.json"
    text = json.dumps({**json.loads(made.read_text()), "version": 2})
    made.unlink()
    made.write_text(text)
    second.with_suffix(".new").rename(second)
    fake_host.wait_state(desktop, "ready", 60)
    assert wait_until(lambda: fake_host.broker.host["templates"] == ["tiny/1", "tiny/2"], 20, "it is offered")


def test_a_name_that_is_none(fake_host):
    desktop = new_id()
    fake_host.broker.want(desktop, "office init=/bin/sh")
    seen = fake_host.wait_state(desktop, "failed", 20)
    assert "host name" in seen["reason"]


@pytest.fixture
def small_disk(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=711", "usher-test", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("reserve_mib, filler_mib, left_kib", [(16, 12, None), (0, 24, 64)], ids=["reserve", "to the brim"])
def test_a_full_disk(small_disk, reserve_mib, filler_mib, left_kib):
    filler = small_disk / "filler"
    state = small_disk / "state"
    rig = Rig(state_dir=state, disk_reserve_mib=reserve_mib)
    (state / "desktops").mkdir()
    with rig as host:
        fill(filler, filler_mib, left_kib)
        desktop = new_id()
        host.broker.want(desktop, "office-1")
        seen = host.wait_state(desktop, "failed", 20)
        assert "disk full" in seen["reason"], seen
        assert not list(state.rglob("disk.qcow2*"))
        filler.unlink()
        host.wait_state(desktop, "ready", 60)
        host.broker.change(desktop, wanted="gone")
        host.wait_over(desktop)


def fill(path: pathlib.Path, mib, left_kib):
    """Writes `mib`, or as much as goes in, and gives `left_kib` back."""
    written = 0
    with open(path, "wb", buffering=0) as file:
        try:
            while written < mib * 1024 * 1024:
                written += file.write(bytes(4096))
        except OSError:
            pass
    if left_kib is not None:
        with open(path, "r+b") as file:
            file.truncate(written - left_kib * 1024)
