"""The change feed: by partition key, by feed range, of the whole container."""

import datetime
import time

from cosmosdb.checks import DEVICES, FOUR_RANGES, check, fails, fill
from runner import equal


def doc(i, n=None):
    return {"id": f"{i}", "deviceId": DEVICES[i % len(DEVICES)], "n": i if n is None else n}


def full(sdk, name, n=60):
    c = sdk.container(name, FOUR_RANGES)
    fill(c, [doc(i) for i in range(n)])
    return c


def read(c, **options):
    """What is new, and the continuation behind it."""
    got = [d for page in c.query_items_change_feed(**options).by_page() for d in page]
    # The iterator forgets it if the last answer was that there is nothing new.
    return got, c.client_connection.last_response_headers["etag"]


def numbers(docs):
    return sorted(d["n"] for d in docs)


@check("from the beginning, and on from there by another client")
def _(sdk):
    c = full(sdk, "whole")
    got, token = read(c, start_time="Beginning", max_item_count=7)
    equal(numbers(got), list(range(60)))
    assert all(d["_lsn"] > 0 for d in got)
    c.replace_item("1", doc(1, 101))
    c.patch_item("2", DEVICES[2], [{"op": "set", "path": "/n", "value": 102}])
    c.delete_item("3", DEVICES[3])
    c.create_item(doc(60))
    got, token = read(sdk.opened("whole"), continuation=token)
    equal(numbers(got), [60, 101, 102])
    equal(read(sdk.opened("whole"), continuation=token)[0], [])


@check("only the latest version of an item")
def _(sdk):
    c = sdk.container("latest")
    for n in range(5):
        c.upsert_item({"id": "1", "deviceId": "d1", "n": n})
    equal(numbers(read(c, start_time="Beginning")[0]), [4])


@check("from now")
def _(sdk):
    c = full(sdk, "now", 12)
    got, token = read(c, start_time="Now")
    equal(got, [])
    c.upsert_item(doc(5, 500))
    c.upsert_item(doc(60))
    equal(numbers(read(c, continuation=token)[0]), [60, 500])


@check("from a time")
def _(sdk):
    c = full(sdk, "time", 6)
    time.sleep(2.1)  # the header has whole seconds
    since = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    c.upsert_item(doc(1, 100))
    equal(numbers(read(c, start_time=since)[0]), [100])


@check("of a partition key, in order")
def _(sdk):
    c = full(sdk, "key")
    for i in (12, 0, 6):
        c.upsert_item(doc(i, i + 1000))
    got, token = read(c, start_time="Beginning", partition_key=DEVICES[0], max_item_count=3)
    equal([d["n"] for d in got[-3:]], [1012, 1000, 1006])
    equal({d["deviceId"] for d in got}, {DEVICES[0]})
    equal(len(got), 10)
    c.upsert_item(doc(1, 1))  # another key of the same range
    c.upsert_item(doc(18, 1018))
    equal(numbers(read(c, continuation=token)[0]), [1018])


@check("of each feed range")
def _(sdk):
    c = full(sdk, "ranges")
    ranges = list(c.read_feed_ranges())
    equal(len(ranges), 4)
    everything = []
    for feed_range in ranges:
        got, _ = read(c, start_time="Beginning", feed_range=feed_range, max_item_count=4)
        assert got, "an empty range"
        lsns = [d["_lsn"] for d in got]
        equal(lsns, sorted(lsns))
        everything += got
    equal(numbers(everything), list(range(60)))


@check("all versions and deletes are refused")
def _(sdk):
    c = sdk.container("versions")
    fails(400, lambda: list(c.query_items_change_feed(mode="AllVersionsAndDeletes", start_time="Now")))
