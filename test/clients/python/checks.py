"""Runs checks one after the other and prints a line for each: "ok NAME" or
"FAIL NAME: DETAIL". The last line is "done N", so that what ended early is not
taken for what passed."""

import os
import re
import sys
import threading
import time
import traceback

from azure.eventhub import EventHubConsumerClient, EventHubProducerClient


def need(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set")
    return value


CONNECTION = need("EVENTHUB_CONNECTION_STRING")
# Makes mistakes come back instead of being repeated.
QUICK = {"retry_total": 0}

_checks = []
_closers = []


def check(name, seconds=60):
    """Adds a function to the checks."""

    def add(function):
        _checks.append((name, function, seconds))
        return function

    return add


def closing(client):
    """Has client.close() called when the check is over."""
    _closers.append(client)
    return client


def producer(hub, conn=CONNECTION, **options):
    return closing(EventHubProducerClient.from_connection_string(conn, eventhub_name=hub, **options))


def consumer(hub, group="$Default", conn=CONNECTION, **options):
    return closing(EventHubConsumerClient.from_connection_string(conn, group, eventhub_name=hub, **options))


def send_all(client, events, **options):
    """Sends events in as few batches as they fit in and returns how many."""
    n = 0
    batch = client.create_batch(**options)
    for event in events:
        try:
            batch.add(event)
        except ValueError:
            client.send_batch(batch)
            n += 1
            batch = client.create_batch(**options)
            batch.add(event)
    if len(batch) > 0:
        client.send_batch(batch)
        n += 1
    return n


class Reading:
    """Reads a partition, or all for None, in a thread of its own."""

    def __init__(self, client, partition, start="-1", inclusive=False, batch=1000, **options):
        self.events = []  # (partition, event)
        self.contexts = []
        self.error = None
        self._news = threading.Condition()
        self._client = client
        if partition is not None:
            options["partition_id"] = partition
        self._thread = threading.Thread(
            target=self._run,
            kwargs=dict(starting_position=start, starting_position_inclusive=inclusive, max_batch_size=batch, **options),
            daemon=True,
        )
        self._thread.start()

    def _run(self, **options):
        try:
            self._client.receive_batch(self._got, on_error=self._failed, max_wait_time=1, **options)
        except Exception as err:  # whatever ends it is what the check looks at
            self._failed(None, err)

    def _got(self, context, events):
        with self._news:
            self.contexts.append(context)
            self.events.extend((context.partition_id, e) for e in events)
            self._news.notify_all()

    def _failed(self, _, err):
        with self._news:
            self.error = self.error or err
            self._news.notify_all()

    def until(self, n, seconds=60):
        """Waits for n events and returns them, closing nothing."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.events) >= n or self.error, seconds):
                raise AssertionError(f"{len(self.events)} events after {seconds} s, want {n}")
            if len(self.events) < n:
                raise self.error
            return list(self.events)

    def failure(self, seconds=30):
        """Waits for the error that ends it."""
        with self._news:
            if not self._news.wait_for(lambda: self.error, seconds):
                raise AssertionError(f"no error after {seconds} s")
            return self.error

    def close(self):
        self._client.close()
        self._thread.join(20)


def reading(client, partition, **options):
    return closing(Reading(client, partition, **options))


def read(client, partition, n, seconds=60, **options):
    """The first n events, as (partition, event)."""
    r = Reading(client, partition, **options)
    try:
        return r.until(n, seconds)
    finally:
        r.close()


def bodies(events):
    return [e.body_as_str() for _, e in events]


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
