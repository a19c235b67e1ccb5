"""Several operations in one request: transactional batches."""

from azure.cosmos.exceptions import CosmosBatchOperationError

from cosmosdb.checks import check, fails, plain
from runner import equal, fails as raises


@check("a batch that succeeds")
def _(sdk):
    c = sdk.container("batch")
    for name in ("read", "replaced", "deleted", "patched", "upserted"):
        c.create_item({"id": name, "deviceId": "d1", "n": 1})
    results = c.execute_item_batch([
        ("create", ({"id": "created", "deviceId": "d1", "n": 2},)),
        ("upsert", ({"id": "upserted", "deviceId": "d1", "n": 2},)),
        ("upsert", ({"id": "new", "deviceId": "d1", "n": 2},)),
        ("read", ("read",)),
        ("replace", ("replaced", {"id": "replaced", "deviceId": "d1", "n": 2})),
        ("patch", ("patched", [{"op": "incr", "path": "/n", "value": 1}]), {"filter_predicate": "from c where c.n = 1"}),
        ("delete", ("deleted",)),
        ("read", ("created",)),
    ], "d1")
    equal([r["statusCode"] for r in results], [201, 200, 201, 200, 200, 200, 204, 200])
    equal(plain(results[7]["resourceBody"]), {"id": "created", "deviceId": "d1", "n": 2})
    assert all(r["requestCharge"] > 0 for r in results), results
    equal([(d["id"], d["n"]) for d in c.query_items("SELECT c.id, c.n FROM c ORDER BY c.id", partition_key="d1")],
          [("created", 2), ("new", 2), ("patched", 2), ("read", 1), ("replaced", 2), ("upserted", 2)])


@check("a batch that fails changes nothing")
def _(sdk):
    c = sdk.container("batch-failure")
    c.create_item({"id": "1", "deviceId": "d1", "n": 1})
    err = raises(CosmosBatchOperationError, "", c.execute_item_batch, [
        ("create", ({"id": "2", "deviceId": "d1"},)), ("upsert", ({"id": "1", "deviceId": "d1", "n": 9},)),
        ("create", ({"id": "1", "deviceId": "d1"},)), ("delete", ("1",)),
    ], "d1")
    equal((err.error_index, err.status_code), (2, 409))
    equal([r["statusCode"] for r in err.operation_responses], [424, 424, 409, 424])
    equal([plain(d) for d in c.read_all_items()], [{"id": "1", "deviceId": "d1", "n": 1}])
    condition = {"filter_predicate": "from c where c.n = 2"}
    err = raises(CosmosBatchOperationError, "", c.execute_item_batch,
                 [("read", ("1",)), ("patch", ("1", [{"op": "set", "path": "/n", "value": 3}]), condition)], "d1")
    equal((err.error_index, err.status_code), (1, 412))


@check("a batch with preconditions")
def _(sdk):
    c = sdk.container("batch-etags")
    etag = c.create_item({"id": "1", "deviceId": "d1", "n": 1})["_etag"]

    def replace(n):
        return c.execute_item_batch([("replace", ("1", {"id": "1", "deviceId": "d1", "n": n}), {"if_match_etag": etag})], "d1")

    replace(2)
    equal(raises(CosmosBatchOperationError, "", replace, 3).status_code, 412)
    equal(c.read_item("1", "d1")["n"], 2)


@check("batches of a hundred, and of more")
def _(sdk):
    c = sdk.container("batch-large", 10000)

    def create(n, device):
        return c.execute_item_batch([("create", ({"id": f"{i}", "deviceId": device},)) for i in range(n)], device)

    equal({r["statusCode"] for r in create(100, "d1")}, {201})
    fails(400, create, 101, "d2", pattern="100")
    equal(len(list(c.read_all_items())), 100)


@check("a batch under a hierarchical partition key")
def _(sdk):
    c = sdk.container("batch-hierarchical", path=["/a", "/b"])
    results = c.execute_item_batch([("create", ({"id": i, "a": "x", "b": 1},)) for i in "12"], ["x", 1])
    equal([r["statusCode"] for r in results], [201, 201])
    equal(c.read_item("2", ["x", 1])["id"], "2")
