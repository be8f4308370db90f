"""Every header compiles alone. Needs a configured build directory for config.h."""
import concurrent.futures
import os
import subprocess

PACKAGES = ("glib-2.0 gio-2.0 gio-unix-2.0 jansson openssl libsodium libsoup-3.0 libpq ldap libvirt libvirt-qemu yaml-0.1 "
            "libseccomp cmocka").split()
FLAGS = ("-std=gnu11 -D_GNU_SOURCE -DG_LOG_USE_STRUCTURED -DUSHER_FAULT_POINTS=1 -fsyntax-only -Wall -Wextra -Werror "
         "-Wno-unused-parameter -Wno-unused-function").split()


def package_flags():
    return subprocess.run(["pkg-config", "--cflags", *PACKAGES], capture_output=True, text=True, check=True).stdout.split()


def compile_alone(tree, name, flags):
    # From standard input, so that #pragma once is not «in the main file».
    command = ["cc", *FLAGS, *flags, f"-I{tree.root}", "-x", "c", "-"]
    done = subprocess.run(command, input=f'#include "{name}"\n', capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    return f"{name}: does not compile alone: {lines[0] if lines else done.returncode}" if done.returncode else None


def check(tree, build=None):
    flags = package_flags() + ([f"-I{os.path.abspath(build)}"] if build else [])
    names = [name for name in tree.named(".h") if not name.startswith("tests/")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for problem in pool.map(lambda name: compile_alone(tree, name, flags), names) if problem]
