"""Results in pages: their sizes, continuation by other clients, feed ranges."""

from cosmosdb.checks import DEVICES, FOUR_RANGES, check, fails, fill
from runner import equal

COUNT = 240
_filled = set()


def full(sdk):
    if sdk.kind not in _filled:
        c = sdk.container("pages", FOUR_RANGES)
        fill(c, [{"id": f"{i}", "deviceId": DEVICES[i % len(DEVICES)], "n": i, "half": i // 2} for i in range(COUNT)])
        _filled.add(sdk.kind)
    return sdk.opened("pages")


@check("pages of one logical partition, each by a new client")
def _(sdk):
    seen, token, n = [], None, 0
    full(sdk)
    while n == 0 or token:
        items = full(sdk).query_items("SELECT * FROM c WHERE c.n >= 0 ORDER BY c.n DESC", partition_key=DEVICES[0], max_item_count=7)
        pages = items.by_page(token)
        page = [d["n"] for d in next(pages)]
        assert len(page) <= 7, page
        seen += page
        token = pages.continuation_token
        n += 1
    equal(seen, list(reversed(range(0, COUNT, len(DEVICES)))))
    assert 6 <= n <= 7, n


@check("pages over all ranges, each by a new client")
def _(sdk):
    seen, token, n = [], None, 0
    while n == 0 or token:
        pages = sdk.query(full(sdk), "SELECT VALUE c.n FROM c WHERE c.n >= 40", max_item_count=33).by_page(token)
        page = list(next(pages))
        assert len(page) <= 33, page
        seen += page
        token = pages.continuation_token
        n += 1
    equal(sorted(seen), list(range(40, COUNT)))


@check("sorted pages over all ranges")
def _(sdk):
    c = full(sdk)
    pages = [list(page) for page in sdk.query(c, "SELECT VALUE c.n FROM c ORDER BY c.n DESC", max_item_count=17).by_page()]
    equal(sum(pages, []), list(reversed(range(COUNT))))
    assert all(len(p) <= 17 for p in pages)
    equal(list(sdk.query(c, "SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 30 LIMIT 100", max_item_count=9)), list(range(30, 130)))
    equal(list(sdk.query(c, "SELECT TOP 90 VALUE c.n FROM c ORDER BY c.n", max_item_count=9)), list(range(90)))


@check("distinct values over all ranges")
def _(sdk):
    c = full(sdk)
    equal(sorted(sdk.query(c, "SELECT DISTINCT VALUE c.half FROM c", max_item_count=10)), list(range(COUNT // 2)))
    equal(list(sdk.query(c, "SELECT DISTINCT VALUE c.half FROM c ORDER BY c.half DESC", max_item_count=10)),
          list(reversed(range(COUNT // 2))))


@check("queries of feed ranges")
def _(sdk):
    c = full(sdk)
    seen = []
    for feed_range in c.read_feed_ranges():
        got = list(c.query_items("SELECT VALUE c.n FROM c", feed_range=feed_range, max_item_count=25))
        assert got, "an empty range"
        seen += got
    equal(sorted(seen), list(range(COUNT)))
    mine = c.feed_range_from_partition_key(DEVICES[3])
    equal(sorted(c.query_items("SELECT VALUE c.n FROM c", feed_range=mine)), list(range(3, COUNT, len(DEVICES))))


@check("a query's charge and metrics")
def _(sdk):
    c = full(sdk)
    headers = []
    options = {"populate_query_metrics": True, "populate_index_metrics": True,
               "response_hook": lambda h, _: headers.append(h)}
    equal([d["n"] for d in c.query_items("SELECT * FROM c WHERE c.n = 6", partition_key=DEVICES[0], **options)], [6])
    assert float(headers[0]["x-ms-request-charge"]) >= 2, headers[0]["x-ms-request-charge"]
    assert "retrievedDocumentCount" in headers[0]["x-ms-documentdb-query-metrics"], headers[0]


@check("a continuation that is none")
def _(sdk):
    c = full(sdk)
    fails(400, lambda: next(c.query_items("SELECT * FROM c", partition_key=DEVICES[0]).by_page("not one of yours")))
