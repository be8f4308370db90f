"""The AppArmor files of packaging/apparmor compile inside libvirt's own profiles. Whether they hold, only a kernel with AppArmor can show."""
import subprocess

from harness.stack import SOURCE


def test_apparmor_takes_them():
    tried = subprocess.run([SOURCE / "packaging/apparmor/check"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr


def test_and_would_refuse_others(tmp_path):
    for name in ("check", "usher-libvirtd"):
        (tmp_path / name).write_bytes((SOURCE / "packaging/apparmor" / name).read_bytes())
    (tmp_path / "check").chmod(0o755)
    (tmp_path / "usher-emulator").write_text("  /usr/libexec/usher/usher-emulator no-such-mode,\n")
    assert subprocess.run([tmp_path / "check"], capture_output=True, check=False).returncode != 0
