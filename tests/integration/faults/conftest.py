"""One stack for each file of tests: they leave it as they found it."""
import pytest

from harness.stack import Stack


@pytest.fixture(scope="module")
def stack():
    with Stack() as running:
        yield running


@pytest.fixture(autouse=True)
def everything_runs(request):
    """A test that failed midway may have left a daemon dead: the next one must not suffer."""
    yield
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack").start_what_is_down()
