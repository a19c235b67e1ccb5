"""Every place to start reading from."""

import datetime
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from azure.eventhub import EventData
from azure.eventhub.exceptions import EventHubError

from checks import QUICK, bodies, check, consumer, equal, is_error, producer, read, reading, send_all


@check("100,000 small events", seconds=420)
def _():
    each = 25_000

    def send(partition):
        send_all(producer("bulk"), (EventData(f"{partition}:{i}") for i in range(each)), partition_id=partition)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, "0123"))
    opened = Counter()
    r = reading(consumer("bulk"), None, prefetch=3000, watch=opened)
    got, missing = [], 4 * each
    while missing > 0:  # more than once if some come twice
        got = r.until(len(got) + missing, 300)
        missing = 4 * each - len({(p, e.sequence_number) for p, e in got})
    for partition in "0123":
        expected = 0
        for e in (e for p, e in got if p == partition):
            # A client that has had to open its link again, as it may on a slow
            # machine, begins behind what it has handed out: it repeats what it
            # had in its buffer. Otherwise each event comes once, in order.
            repeated = e.sequence_number < expected and opened[partition] > 1
            if not repeated:
                equal(e.sequence_number, expected, f"sequence number in {partition}")
                expected += 1
            equal(e.body_as_str(), f"{partition}:{e.sequence_number}", f"body in {partition}")
        equal(expected, each, f"events of {partition}")


_timeline = {}


def twenty():
    """Twenty events in a partition of their own, the second half later."""
    if not _timeline:
        client = producer("positions")
        client.send_batch([EventData(f"{i}") for i in range(10)], partition_id="0")
        time.sleep(1.5)
        _timeline["between"] = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=0.7)
        client.send_batch([EventData(f"{i}") for i in range(10, 20)], partition_id="0")
        _timeline["events"] = [e for _, e in read(consumer("positions"), "0", 20)]
        equal([e.sequence_number for e in _timeline["events"]], list(range(20)))
    return _timeline["between"], _timeline["events"]


def starts_with(first, start, inclusive=False):
    got = read(consumer("positions"), "0", 20 - first, start=start, inclusive=inclusive)
    equal(bodies(got), [str(i) for i in range(first, 20)])


@check("start at the earliest event")
def _():
    twenty()
    starts_with(0, "-1")


@check("start behind and at an offset")
def _():
    _, events = twenty()
    starts_with(5, events[4].offset)
    starts_with(4, events[4].offset, inclusive=True)


@check("start behind and at a sequence number")
def _():
    _, events = twenty()
    starts_with(8, events[7].sequence_number)
    starts_with(7, events[7].sequence_number, inclusive=True)


@check("start at a time")
def _():
    between, _ = twenty()
    starts_with(10, between)
    starts_with(0, datetime.datetime.fromtimestamp(1, datetime.timezone.utc))


@check("start with the latest: only what comes later")
def _():
    client = producer("later")
    client.send_batch([EventData("before")], partition_id="0")
    r = reading(consumer("later"), "0", start="@latest")
    # When it has begun to read shows only in what it gets.
    sent = 0
    while not r.events and sent < 600:
        client.send_batch([EventData(f"{sent}")], partition_id="0")
        sent += 1
        time.sleep(0.2)
    client.send_batch([EventData("after"), EventData("more")], partition_id="0")
    first = int(bodies(r.until(1))[0])
    want = [f"{i}" for i in range(first, sent)] + ["after", "more"]
    equal(bodies(r.until(len(want))), want)


@check("offsets beyond the end are refused")
def _():
    twenty()
    r = reading(consumer("positions", **QUICK), "0", start="999999")
    is_error(r.failure(), EventHubError, "supplied (offset|sequence number)")


@check("each consumer group reads for itself")
def _():
    twenty()
    for group in ("reports", "REPORTS", "$default"):
        equal(len(read(consumer("positions", group), "0", 20)), 20, group)


@check("the last enqueued event is known to readers that ask")
def _():
    _, events = twenty()
    r = reading(consumer("positions"), "0", track_last_enqueued_event_properties=True, batch=5)
    r.until(20)
    last = r.contexts[0].last_enqueued_event_properties
    equal((last["sequence_number"], last["offset"], last["enqueued_time"]),
          (events[19].sequence_number, events[19].offset, events[19].enqueued_time))
    age = datetime.datetime.now(datetime.timezone.utc) - last["retrieval_time"]
    assert abs(age) < datetime.timedelta(minutes=1), last
    r = reading(consumer("positions"), "0")
    r.until(1)
    equal(r.contexts[0].last_enqueued_event_properties, None)


@check("events arrive while nothing else happens")
def _():
    r = reading(consumer("later"), "1")
    client = producer("later")
    for i in range(5):
        time.sleep(0.3)
        client.send_batch([EventData(f"{i}")], partition_id="1")
    equal(bodies(r.until(5)), ["0", "1", "2", "3", "4"])
