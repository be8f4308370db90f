"""The answer files for Windows, as far as they can be tested without Windows: well-formed, in the passes and components that Windows
knows, with paths that the other files have, and without a secret."""
import re
import subprocess
import xml.etree.ElementTree as tree

import pytest

from harness.stack import SOURCE

FOLDER = SOURCE / "templates/windows"
NAMESPACE = "{urn:schemas-microsoft-com:unattend}"
# The pass each component may be configured in (Microsoft's reference of unattended settings).
PASSES = {
    "Microsoft-Windows-International-Core-WinPE": {"windowsPE"},
    "Microsoft-Windows-PnpCustomizationsWinPE": {"windowsPE"},
    "Microsoft-Windows-Setup": {"windowsPE"},
    "Microsoft-Windows-PnpSysprep": {"generalize"},
    "Microsoft-Windows-Deployment": {"specialize", "auditUser", "auditSystem", "generalize", "oobeSystem"},
    "Microsoft-Windows-TerminalServices-LocalSessionManager": {"offlineServicing", "specialize", "generalize"},
    "Microsoft-Windows-International-Core": {"specialize", "oobeSystem"},
    "Microsoft-Windows-Shell-Setup": {"offlineServicing", "specialize", "generalize", "auditSystem", "oobeSystem"},
}
FILES = ["autounattend.xml", "sysprep.xml"]


def root(name):
    return tree.parse(FOLDER / name).getroot()


@pytest.mark.parametrize("name", FILES)
def test_answer_files_are_well_formed(name):
    subprocess.run(["xmllint", "--noout", "--nonet", FOLDER / name], check=True)
    assert root(name).tag == f"{NAMESPACE}unattend"


@pytest.mark.parametrize("name", FILES)
def test_components_are_in_passes_that_have_them(name):
    seen = 0
    for settings in root(name).findall(f"{NAMESPACE}settings"):
        for component in settings.findall(f"{NAMESPACE}component"):
            assert settings.get("pass") in PASSES[component.get("name")], component.get("name")
            assert component.get("processorArchitecture") == "amd64"
            assert component.get("publicKeyToken") == "31bf3856ad364e35"
            seen += 1
    assert seen > 3


@pytest.mark.parametrize("name", FILES)
def test_no_secret_is_in_them(name):
    for element in root(name).iter():
        tag = element.tag.removeprefix(NAMESPACE)
        assert tag != "ProductKey"
        if tag == "Value" and element.text:
            assert element.text == "Windows 11 Pro"


def test_the_builder_is_removed_from_clones():
    made = {element.text for element in root("autounattend.xml").iter(f"{NAMESPACE}Name")}
    removed = {match[1] for element in root("sysprep.xml").iter(f"{NAMESPACE}Path")
               if (match := re.fullmatch(r"net user (\w+) /delete", element.text))}
    assert made == removed == {"builder"}


def test_scripts_name_files_that_are_there():
    setup = (FOLDER / "setup.ps1").read_text()
    for name in re.search(r"foreach \(\$name in ([^)]*)\)", setup)[1].replace("'", "").split(", "):
        assert (FOLDER / name).is_file(), name
    assert "C:\\Usher\\identity.ps1" in (FOLDER / "identity.cmd").read_text()
    assert "$UsherFolder\\sysprep.xml" in setup
    # The same document as the Linux guests' program.
    document = (SOURCE / "templates/guest/document.h").read_text()
    members = re.findall(r"'(\w+)'", re.search(r"foreach \(\$member in ([^)]*)\)", (FOLDER / "identity.ps1").read_text())[1])
    assert members == re.findall(r'"(\w+)":', document.splitlines()[2])


@pytest.mark.parametrize("name", ["setup.ps1", "identity.ps1"])
def test_brackets_are_balanced(name):
    """No PowerShell is here to parse it; a bracket too few would stop it at once."""
    text = re.sub(r"(?m)#.*$|'[^'\n]*'", "", (FOLDER / name).read_text())
    for left, right in ("()", "{}", "[]"):
        assert text.count(left) == text.count(right), left
