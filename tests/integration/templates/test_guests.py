"""What is inside the guests, on QEMU alone: forks become machines of their own, and a data disk is mounted, never eaten."""
import base64
import json
import os
import subprocess
import time

import pytest

from harness.guest import Guest
from harness.stack import tiny_templates
from harness.wait import wait_until

BOOT_S = 120
MIB = 1 << 20


@pytest.fixture(scope="module")
def tiny():
    return tiny_templates() / "tiny/1"


def told(name, **members):
    return {"hostname": name, "machine_id": os.urandom(16).hex(), "user": "alice", "time": time.time(),
            "seed": base64.b64encode(os.urandom(64)).decode(), **members}


def identity(guest, document):
    return guest.run("/usr/lib/usher/identity", input=json.dumps(document), words=[])


@pytest.fixture(scope="module")
def forks(tiny, tmp_path_factory):
    """Two forks of one tiny, running, and what each was told. Their generation IDs are their parent's: what they differ in is
    identity's own doing."""
    with Guest(tiny, tmp_path_factory.mktemp("forks"), "parent", genid="12345678-1234-1234-1234-123456789abc") as parent:
        parent.wait_agent(BOOT_S)
        made = parent.fork(["one", "two"])
    documents = {}
    try:
        for fork in made:
            fork.start()
            fork.go_on()
            fork.plug_network()
            documents[fork.name] = told(fork.name)
            answer = identity(fork, documents[fork.name])
            assert (answer.status, answer.err) == (0, "")
            assert abs(float(fork.run("date +%s").out) - time.time()) < 5
        yield made, documents
    finally:
        for fork in made:
            fork.stop()


@pytest.mark.limit(400)
def test_forks_are_what_they_were_told(forks):
    for fork in forks[0]:
        document = forks[1][fork.name]
        assert fork.run("hostname; cat /etc/hostname /etc/machine-id").out.split() == [fork.name, fork.name, document["machine_id"]]
        record = json.loads(fork.run("cat /run/usher/identity").out)
        assert record == {**{key: document[key] for key in ("hostname", "machine_id", "user")}, "time": pytest.approx(document["time"])}


def test_forks_have_random_numbers_of_their_own(forks):
    one, two = (fork.run("head -c 32 /dev/urandom | od -An -v -tx1").out for fork in forks[0])
    assert len(one) > 64
    assert one != two


def test_a_card_plugged_in_gets_an_address_and_asks_under_the_new_name(forks):
    for fork in forks[0]:
        wait_until(lambda fork=fork: "inet 10.0.2." in fork.run("ip -4 addr show").out, 30, "an address by DHCP")
        wait_until(lambda fork=fork: [line for line in fork.run("ps").out.splitlines() if f"hostname:{fork.name} " in line], 30,
                   "the lease is asked for by its name")
        assert "hostname:parent" not in fork.run("ps").out


def test_a_malformed_document_is_refused_inside(forks):
    answer = identity(forks[0][0], told("two words"))
    assert answer.status == 1
    assert "hostname: must be" in answer.err
    assert forks[0][0].run("hostname").out.strip() == "one"


def data_disk(path, mib=64):
    with open(path, "wb") as file:
        file.truncate(mib * MIB)
    return path


def drive(path):
    return ["-drive", f"file={path},if=none,id=data,format=raw", "-device", "virtio-blk-pci,drive=data,serial=usher-data"]


def mounted(guest):
    return [line.split()[0] for line in guest.run("cat /proc/mounts").out.splitlines() if line.split()[1] == "/home"]


@pytest.mark.limit(400)
def test_a_blank_disk_is_formatted_once_and_kept(tiny, tmp_path):
    path = data_disk(tmp_path / "data.raw")
    with Guest(tiny, tmp_path, "first", devices=drive(path)) as guest:
        guest.wait_agent(BOOT_S)
        assert mounted(guest) == ["/dev/vdb"]
        assert guest.run("cd /home; echo kept > file; sync").status == 0
    assert subprocess.run(["blkid", "-p", "-s", "TYPE", "-s", "LABEL", "-o", "value", path], capture_output=True, text=True,
                          check=True).stdout.split() == ["usher-data", "ext4"]
    with Guest(tiny, tmp_path, "second", devices=drive(path)) as guest:
        guest.wait_agent(BOOT_S)
        assert mounted(guest) == ["/dev/vdb"]
        assert guest.run("cd /home; cat file").out == "kept\n"


@pytest.mark.limit(400)
def test_a_disk_plugged_in_is_mounted_and_one_half_made_is_made_anew(tiny, tmp_path):
    path = data_disk(tmp_path / "data.raw")
    with open(path, "r+b") as file: # as when the power went while the file system was made
        file.seek(5 * MIB)
        file.write(b"tables of a file system that was never finished")
        file.seek(64 * MIB - 4096)
        file.write(b"usher-data-is-being-formatted")
    with Guest(tiny, tmp_path, "plugged") as guest:
        guest.wait_agent(BOOT_S)
        assert mounted(guest) == []
        guest.qmp("blockdev-add", driver="raw", node_name="data", file={"driver": "file", "filename": str(path)})
        guest.qmp("device_add", driver="virtio-blk-pci", drive="data", id="datadisk", bus="port1", serial="usher-data")
        try:
            wait_until(lambda: mounted(guest) == ["/dev/vdb"], 30, "it is mounted")
        except AssertionError as error:
            seen = guest.run("ps | grep -v '\\['; cat /proc/partitions /sys/block/vd*/serial; ls -d /run/*; dmesg | tail -5; sh -x /usr/lib/usher/data-disk 2>&1")
            raise AssertionError(f"{error}\n{seen.out}") from None
    assert path.read_bytes()[-4096:] == bytes(4096)


def foreign(offset, octets):
    def write(file):
        file.seek(offset)
        file.write(octets)
    return write


@pytest.mark.limit(400)
@pytest.mark.parametrize("write", [
    foreign(0, b"LUKS\xba\xbe"), foreign(700000, b"x"), foreign(64 * MIB - 512, b"EFI PART"), foreign(64 * MIB - 4096, b"usher-data-is-being"),
], ids=["head", "somewhere", "tail", "almost"])
def test_a_disk_with_anything_on_it_is_left_as_it_is(tiny, tmp_path, write):
    path = data_disk(tmp_path / "data.raw")
    with open(path, "r+b") as file:
        write(file)
    before = path.read_bytes()
    with Guest(tiny, tmp_path, "foreign", devices=drive(path)) as guest:
        guest.wait_agent(BOOT_S)
        assert mounted(guest) == []
        answer = guest.run("/usr/lib/usher/data-disk")
        assert answer.status == 1
        assert "/dev/vdb" in answer.err
    assert path.read_bytes() == before
