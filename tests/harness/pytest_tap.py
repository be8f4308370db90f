"""A pytest plugin: each test one TAP line as it ends, and a time limit for each.

    PYTHONPATH=tests /usr/bin/python3 -m pytest -q --tb=no -rN -p harness.pytest_tap tests/integration/...

`@pytest.mark.limit(90)` gives a test another limit than 60 s (for the test itself, its fixtures aside)."""
import signal
import sys

import pytest

DEFAULT_LIMIT_S = 60


class Late(Exception):
    """The test was still running at its limit."""


def interrupted(_number, _frame):
    raise KeyboardInterrupt  # so that fixtures are ended: what was started must not stay


def pytest_configure(config):
    signal.signal(signal.SIGTERM, interrupted)
    config.addinivalue_line("markers", "limit(seconds): the time the test itself may take")
    config.pluginmanager.register(Plugin(), "usher-tap")


def say(text):
    # Past pytest's capturing: the line must not wait for the test's own output.
    sys.__stdout__.write(text + "\n")
    sys.__stdout__.flush()


def reason_of(report):
    longrepr = report.longrepr
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).replace("\n", " ")


class Plugin:
    def __init__(self):
        self.number = 0

    def pytest_collection_finish(self, session):
        say(f"1..{len(session.items)}")

    def pytest_collectreport(self, report):
        if report.failed:
            say(str(report.longrepr))
            say(f"not ok - {report.nodeid} cannot be read")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report):
        return report.outcome, "", ""  # no dots between our lines

    def pytest_runtest_logreport(self, report):
        if report.passed and report.when != "call":
            return
        self.number += 1
        name = f"{self.number} - {report.nodeid}".replace("#", "\\#")
        if report.failed:
            say(report.longreprtext)
            for title, text in report.sections:
                say(f"---- {title}\n{text}")
            say(f"not ok {name} [{report.when}, {report.duration:.1f} s]")
        elif report.skipped:
            say(f"ok {name} # SKIP {reason_of(report)}")
        else:
            say(f"ok {name} [{report.duration:.1f} s]")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        mark = item.get_closest_marker("limit")
        limit = mark.args[0] if mark else DEFAULT_LIMIT_S

        def late(_number, _frame):
            raise Late(f"still running after {limit} s")

        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, limit)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
