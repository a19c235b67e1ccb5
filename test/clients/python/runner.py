"""Runs checks one after the other and prints a line for each: "ok NAME" or
"FAIL NAME: DETAIL". The last line is "done N", so that what ended early is not
taken for what passed."""

import os
import re
import sys
import threading
import time
import traceback

_checks = []
_closers = []


def need(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set")
    return value


def check(name, seconds=180):
    """Adds a function to the checks."""

    def add(function):
        _checks.append((name, function, seconds))
        return function

    return add


def closing(client):
    """Has client.close() called when the check is over."""
    _closers.append(client)
    return client


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what + ': ' if what else ''}{short(got)}, want {short(want)}")


def short(value):
    text = repr(value)
    return text if len(text) < 400 else f"{text[:400]}... ({len(text)})"


def fails(kind, pattern, function, *args, **options):
    """Asserts that a call raises an error of a kind whose text has a pattern."""
    try:
        value = function(*args, **options)
    except Exception as err:
        return is_error(err, kind, pattern)
    raise AssertionError(f"no error but {short(value)}")


def is_error(err, kind, pattern):
    if not isinstance(err, kind):
        raise AssertionError(f"{type(err).__name__}: {err}, want {kind.__name__}") from err
    if not re.search(pattern, str(err)):
        raise AssertionError(f"{err}, want something like {pattern}") from err
    return err


def _run_within(function, seconds):
    problem = []

    def run():
        try:
            function()
        except BaseException as err:
            problem.append(err)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        stack = sys._current_frames().get(thread.ident)
        where = "".join(traceback.format_stack(stack)[-3:]) if stack else ""
        return AssertionError(f"not done after {seconds} s, at {where}")
    return problem[0] if problem else None


def run_all(pattern):
    only = re.compile(pattern) if pattern else None
    failed = ran = 0
    for name, function, seconds in _checks:
        if only and not only.search(name):
            continue
        ran += 1
        started = time.monotonic()
        problem = _run_within(function, seconds)
        to_close = list(reversed(_closers))
        _closers.clear()
        for client in to_close:
            trouble = _run_within(client.close, 30)
            problem = problem or trouble
        if problem:
            failed += 1
            text = "".join(traceback.format_exception(problem)).strip()
            print(f"FAIL {name}: " + re.sub(r"\s*\n\s*", " | ", text)[-1500:], flush=True)
        else:
            print(f"ok {name} ({(time.monotonic() - started) * 1000:.0f} ms)", flush=True)
    print(f"done {ran}", flush=True)
    # Threads of clients that a failed check left behind do not keep it alive.
    os._exit(1 if failed else 0)
