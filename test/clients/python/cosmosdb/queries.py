"""The query language: every entry of queries.json, within one logical partition
and over four physical ranges, in one page and in many."""

import json
import os
import re

from azure.cosmos.exceptions import CosmosHttpResponseError

from cosmosdb.checks import FOUR_RANGES, check, in_order, same
from runner import equal

with open(os.path.join(os.path.dirname(__file__), "..", "..", "queries.json"), encoding="utf-8") as f:
    _DATA = json.load(f)


def _order(*paths):
    return [{"path": p, "order": o} for p, o in paths]


# Sorting by several properties needs these at the service.
INDEXING = {
    "includedPaths": [{"path": "/*"}], "excludedPaths": [],
    "compositeIndexes": [
        _order(("/type", "ascending"), ("/n", "descending")),
        _order(("/type", "descending"), ("/value", "ascending"), ("/n", "descending")),
        _order(("/value", "ascending"), ("/n", "ascending")),
        _order(("/nested/x", "descending"), ("/n", "ascending")),
    ],
}

_filled = set()


def containers(sdk):
    """The same documents twice: all under one key, and under keys in four ranges."""
    if sdk.kind not in _filled:
        client = sdk.connect()
        single = sdk.container("single", path="/tenant", indexing_policy=INDEXING, client=client)
        spread = sdk.container("spread", FOUR_RANGES, indexing_policy=INDEXING, client=client)
        for doc in _DATA["documents"]:
            single.create_item(doc)
            spread.create_item(doc)
        _filled.add(sdk.kind)
    client = sdk.connect()
    single, spread = sdk.opened("single", client), sdk.opened("spread", client)
    return [
        ("in one partition", single, {"partition_key": "t"}),
        ("in one partition, in pages of 2", single, {"partition_key": "t", "max_item_count": 2}),
        ("over all", spread, {}),
        ("over all, in pages of 2", spread, {"max_item_count": 2}),
    ]


def run(sdk, entry, where, container, options):
    if "max_item_count" in options and len(entry.get("want", ())) <= options["max_item_count"]:
        return
    parameters = [{"name": k, "value": v} for k, v in entry.get("parameters", {}).items()]
    # What the client itself refuses over several ranges is in "crossing".
    refusal = entry.get("fails") or (entry.get("crossing", {}).get("python") if where.startswith("over all") else None)
    try:
        got = list(sdk.query(container, entry["query"], parameters=parameters, **options))
    except (CosmosHttpResponseError, ValueError) as err:
        if not refusal or not re.search(refusal, str(err)):
            raise
        if "fails" in entry:
            equal(err.status_code, 400)
        return
    if refusal:
        raise AssertionError(f"not refused, but {got}")
    if re.search("ORDER BY", entry["query"]):
        same(got, entry["want"])
    else:
        same(in_order(got), in_order(entry["want"]))


def _add(group, entries):
    @check(group)
    def _(sdk):
        wrong = []
        for place in containers(sdk):
            for entry in entries:
                try:
                    run(sdk, entry, *place)
                except Exception as err:
                    wrong.append(f"{place[0]}: {entry['query']}: {type(err).__name__} {err}")
        if wrong:
            raise AssertionError(f"{len(wrong)} wrong:\n" + "\n".join(re.sub(r"\s+", " ", w) for w in wrong))


for _group, _entries in _DATA["groups"].items():
    _add(_group, _entries)
