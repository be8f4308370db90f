"""The tiny template, built once for all tests of a build directory."""
import fcntl
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def build_dir():
    return pathlib.Path(os.environ.get("USHER_BUILD", SOURCE / "build"))


def tiny_templates():
    """A template directory that holds tiny/1. The recipe does nothing when it is there already."""
    directory = build_dir() / "templates-cache"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = subprocess.run([SOURCE / "templates/tiny/build", directory], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               check=False)
    if built.returncode != 0:
        raise RuntimeError(f"templates/tiny/build: {built.stdout}{built.stderr}")
    return directory
