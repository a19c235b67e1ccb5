"""The server goes away and comes back on the same directory, under clients that
stay. The test that started this program stops and starts the server when asked."""

import urllib.request

from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey

from cosmosdb.checks import DEVICES, FOUR_RANGES, check, fails, fill
from runner import equal, fails as raises, need


def control(verb):
    with urllib.request.urlopen(urllib.request.Request(f"{need('COSMOSDB_CONTROL')}/{verb}", method="POST"), timeout=60) as answer:
        answer.read()


def doc(i):
    return {"id": f"{i}", "deviceId": DEVICES[i % len(DEVICES)], "n": i}


@check("what was written is there after a restart, for the same client")
def _(sdk):
    db = sdk.connect(need("COSMOSDB_RESTARTED")).create_database(f"restart-{sdk.kind}")
    c = db.create_container("c", PartitionKey(path="/deviceId"), offer_throughput=FOUR_RANGES,
                            unique_key_policy={"uniqueKeys": [{"paths": ["/n"]}]})
    fill(c, [doc(i) for i in range(60)])
    c.delete_item("7", doc(7)["deviceId"])
    etag = c.patch_item("8", doc(8)["deviceId"], [{"op": "set", "path": "/text", "value": "patched"}])["_etag"]

    def ordered(**options):
        return c.query_items("SELECT VALUE c.n FROM c ORDER BY c.n", **options)

    def feed(**options):
        got = [d["n"] for page in c.query_items_change_feed(**options).by_page() for d in page]
        return sorted(got), c.client_connection.last_response_headers["etag"]

    one = {"partition_key": DEVICES[0], "max_item_count": 9}
    pages = ordered(**one).by_page()
    first, token = list(next(pages)), pages.continuation_token
    changed, place = feed(start_time="Beginning")
    equal(len(changed), 59)
    control("stop")
    raises((AzureError, OSError), "", c.read_item, "8", doc(8)["deviceId"], timeout=1)
    control("start")

    read = c.read_item("8", doc(8)["deviceId"])
    equal((read["text"], read["_etag"]), ("patched", etag))
    fails(404, c.read_item, "7", doc(7)["deviceId"])
    equal(sorted(d["n"] for d in c.read_all_items()), [i for i in range(60) if i != 7])
    rest = [n for page in ordered(**one).by_page(token) for n in page]
    equal(first + rest, list(range(0, 60, len(DEVICES))))
    equal(feed(continuation=place)[0], [])
    c.upsert_item({**doc(2), "again": True})
    equal(feed(continuation=place)[0], [2])
    fails(409, c.create_item, {**doc(6), "id": "another"})
    equal(c.get_throughput().offer_throughput, FOUR_RANGES)
    equal(len(list(c.read_feed_ranges())), 4)
