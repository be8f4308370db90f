"""Two hundred people at once against libvirt's test driver: nobody is lost, no desktop is given twice."""
import collections
import concurrent.futures
import json
import threading
import time

import pytest

from harness.stack import Stack

PEOPLE = 200
NODE = """<node>
  <cpu><mhz>3000</mhz><model>x86_64</model><active>64</active><nodes>1</nodes><sockets>1</sockets><cores>64</cores><threads>1</threads></cpu>
  <memory>1073741824</memory>
</node>
"""


def fake_template(folder):
    """A version whose kernel nobody starts, ready as soon as it runs."""
    version = folder / "idle" / "1"
    version.mkdir(parents=True)
    for name in ("vmlinuz", "initrd.img"):
        (version / name).write_bytes(b"never started")
    (version / "manifest.json").write_text(json.dumps({
        "name": "idle", "version": 1, "disk": None,
        "boot": {"kernel": "vmlinuz", "initrd": "initrd.img", "cmdline": "quiet"},
        "machine": "pc-q35-7.2", "guest": "linux", "video": "qxl",
        "minimum": {"vcpus": 1, "ram_mib": 64}, "default": {"vcpus": 1, "ram_mib": 64},
        "ready": {"rule": "running", "timeout_s": 60}, "sealed": []}))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    names = [f"p{number:03d}" for number in range(PEOPLE)]
    (folder / "people.tsv").write_text("".join(f"{name}\tP\t{name}\t{name}-pass\tdesktop\n" for name in names)
                                       + "admin\tA\tAdmin\tadmin-demo\tadminister\n")
    (folder / "groups.tsv").write_text(f"desktop-users\t{' '.join(names)}\nusher-admins\tadmin\n")
    (folder / "node.xml").write_text(NODE)
    fake_template(folder)
    with Stack(brokers=2, libvirt_uri=f"test://{folder}/node.xml", templates=folder, people=folder / "people.tsv",
               groups=folder / "groups.tsv") as stack:
        stack.publish("big", template="idle", ram_mib=64, spares=PEOPLE // 4, maximum=PEOPLE)
        yield stack, names


@pytest.mark.limit(400)
def test_two_hundred_sign_in_and_connect_at_once(crowd):
    stack, names = crowd
    begin = threading.Barrier(PEOPLE)

    def one(number):
        name = names[number]
        client = stack.client(source=f"127.0.{1 + number // 200}.{1 + number % 200}", timeout=120)
        begin.wait(60)
        for _ in range(60):
            answer = client.sign_in(name, f"{name}-pass")
            if answer.status not in (429, 503):
                break
            time.sleep(min(int(answer.headers["Retry-After"]), 2))
        assert answer.status == 200, (name, answer)
        offer = client.connect("big", seconds=300)
        return name, offer

    with concurrent.futures.ThreadPoolExecutor(PEOPLE) as pool:
        results = list(pool.map(one, range(PEOPLE)))
    assert len(results) == PEOPLE
    desktops = collections.Counter(offer["desktop"]["id"] for _, offer in results)
    assert len(desktops) == PEOPLE, f"given twice: {[one for one, count in desktops.items() if count > 1]}"
    assert len({offer["ticket"] for _, offer in results}) == PEOPLE
    assert len({offer["session"] for _, offer in results}) == PEOPLE
    rows = {row[0]: row[3] for row in stack.rows_of("big")}
    assert len(rows) == PEOPLE
    for name, offer in results:
        assert rows[offer["desktop"]["id"]] == name


@pytest.mark.limit(120)
def test_who_comes_back_gets_the_same_and_one_more_is_told_why(crowd):
    stack, names = crowd
    rows = {row[3]: row[0] for row in stack.rows_of("big")}
    for name in names[:5]:
        client = stack.client()
        assert client.sign_in(name, f"{name}-pass").status == 200
        assert client.connect("big")["desktop"]["id"] == rows[name]
    stack.admin().apply("entitlement", "admins", pool="big", user="admin")
    answer = stack.admin().post("/pools/big/connect", {"client": "spice"})
    assert answer.status == 503 and answer.error["code"] == "exhausted" and str(PEOPLE) in json.dumps(answer.error)
