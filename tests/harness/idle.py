"""What a Stack needs to run on libvirt's test driver: desktops that run at once and do nothing, by the thousand.

    with Stack(**idle_libvirt(folder)) as stack:
        stack.publish("big", template="idle", ram_mib=64)
"""
import json

NODE = """<node>
  <cpu><mhz>3000</mhz><model>x86_64</model><active>64</active><nodes>1</nodes><sockets>1</sockets>
    <cores>64</cores><threads>1</threads></cpu>
  <memory>1073741824</memory>
</node>
"""


def idle_libvirt(folder):
    """Writes the machine and the template `idle` below `folder`; returns the Stack's arguments."""
    for path in (folder, *folder.parents):
        if path.stat().st_uid == 0 and not path.stat().st_mode & 0o001:
            path.chmod(0o755)
    (folder / "node.xml").write_text(NODE)
    version = folder / "idle" / "1"
    version.mkdir(parents=True)
    (version / "none").write_text("nothing looks into it\n")
    (version / "manifest.json").write_text(json.dumps({
        "name": "idle", "version": 1, "disk": None, "boot": {"kernel": "none", "initrd": "none", "cmdline": "-"},
        "machine": "pc-q35-7.2", "guest": "linux", "video": "qxl",
        "minimum": {"vcpus": 1, "ram_mib": 64}, "default": {"vcpus": 1, "ram_mib": 64},
        "ready": {"rule": "running", "timeout_s": 60}, "sealed": []}))
    return {"libvirt_uri": f"test://{folder}/node.xml", "templates": folder}
