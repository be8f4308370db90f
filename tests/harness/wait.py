"""Waiting by asking, never by sleeping for a guess."""
import time


class TooLate(AssertionError):
    """What was waited for did not come."""


def wait_until(condition, seconds, what, interval=0.1):
    """Asks `condition` until it gives something true, which is returned; TooLate with its last answer."""
    until = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > until:
            raise TooLate(f"not within {seconds} s: {what} (last answer: {answer!r})")
        time.sleep(interval)
