"""usherctl template against a stand-in for the broker (fakes/fake_templates.py): what is sent, what goes on after an interruption, what is
refused, and that nothing is left behind."""
import hashlib
import json
import os
import shlex
import signal
import subprocess
import time

import pytest

from fakes.fake_templates import FakeTemplates
from harness.ctl import Ctl
from harness.wait import wait_until

KIB = 1024


@pytest.fixture
def fake(tmp_path):
    folder = tmp_path / "fake"
    folder.mkdir()
    with FakeTemplates(folder) as running:
        yield running


@pytest.fixture
def ctl(fake, tmp_path):
    (tmp_path / "home").mkdir()
    tool = Ctl(tmp_path / "home", server=fake.url)
    yield tool
    left = [path.name for path in (tmp_path / "home").iterdir() if path.name.startswith("usherctl-")]
    assert not left, left


def shell(line, folder):
    subprocess.run(["sh", "-ec", line], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def version(tmp_path):
    """A folder as a recipe makes it."""
    folder = tmp_path / "out/small/7"
    folder.mkdir(parents=True)
    (folder / "disk.qcow2").write_bytes(os.urandom(300 * KIB))
    (folder / "vmlinuz").write_bytes(os.urandom(100 * KIB))
    (folder / "initrd.img").write_bytes(os.urandom(70 * KIB))
    (folder / "recipe").write_text("a hash\n")
    (folder / "manifest.json").write_text(json.dumps({
        "name": "small", "version": 7, "disk": {"file": "disk.qcow2", "format": "qcow2", "sha256": sha256(folder / "disk.qcow2"),
                                                "virtual_size": 1048576},
        "boot": {"kernel": "vmlinuz", "initrd": "initrd.img", "cmdline": "quiet"}, "machine": "pc-q35-7.2", "guest": "linux",
        "video": "qxl", "minimum": {"vcpus": 1, "ram_mib": 128}, "default": {"vcpus": 1, "ram_mib": 192},
        "ready": {"rule": "agent", "timeout_s": 120}, "sealed": []}))
    return folder


def bootable(path, mib=2):
    """A raw disk with a boot record and something in it."""
    data = bytearray(mib << 20)
    data[510:512] = b"\x55\xaa"
    data[1 << 20:(1 << 20) + 5000] = os.urandom(5000)
    path.write_bytes(data)
    return path


def puts(fake):
    return [path for method, path in fake.seen if method == "PUT"]


def manifest_of(fake, name, number=1):
    return json.loads(fake.versions[name, number]["files"]["manifest.json"])


# -- sending ----------------------------------------------------------------------------------------


def test_a_folder_is_uploaded_once(ctl, fake, version):
    assert ctl("template", "import", version, "--note", "first") == "small/1 is uploaded\n"
    files = fake.versions["small", 1]["files"]
    assert all(files[name] == (version / name).read_bytes() for name in ("disk.qcow2", "vmlinuz", "initrd.img"))
    assert set(files) == {"disk.qcow2", "vmlinuz", "initrd.img", "manifest.json"}
    assert fake.versions["small", 1]["note"] == "first" and "disk.qcow2" in ctl.said
    sent = len(puts(fake))
    assert ctl.json("template", "import", version, "--publish") == {
        "template": "small", "version": 1, "uploaded": False, "published": True}
    assert len(puts(fake)) == sent and fake.published["small"] == [1]
    assert ctl("template", "import", version, "--name", "other") == "other/1 is uploaded\n"


def test_a_lost_connection_and_a_busy_server_are_gone_through(ctl, fake, version):
    fake.fail += [["PUT", 503, 2], ["POST", 503, 1]]
    fake.cut.append("PUT")
    ctl("template", "import", version)
    assert fake.versions["small", 1]["files"]["disk.qcow2"] == (version / "disk.qcow2").read_bytes()
    assert "trying again" in ctl.said


def test_a_long_check_is_waited_for(ctl, fake, version):
    fake.checking = 12      # more often than a server that is away is asked
    ctl("template", "import", version)
    assert "trying again" not in ctl.said


def test_a_refusal_is_said_at_once_and_with_its_reasons(ctl, fake, version):
    fake.damaged = True
    message = ctl("template", "import", version, status=1)
    assert "not what was announced" in message and "checksum: differs" in message
    assert not fake.uploads     # it is of no use to anybody
    fake.damaged = False
    fake.fail.append(["PUT", 500, 1])
    ctl("template", "import", version, "--name", "fresh", status=3)


def test_a_killed_upload_goes_on_where_it_was(ctl, fake, version):
    ctl.killed("template", "import", version, fault="ctl.upload.chunk:4")
    assert not fake.versions and sum(len(data) for data in next(iter(fake.uploads.values()))["data"].values()) == 3 * 64 * KIB
    ctl("template", "import", version)
    assert "going on at byte 196608" in ctl.said
    assert len(puts(fake)) == 5 + 2 + 2, puts(fake)
    assert fake.versions["small", 1]["files"]["disk.qcow2"] == (version / "disk.qcow2").read_bytes()
    ctl.killed("template", "import", version, "--name", "again", fault="ctl.upload.finish")
    sent = len(puts(fake))
    assert ctl("template", "import", version, "--name", "again") == "again/1 is uploaded\n"
    assert len(puts(fake)) == sent


def test_an_upload_that_was_removed_meanwhile_is_begun_again(ctl, fake, version):
    fake.chunk, fake.slow = 4 * KIB, 0.02
    running = ctl.start("template", "import", version)
    wait_until(lambda: len(puts(fake)) > 3, 20, "the upload is under way")
    fake.uploads.clear()
    fake.slow = 0
    assert running.wait(60) == 0, running.stdout.read()
    running.stdout.close()
    assert fake.versions["small", 1]["files"]["disk.qcow2"] == (version / "disk.qcow2").read_bytes()


def test_ctrl_c_leaves_what_the_same_command_goes_on_with(ctl, fake, version):
    fake.chunk, fake.slow = KIB, 0.02
    running = ctl.start("template", "import", version)
    wait_until(lambda: len(puts(fake)) > 5, 20, "the upload is under way")
    running.send_signal(signal.SIGINT)
    assert running.wait(10) == 128 + signal.SIGINT
    running.stdout.close()
    assert len(fake.uploads) == 1
    fake.chunk, fake.slow = 64 * KIB, 0
    ctl("template", "import", version)
    assert "going on at byte" in ctl.said and not fake.uploads


@pytest.mark.parametrize("member, value, word", [
    ("machine", "q35", "machine"), ("name", "Bad Name", "name"), ("surprise", 1, "surprise"), ("disk", None, None),
    ("boot", {"kernel": "../x", "initrd": "initrd.img", "cmdline": ""}, "boot.kernel"),
], ids=["machine", "name", "unknown", "no disk", "path"])
def test_a_wrong_manifest_is_refused_before_anything_is_sent(ctl, fake, version, member, value, word):
    document = json.loads((version / "manifest.json").read_text())
    document[member] = value
    (version / "manifest.json").write_text(json.dumps(document))
    if word is None:
        ctl("template", "import", version)
    else:
        assert word in ctl("template", "import", version, status=1)
        assert not [seen for seen in fake.seen if seen[0] != "GET"]


def test_a_damaged_or_missing_file_is_named(ctl, fake, version):
    (version / "disk.qcow2").write_bytes(b"other")
    assert "damaged" in ctl("template", "import", version, status=1)
    (version / "vmlinuz").unlink()
    (version / "disk.qcow2").unlink()
    assert "disk.qcow2" in ctl("template", "import", version, status=1)
    assert not puts(fake)


# -- images -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["raw", "qcow2", "vmdk", "vhdx", "vpc", "streamOptimized", "snapshots"])
def test_images_of_every_format_become_plain_qcow2(ctl, fake, tmp_path, form):
    source, image = bootable(tmp_path / "raw.img"), tmp_path / "the image"
    how = {"streamOptimized": "vmdk -o subformat=streamOptimized", "snapshots": "qcow2", "vpc": "vpc -o force_size=on"}.get(form, form)
    shell(f"qemu-img convert -f raw -O {how} {source} {shlex.quote(str(image))}", tmp_path)
    if form == "snapshots":
        shell(f"qemu-img snapshot -c one {shlex.quote(str(image))}", tmp_path)
    ctl("template", "import", image, "--name", "office", "--guest", "windows", "--firmware", "uefi", "--vcpus", 4, "--ram-mib", 4096)
    manifest = manifest_of(fake, "office")
    assert manifest["guest"] == "windows" and manifest["firmware"] == "uefi" and manifest["default"] == {"vcpus": 4, "ram_mib": 4096}
    assert manifest["boot"] is None and manifest["disk"]["virtual_size"] == 2 << 20 and manifest["ready"]["rule"] == "agent"
    disk = tmp_path / "sent.qcow2"
    disk.write_bytes(fake.versions["office", 1]["files"]["disk.qcow2"])
    assert sha256(disk) == manifest["disk"]["sha256"]
    info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", "-f", "qcow2", disk], check=True, capture_output=True).stdout)
    assert "backing-filename" not in info and "snapshots" not in info
    shell(f"qemu-img compare -f raw -F qcow2 {source} {disk}", tmp_path)


def test_the_same_image_is_the_same_version(ctl, fake, tmp_path):
    image = bootable(tmp_path / "raw.img")
    ctl.killed("template", "import", image, "--name", "x", fault="ctl.upload.chunk")
    assert ctl("template", "import", image, "--name", "x") == "x/1 is uploaded\n"
    assert ctl("template", "import", image, "--name", "x") == "x/1 is there already\n"


def test_a_killed_import_is_cleaned_up_by_the_next(ctl, fake, tmp_path):
    image = bootable(tmp_path / "raw.img")
    home = tmp_path / "home"
    ctl.killed("template", "import", image, "--name", "x", fault="ctl.upload.chunk")
    assert [path for path in home.iterdir() if path.name.startswith("usherctl-")]
    ctl("template", "import", image, "--name", "x")
    # the fixture looks whether anything is left


def test_a_linux_image_with_its_kernel(ctl, fake, tmp_path):
    (tmp_path / "root.img").write_bytes(bytes(1 << 20))
    kernel = bytearray(4096)
    kernel[0x1fe:0x204] = b"\x55\xaaHdrS"
    (tmp_path / "kernel").write_bytes(kernel)
    (tmp_path / "ramdisk").write_bytes(b"ramdisk")
    words = ("template", "import", tmp_path / "root.img", "--name", "lx", "--kernel", tmp_path / "kernel", "--initrd", tmp_path / "ramdisk")
    ctl(*words, "--cmdline", "root=/dev/vda", "--ready", "running")
    assert manifest_of(fake, "lx")["boot"] == {"kernel": "vmlinuz", "initrd": "initrd.img", "cmdline": "root=/dev/vda"}
    assert fake.versions["lx", 1]["files"]["initrd.img"] == b"ramdisk"
    ctl(*words, status=2)
    assert "bzImage" in ctl(*words[:5], "--kernel", tmp_path / "root.img", "--initrd", tmp_path / "ramdisk", "--cmdline", "x", status=1)


def test_a_manifest_of_ones_own_in_yaml(ctl, fake, tmp_path):
    (tmp_path / "m.yaml").write_text("name: mine\nmachine: pc-q35-7.2\nguest: other\nvideo: vga\nboot: ~\nminimum: {vcpus: 1, ram_mib: 512}\n"
                                     "default: {vcpus: 2, ram_mib: 1024}\nready: {rule: running, timeout_s: 33}\nsealed: [machine-id]\n")
    ctl("template", "import", bootable(tmp_path / "raw.img"), "--manifest", tmp_path / "m.yaml", "--ram-mib", "256")
    manifest = manifest_of(fake, "mine")
    assert manifest["ready"]["timeout_s"] == 33 and manifest["video"] == "vga" and manifest["minimum"]["ram_mib"] == 256
    (tmp_path / "m.yaml").write_text("name: mine\nmachine: pc-q35-7.2\nguest: plan9\n")
    assert "guest" in ctl("template", "import", tmp_path / "raw.img", "--manifest", tmp_path / "m.yaml", status=1)


REFUSED = {
    "backing file": ("qemu-img create -q -f qcow2 base 1M; qemu-img create -q -f qcow2 -b base -F qcow2 image", "backing file"),
    "data file": ("qemu-img create -q -f qcow2 -o data_file=$PWD/data image 1M", "external data file"),
    "extents": ("qemu-img create -q -f vmdk -o subformat=monolithicFlat image 1M", "several files"),
    "parent": ("qemu-img create -q -f vmdk p 1M; qemu-img create -q -f vmdk -b p -F vmdk image", "parent"),
    "json": ("printf '%s' 'json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"}' >image", "512"),
    "gzip": ("head -c 4096 /dev/zero | gzip >image", "gzip"),
    "no boot record": ("truncate -s 1M image", "boot record"),
    "truncated": ("qemu-img create -q -f qcow2 whole 1M; head -c 1000 whole >image", ""),
    "a folder's name": ("mkdir dir; : >dir/x; ln -s dir/x image", "512"),
    "fifo": ("mkfifo image", "regular"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_images_that_are_refused(ctl, fake, tmp_path, case):
    make, word = REFUSED[case]
    shell(make, tmp_path)
    message = ctl("template", "import", tmp_path / "image", "--name", "x", status=1, timeout=30)
    assert word in message and str(tmp_path / "image") in message, message
    assert not fake.uploads and not fake.versions


@pytest.mark.parametrize("name", ["nbd://127.0.0.1:1/x", 'json:{"driver":"null-co"}', "fat:rw:/tmp", "file:/etc/hostname", "ssh://x/y"])
def test_names_that_are_no_files_to_qemu_are_refused(ctl, fake, name):
    assert "protocol" in ctl("template", "import", name, "--name", "x", status=1)
    assert not fake.uploads


def test_command_lines_that_make_no_sense(ctl, version, tmp_path):
    image = bootable(tmp_path / "raw.img")
    ctl("template", "import", image, status=2)
    ctl("template", "import", image, "--name", "x", "--kernel", "y", status=2)
    ctl("template", "import", version, "--guest", "linux", status=2)
    ctl("template", "import", tmp_path / "nix", "--name", "x", status=1)
    ctl("template", status=2)
    ctl("template", "nix", status=2)
    ctl("template", "publish", "x", "first", status=2)
    assert "import" in ctl("template", "--help")


# -- recipes ----------------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path, version):
    """A recipe that copies `version`, and waits when told to."""
    folder = tmp_path / "recipes/small"
    folder.mkdir(parents=True)
    (folder / "build").write_text(f"""#!/bin/bash
set -e
echo "[   0s] small: phase one"
trap 'echo cleaned up; exit 143' TERM
[[ ! -e {tmp_path}/wait ]] || {{ : >{tmp_path}/waiting; while [[ -e {tmp_path}/wait ]]; do sleep 0.1; done; }}
[[ ! -e {tmp_path}/fail ]] || {{ echo "small: no such thing" >&2; exit 1; }}
mkdir -p "$1/small" "$3"
[[ -e $1/small/7 ]] && echo "small/7 is built already" || cp -r {version} "$1/small/7"
""")
    (folder / "build").chmod(0o755)
    return folder


def test_a_recipe_builds_and_its_phases_are_shown(ctl, fake, recipe, version):
    assert ctl("template", "build", "small", "--note", "by a recipe", "--publish", USHER_RECIPES=recipe.parent) == "small/1 is uploaded and published\n"
    assert "phase one" in ctl.said
    assert fake.versions["small", 1]["note"] == "by a recipe"
    assert fake.versions["small", 1]["files"]["vmlinuz"] == (version / "vmlinuz").read_bytes()


def test_a_cache_is_kept_and_twice_changes_nothing(ctl, fake, recipe, tmp_path):
    words = ("template", "build", recipe, "--cache", tmp_path / "cache", "--publish")
    ctl(*words)
    assert (tmp_path / "cache/templates/small/7/manifest.json").exists()
    sent = len(puts(fake))
    assert ctl(*words) == "small/1 is there already and published\n"
    assert "built already" in ctl.said and len(puts(fake)) == sent and fake.published["small"] == [1]


def test_recipes_that_are_not_there_or_fail(ctl, fake, recipe, tmp_path):
    assert "there are small" in ctl("template", "build", "nix", status=1, USHER_RECIPES=recipe.parent)
    ctl("template", "build", tmp_path / "nix", status=1)
    (tmp_path / "fail").touch()
    message = ctl("template", "build", recipe, status=1)
    assert "no such thing" in message and "status 1" in message and not fake.uploads


def test_ctrl_c_ends_a_recipe(ctl, fake, recipe, tmp_path):
    (tmp_path / "wait").touch()
    running = ctl.start("template", "build", recipe)
    wait_until((tmp_path / "waiting").exists, 20, "the recipe runs")
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 128 + signal.SIGINT
    assert "cleaned up" in running.stdout.read()
    running.stdout.close()


def test_the_recipe_of_a_killed_build_ends_and_its_folder_goes(ctl, recipe, tmp_path):
    (tmp_path / "wait").touch()
    running = ctl.start("template", "build", recipe)
    wait_until((tmp_path / "waiting").exists, 20, "the recipe runs")
    running.kill()
    running.wait()
    assert "cleaned up" in running.stdout.read()    # to its end: nobody holds the pipe any more
    running.stdout.close()
    (tmp_path / "wait").unlink()
    ctl("template", "build", recipe)


def test_a_failed_upload_of_a_build_is_taken_back(ctl, fake, recipe):
    fake.fail.append(["PUT", 500, 1])
    ctl("template", "build", recipe, status=3)
    assert not fake.uploads


# -- versions ---------------------------------------------------------------------------------------


def test_versions_publish_rollback_retire(ctl, fake, version):
    for number in range(1, 12):
        document = json.loads((version / "manifest.json").read_text())
        document["ready"]["timeout_s"] = number
        (version / "manifest.json").write_text(json.dumps(document))
        ctl("template", "import", version, "--note", f"number {number}")
    lines = ctl("template", "versions", "small").splitlines()
    assert lines[0].split() == ["NAME", "STATE", "SIZE", "HOSTS", "DESKTOPS", "MADE", "NOTE"]
    assert [line.split()[0] for line in lines[1:]] == [f"small.{number}" for number in range(1, 12)]
    assert "KiB" in lines[1] and "kvm1" in lines[1] and lines[1].endswith("number 1")
    assert ctl("template", "publish", "small", "2") == "small/2 is published\n"
    ctl("template", "publish", "small", "v3")
    assert ctl("template", "rollback", "small") == "small/2 is published again\n"
    assert "nothing was published before" in ctl("template", "rollback", "small", status=1)
    assert ctl("template", "retire", "small", "3") == "small/3 is retired\n"
    assert {record["spec"]["version"]: record["status"]["state"] for record in ctl.json("template", "versions", "small")}[2] == "published"
    assert ctl.json("template", "publish", "small", 4)["spec"]["version"] == 4
    assert "nix" in ctl("template", "versions", "nix", status=1)
    ctl("template", "publish", "small", "99", status=1)
    described = ctl.json("get", "template-version", "small.2")
    assert described["spec"]["note"] == "number 2"


def test_describe_tells_versions_and_parents(ctl, fake, version):
    ctl("template", "import", version, "--note", "first", "--publish")
    parent = {"template": {"name": "small", "version": 1}, "vcpus": 1, "ram_mib": 192, "state": "unable", "reason": "no guest agent"}
    other = {**parent, "template": {"name": "large", "version": 1}}
    fake.hosts = [{"kind": "host", "name": "kvm1", "spec": {}, "status": {"parents": [parent, other]}},
                  {"kind": "host", "name": "old", "spec": {}, "status": {}}]
    wanted = [{"host": "kvm1", "version": 1, "vcpus": 1, "ram_mib": 192, "state": "unable", "reason": "no guest agent"}]
    described = ctl.json("describe", "template", "small")
    assert described["parents"] == wanted
    assert [(one["version"], one["state"], one["note"]) for one in described["versions"]] == [(1, "published", "first")]
    assert ctl.json("describe", "pool", "office")["parents"] == wanted
    assert "no guest agent" in ctl("describe", "pool", "office")


# -- export -----------------------------------------------------------------------------------------


def test_export_and_import_again(ctl, fake, version, tmp_path):
    ctl("template", "import", version, "--note", "kept")
    assert "exported" in ctl("template", "export", "small", 1, tmp_path / "to/here")
    assert sha256(tmp_path / "to/here/disk.qcow2") == sha256(version / "disk.qcow2")
    assert {path.name for path in (tmp_path / "to/here").iterdir()} == {"disk.qcow2", "vmlinuz", "initrd.img", "manifest.json"}
    assert ctl("template", "import", tmp_path / "to/here") == "small/1 is there already\n"
    asked = len(fake.seen)
    ctl("template", "export", "small", "v1", tmp_path / "to/here")
    assert len(fake.seen) == asked + 1  # nothing is fetched twice
    ctl("template", "export", "small", 9, tmp_path / "to/nowhere", status=1)


def test_an_export_goes_on_after_a_lost_line_and_after_a_kill(ctl, fake, version, tmp_path):
    (version / "disk.qcow2").write_bytes(os.urandom(3 << 20))
    document = json.loads((version / "manifest.json").read_text())
    document["disk"]["sha256"] = sha256(version / "disk.qcow2")
    (version / "manifest.json").write_text(json.dumps(document))
    fake.chunk = 1 << 20
    ctl("template", "import", version)
    fake.stop_after = 200 * KIB
    ctl("template", "export", "small", 1, tmp_path / "a")
    assert fake.ranges[0] == ("disk.qcow2", 200 * KIB)
    fake.ranges.clear()
    ctl.killed("template", "export", "small", 1, tmp_path / "b", fault="ctl.export.piece:3")
    assert (tmp_path / "b/.disk.qcow2.part").exists() and not (tmp_path / "b/disk.qcow2").exists()
    ctl("template", "export", "small", 1, tmp_path / "b")
    assert fake.ranges[0][0] == "disk.qcow2" and fake.ranges[0][1] > 0
    assert sha256(tmp_path / "b/disk.qcow2") == sha256(version / "disk.qcow2")
    assert not list((tmp_path / "b").glob(".*"))


def test_a_damaged_part_is_fetched_anew_and_a_damaged_download_is_refused(ctl, fake, version, tmp_path):
    ctl("template", "import", version)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.disk.qcow2.part").write_bytes(b"not it")
    ctl("template", "export", "small", 1, tmp_path / "a")
    assert "damaged" in ctl.said and sha256(tmp_path / "a/disk.qcow2") == sha256(version / "disk.qcow2")
    fake.damaged = True
    assert "checksum" in ctl("template", "export", "small", 1, tmp_path / "b", status=1)
    assert not (tmp_path / "b/manifest.json").exists() and not (tmp_path / "b/disk.qcow2").exists()


# -- what is seen -----------------------------------------------------------------------------------


def test_a_bar_on_a_terminal_and_lines_without(ctl, fake, version):
    fake.chunk = 4 * KIB
    ctl("template", "import", version)
    assert "\r" not in ctl.said and "\033" not in ctl.said and "disk.qcow2  300.0 KiB in" in ctl.said
    words = " ".join(shlex.quote(str(word)) for word in ("template", "import", version, "--name", "seen"))
    line = f"stty cols 100; {shlex.quote(str(ctl.program))} {words}"
    done = subprocess.run(["script", "-qec", line, "/dev/null"], capture_output=True, check=True, stdin=subprocess.DEVNULL,
                          env={**ctl.environment, "TERM": "xterm"}, timeout=60)
    seen = done.stdout.decode()
    assert "\rdisk.qcow2  [" in seen and "%" in seen
    assert max(len(part) for part in seen.replace("\n", "\r").split("\r")) <= 100 + len("\033[K")


def test_a_server_that_stays_away_is_given_up(ctl, fake, version):
    fake.stop()
    begun = time.monotonic()
    running = ctl.start("template", "import", version)
    try:
        time.sleep(2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(5) == 128 + signal.SIGTERM and time.monotonic() - begun < 10
        assert "trying again" in running.stdout.read()
    finally:
        running.stdout.close()
        fake.start()


@pytest.mark.parametrize("line, words", [
    ("usherctl templ", ["template"]),
    ("usherctl template ", ["build", "import", "versions", "publish", "rollback", "retire", "export"]),
    ("usherctl template publish ", []),
    ("usherctl template build t", ["tiny"]),
    ("usherctl template publish small ", ["1"]),
    ("usherctl template import --fir", ["--firmware"]),
    ("usherctl template import x --firmware ", ["bios", "uefi"]),
    ("usherctl get template-v", ["template-version"]),
])
def test_completion(ctl, version, tmp_path, line, words):
    ctl("template", "import", version)
    (tmp_path / "completion").write_text(ctl("completion", "bash"))
    done = subprocess.run(["bash", "-c", f"""
        PATH={ctl.program.parent}:$PATH
        . {tmp_path}/completion
        COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        [[ "{line}" != *" " ]] || {{ COMP_WORDS+=(""); COMP_CWORD=$((COMP_CWORD + 1)); }}
        _usherctl; printf '%s\n' "${{COMPREPLY[@]}}" """], cwd=tmp_path / "home", capture_output=True, text=True,
                          check=True, env=ctl.environment)
    assert done.stdout.split() == words and "compdef" in ctl("completion", "zsh")
