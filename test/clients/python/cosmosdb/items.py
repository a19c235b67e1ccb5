"""Single items: what is written, read, changed, refused."""

import os
import re
import time

from azure.core import MatchConditions
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosResourceExistsError, CosmosResourceNotFoundError
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from cosmosdb.checks import FOUR_RANGES, SYSTEM, check, fails, plain, same
from runner import equal, fails as raises


@check("create, read, replace, upsert, delete")
def _(sdk):
    c = sdk.container("basics")
    doc = {"id": "1", "deviceId": "d1", "n": 1, "text": "é 漢 \U0001F600", "list": [1, None, {"a": []}], "big": 12345678901234, "small": 1.5e-9}
    created = c.create_item(doc)
    same(plain(created), doc)
    for p in SYSTEM[:5]:
        assert p in created, p
    assert abs(created["_ts"] - time.time()) < 120, created["_ts"]
    headers = created.get_response_headers()
    for h in ("x-ms-request-charge", "x-ms-activity-id", "x-ms-session-token", "etag"):
        assert headers.get(h), h
    equal(headers["etag"], created["_etag"])
    read = c.read_item("1", "d1")
    equal(dict(read), dict(created))
    equal(float(read.get_response_headers()["x-ms-request-charge"]), 1.0)
    replaced = c.replace_item("1", {"id": "1", "deviceId": "d1", "n": 2})
    equal(replaced["_rid"], created["_rid"])
    assert replaced["_etag"] != created["_etag"]
    equal(plain(c.read_item("1", "d1")), {"id": "1", "deviceId": "d1", "n": 2})
    c.upsert_item({"id": "1", "deviceId": "d1", "n": 3})
    c.upsert_item({"id": "2", "deviceId": "d1", "n": 4})
    equal([c.read_item(i, "d1")["n"] for i in "12"], [3, 4])
    c.delete_item("1", "d1")
    raises(CosmosResourceNotFoundError, "", c.read_item, "1", "d1")
    equal(c.read_item("2", "d1")["n"], 4)


@check("an id is made where there is none")
def _(sdk):
    c = sdk.container("made-ids")
    made = c.create_item({"deviceId": "d1"}, enable_automatic_id_generation=True)["id"]
    assert re.fullmatch("[0-9a-f-]{36}", made), made
    equal(c.read_item(made, "d1")["id"], made)
    fails(400, c.create_item, {"deviceId": "d1"})


@check("what is not there")
def _(sdk):
    c = sdk.container("missing")
    fails(404, c.read_item, "1", "d1")
    fails(404, c.replace_item, "1", {"id": "1", "deviceId": "d1"})
    fails(404, c.delete_item, "1", "d1")
    fails(404, c.patch_item, "1", "d1", [{"op": "set", "path": "/a", "value": 1}])
    fails(404, sdk.opened("no-such").create_item, {"id": "1", "deviceId": "d1"})
    fails(404, lambda: list(sdk.query(sdk.opened("no-such"), "SELECT * FROM c")))


@check("the same id twice")
def _(sdk):
    c = sdk.container("conflicts")
    c.create_item({"id": "1", "deviceId": "d1", "n": 1})
    raises(CosmosResourceExistsError, "already exists", c.create_item, {"id": "1", "deviceId": "d1", "n": 2})
    c.create_item({"id": "1", "deviceId": "d2"})
    equal(c.read_item("1", "d1")["n"], 1)


@check("unique keys")
def _(sdk):
    c = sdk.container("unique", unique_key_policy={"uniqueKeys": [{"paths": ["/eventId"]}, {"paths": ["/a", "/b/c"]}]})
    c.create_item({"id": "1", "deviceId": "d1", "eventId": "e1", "a": 1, "b": {"c": 1}})
    fails(409, c.create_item, {"id": "2", "deviceId": "d1", "eventId": "e1", "a": 2}, pattern="[Uu]nique")
    fails(409, c.create_item, {"id": "2", "deviceId": "d1", "eventId": "e2", "a": 1, "b": {"c": 1}})
    c.create_item({"id": "2", "deviceId": "d1", "eventId": "e2", "a": 1, "b": {"c": 2}})
    c.create_item({"id": "2", "deviceId": "d2", "eventId": "e1", "a": 1, "b": {"c": 1}})
    fails(409, c.replace_item, "2", {"id": "2", "deviceId": "d1", "eventId": "e1"})
    fails(409, c.upsert_item, {"id": "3", "deviceId": "d1", "eventId": "e2"})
    fails(409, c.patch_item, "2", "d1", [{"op": "set", "path": "/eventId", "value": "e1"}])
    c.upsert_item({"id": "1", "deviceId": "d1", "eventId": "e9"})
    c.create_item({"id": "4", "deviceId": "d1", "eventId": "e1", "a": 4})


@check("preconditions with ETags")
def _(sdk):
    c = sdk.container("etags")
    first = c.create_item({"id": "1", "deviceId": "d1", "n": 1})["_etag"]

    def if_match(etag):
        return {"etag": etag, "match_condition": MatchConditions.IfNotModified}

    second = c.replace_item("1", {"id": "1", "deviceId": "d1", "n": 2}, **if_match(first))["_etag"]
    raises(CosmosAccessConditionFailedError, "", c.replace_item, "1", {"id": "1", "deviceId": "d1", "n": 3}, **if_match(first))
    fails(412, c.upsert_item, {"id": "1", "deviceId": "d1", "n": 3}, **if_match(first))
    fails(412, c.patch_item, "1", "d1", [{"op": "set", "path": "/n", "value": 3}], **if_match(first))
    fails(412, c.delete_item, "1", "d1", **if_match(first))
    equal(c.read_item("1", "d1")["n"], 2)
    fails(412, c.replace_item, "1", {"id": "1", "deviceId": "d1"}, etag=second, match_condition=MatchConditions.IfModified)
    c.replace_item("1", {"id": "1", "deviceId": "d1", "n": 4}, match_condition=MatchConditions.IfPresent)
    c.delete_item("1", "d1", **if_match(c.read_item("1", "d1")["_etag"]))


@check("partition keys of every type")
def _(sdk):
    c = sdk.container("keys", path="/a/b")
    keys = ["text", "é 漢 \" \\ \n", "", 1, -1.5, 0, True, False]
    for i, b in enumerate(keys):
        c.create_item({"id": "same", "a": {"b": b}, "i": i})
    c.create_item({"id": "same", "a": {"b": None}, "i": "null"})
    c.create_item({"id": "same", "i": "none"})
    for want, key in [*enumerate(keys), ("null", NullPartitionKeyValue), ("none", NonePartitionKeyValue)]:
        equal(c.read_item("same", key)["i"], want, f"key {key!r}")
        equal(list(c.query_items("SELECT VALUE c.i FROM c", partition_key=key)), [want], f"query with key {key!r}")
    equal(len(list(c.read_all_items())), len(keys) + 2)


@check("hierarchical partition keys")
def _(sdk):
    c = sdk.container("hierarchical", path=["/tenant", "/user", "/session"])
    for tenant in "ab":
        for user in ("u1", "u2"):
            for session in (1, 2):
                c.create_item({"id": "1", "tenant": tenant, "user": user, "session": session, "text": f"{tenant}-{user}-{session}"})
    equal(c.read_item("1", ["a", "u2", 1])["text"], "a-u2-1")
    fails(404, c.read_item, "1", ["a", "u3", 1])
    c.patch_item("1", ["a", "u2", 1], [{"op": "set", "path": "/text", "value": "patched"}])

    def found(key):
        return sorted(c.query_items("SELECT VALUE c.text FROM c", partition_key=key))

    equal(found(["a", "u2", 1]), ["patched"])
    equal(found(["b", "u1"]), ["b-u1-1", "b-u1-2"])
    equal(found(["b"]), ["b-u1-1", "b-u1-2", "b-u2-1", "b-u2-2"])
    c.delete_item("1", ["a", "u1", 1])
    equal(len(list(sdk.query(c, "SELECT * FROM c"))), 7)


@check("a key that is not the document's")
def _(sdk):
    c = sdk.container("mismatch")
    c.create_item({"id": "1", "deviceId": "d1"})
    fails(400, c.replace_item, "1", {"id": "2", "deviceId": "d1"})
    fails(404, c.read_item, "1", "d2")
    fails(404, c.replace_item, "1", {"id": "1", "deviceId": "d2"})


@check("ids with characters of every kind")
def _(sdk):
    c = sdk.container("odd-ids", FOUR_RANGES)
    for name in ["a b", "é漢\U0001F600", "100%", "a+b", "a&b=c", "'quoted\"", "a;b,c", "(x)[y]{z}", "<>|`^~", "A", "a", "x" * 255]:
        c.create_item({"id": name, "deviceId": "d1"})
        equal(c.read_item(name, "d1")["id"], name)
        parameters = [{"name": "@id", "value": name}]
        equal(list(sdk.query(c, "SELECT VALUE c.id FROM c WHERE c.id = @id", parameters=parameters)), [name])
        c.replace_item(name, {"id": name, "deviceId": "d1", "n": 1})
        c.delete_item(name, "d1")
    equal(list(c.read_all_items()), [])


@check("large items")
def _(sdk):
    c = sdk.container("large", 100000)
    text = os.urandom(900_000).hex()
    c.create_item({"id": "1", "deviceId": "d1", "text": text})
    assert c.read_item("1", "d1")["text"] == text, "another text came back"
    fails(413, c.create_item, {"id": "2", "deviceId": "d1", "text": text + text})


@check("patches of every kind")
def _(sdk):
    c = sdk.container("patches")
    c.create_item({"id": "1", "deviceId": "d1", "n": 1, "text": "a", "list": [1, 2, 3], "deep": {"a": {"b": 1}}, "gone": True})
    patched = c.patch_item("1", "d1", [
        {"op": "add", "path": "/added", "value": {"x": [1]}},
        {"op": "add", "path": "/list/1", "value": "inserted"},
        {"op": "add", "path": "/list/-", "value": "last"},
        {"op": "set", "path": "/text", "value": "b"},
        {"op": "set", "path": "/list/0", "value": "first"},
        {"op": "replace", "path": "/deep/a/b", "value": 2},
        {"op": "remove", "path": "/gone"},
        {"op": "incr", "path": "/n", "value": 5},
        {"op": "incr", "path": "/counted", "value": -2.5},
        {"op": "set", "path": "/a~1b", "value": None},
    ])
    want = {"id": "1", "deviceId": "d1", "n": 6, "text": "b", "list": ["first", "inserted", 2, 3, "last"],
            "deep": {"a": {"b": 2}}, "added": {"x": [1]}, "counted": -2.5, "a/b": None}
    same(plain(patched), want)
    same(plain(c.read_item("1", "d1")), want)
    moved = c.patch_item("1", "d1", [{"op": "move", "from": "/deep/a", "path": "/moved"}, {"op": "remove", "path": "/list/0"}])
    equal([moved["moved"], moved["deep"], moved["list"]], [{"b": 2}, {}, ["inserted", 2, 3, "last"]])


@check("patches with a condition")
def _(sdk):
    c = sdk.container("conditions")
    c.create_item({"id": "1", "deviceId": "d1", "n": 1})

    def patch(condition):
        return c.patch_item("1", "d1", [{"op": "incr", "path": "/n", "value": 1}], filter_predicate=condition)

    equal(patch("from c where c.n = 1")["n"], 2)
    fails(412, patch, "from c where c.n = 1")
    fails(400, patch, "from c where c.n =")
    equal(c.read_item("1", "d1")["n"], 2)


@check("patches that cannot be")
def _(sdk):
    c = sdk.container("wrong-patches")
    c.create_item({"id": "1", "deviceId": "d1", "n": 1, "text": "a", "list": [1]})

    def refused(*operations):
        fails(400, c.patch_item, "1", "d1", list(operations))

    refused({"op": "replace", "path": "/none", "value": 1})
    refused({"op": "remove", "path": "/none"})
    refused({"op": "add", "path": "/none/deeper", "value": 1})
    refused({"op": "incr", "path": "/text", "value": 1})
    refused({"op": "add", "path": "/list/9", "value": 1})
    refused({"op": "set", "path": "/id", "value": "2"})
    refused({"op": "set", "path": "/deviceId", "value": "d2"})
    refused(*({"op": "set", "path": f"/p{i}", "value": i} for i in range(11)))
    refused({"op": "set", "path": "/n", "value": 2}, {"op": "remove", "path": "/none"})
    equal(plain(c.read_item("1", "d1")), {"id": "1", "deviceId": "d1", "n": 1, "text": "a", "list": [1]})


@check("time to live")
def _(sdk):
    c = sdk.container("ttl", default_ttl=2)
    c.create_item({"id": "default", "deviceId": "d1"})
    c.create_item({"id": "never", "deviceId": "d1", "ttl": -1})
    c.create_item({"id": "long", "deviceId": "d1", "ttl": 1000})

    def ids():
        return sorted(c.query_items("SELECT VALUE c.id FROM c", partition_key="d1"))

    deadline = time.monotonic() + 120
    while ids() != ["long", "never"] and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(ids(), ["long", "never"])
    fails(404, c.read_item, "default", "d1")


@check("no body is asked for")
def _(sdk):
    c = sdk.container("minimal")
    created = c.create_item({"id": "1", "deviceId": "d1"}, no_response=True)
    equal(dict(created), {})
    assert created.get_response_headers().get("etag"), "no ETag"
    equal(dict(c.upsert_item({"id": "1", "deviceId": "d1", "n": 2}, no_response=True)), {})
    equal(c.read_item("1", "d1")["n"], 2)
    equal(dict(c.patch_item("1", "d1", [{"op": "incr", "path": "/n", "value": 1}], no_response=True)), {})
    equal(c.read_item("1", "d1")["n"], 3)


@check("all items, page by page, by several clients")
def _(sdk):
    c = sdk.container("pages", FOUR_RANGES)
    for i in range(50):
        c.create_item({"id": f"{i}", "deviceId": f"d{i}", "n": i})
    sizes = [len(list(page)) for page in c.read_all_items(max_item_count=7).by_page()]
    assert max(sizes) <= 7 and sum(sizes) == 50, sizes
    seen, token = [], None
    while True:
        pages = sdk.opened("pages").read_all_items(max_item_count=20).by_page(token)
        seen += [d["n"] for d in next(pages)]
        token = pages.continuation_token
        if not token:
            break
    equal(sorted(seen), list(range(50)))


@check("many items by their ids")
def _(sdk):
    c = sdk.container("many", FOUR_RANGES)
    for i in range(60):
        c.create_item({"id": f"{i}", "deviceId": f"d{i % 12}", "n": i})
    wanted = [(f"{i}", f"d{i % 12}") for i in range(0, 60, 2)] + [("none", "d1")]
    equal(sorted(d["n"] for d in c.read_items(wanted)), list(range(0, 60, 2)))
