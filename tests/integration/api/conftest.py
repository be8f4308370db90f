import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from alone import Alone  # noqa: E402


@pytest.fixture(scope="module")
def alone():
    with Alone() as running:
        yield running
    assert running.exit_status == 0
