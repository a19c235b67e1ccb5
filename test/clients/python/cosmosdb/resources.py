"""Databases, containers, throughput and partition key ranges."""

from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from cosmosdb.checks import FOUR_RANGES, check, fails
from runner import equal, fails as raises


@check("the account")
def _(sdk):
    account = sdk.connect().get_database_account() if sdk.kind == "sync" else sdk.connect()._get_database_account()
    equal(account.ConsistencyPolicy["defaultConsistencyLevel"], "Session")
    equal(len(account.WritableLocations), 1)


@check("databases are created, read, listed, queried and deleted")
def _(sdk):
    client = sdk.connect()
    name = f"db with spaces, and é {sdk.kind}"
    db = client.create_database(name)
    properties = db.read()
    equal(properties["id"], name)
    for p in ("_rid", "_self", "_etag", "_ts", "_colls", "_users"):
        assert p in properties, p
    client.create_database(f"another {sdk.kind}")
    equal(client.create_database_if_not_exists(name).read()["_rid"], properties["_rid"])
    names = [d["id"] for d in client.list_databases()]
    assert name in names and f"another {sdk.kind}" in names, names
    found = client.query_databases("SELECT * FROM d WHERE d.id = @id", parameters=[{"name": "@id", "value": name}])
    equal([d["id"] for d in found], [name])
    raises(CosmosResourceExistsError, "(?i)exists", client.create_database, name)
    client.delete_database(name)
    raises(CosmosResourceNotFoundError, "", db.read)
    fails(404, client.delete_database, name)
    client.delete_database(f"another {sdk.kind}")


@check("a container keeps all of its settings")
def _(sdk):
    indexing = {
        "automatic": True, "indexingMode": "consistent",
        "includedPaths": [{"path": "/type/?"}, {"path": "/tags/[]/?"}], "excludedPaths": [{"path": "/*"}],
        "compositeIndexes": [[{"path": "/type", "order": "ascending"}, {"path": "/n", "order": "descending"}]],
    }
    c = sdk.container("settings", indexing_policy=indexing, default_ttl=1000,
                      unique_key_policy={"uniqueKeys": [{"paths": ["/eventId"]}]})
    properties = c.read()
    equal(properties["partitionKey"], {"paths": ["/deviceId"], "kind": "Hash", "version": 2})
    equal([k["paths"] for k in properties["uniqueKeyPolicy"]["uniqueKeys"]], [["/eventId"]])
    equal(properties["defaultTtl"], 1000)
    policy = properties["indexingPolicy"]
    equal(sorted(p["path"] for p in policy["includedPaths"]), ["/tags/[]/?", "/type/?"])
    equal([p["path"] for p in policy["excludedPaths"] if "_etag" not in p["path"]], ["/*"])
    equal(policy["compositeIndexes"], indexing["compositeIndexes"])
    for p in ("_rid", "_self", "_etag", "_ts", "_docs"):
        assert p in properties, p


@check("a container without settings gets the usual ones")
def _(sdk):
    policy = sdk.container("usual").read()["indexingPolicy"]
    equal([p["path"] for p in policy["includedPaths"]], ["/*"])
    equal([p["path"] for p in policy["excludedPaths"]], ['/"_etag"/?'])


@check("containers are listed, queried, replaced and deleted")
def _(sdk):
    client = sdk.connect()
    db = client.create_database(f"containers {sdk.kind}")
    key = PartitionKey(path="/pk")
    for name in ("one", "two", "three"):
        db.create_container(name, key)
    raises(CosmosResourceExistsError, "", db.create_container, "one", key)
    db.create_container_if_not_exists("one", key)
    equal(sorted(c["id"] for c in db.list_containers()), ["one", "three", "two"])
    equal([len(list(page)) for page in db.list_containers(max_item_count=2).by_page()], [2, 1])
    equal(sorted(c["id"] for c in db.query_containers("SELECT * FROM c WHERE STARTSWITH(c.id, 't')")), ["three", "two"])

    before = db.get_container_client("one").read()
    indexing = {"indexingMode": "consistent", "includedPaths": [{"path": "/a/?"}], "excludedPaths": [{"path": "/*"}]}
    after = db.replace_container("one", key, indexing_policy=indexing, default_ttl=60).read()
    equal(after["defaultTtl"], 60)
    equal([p["path"] for p in after["indexingPolicy"]["includedPaths"]], ["/a/?"])
    equal(after["_rid"], before["_rid"])
    assert after["_etag"] != before["_etag"]
    fails(400, db.replace_container, "one", PartitionKey(path="/other"))

    db.delete_container("one")
    fails(404, db.get_container_client("one").read)
    fails(404, db.delete_container, "one")
    fails(404, client.get_database_client("no such").create_container, "x", key)
    client.delete_database(f"containers {sdk.kind}")
    fails(404, db.get_container_client("two").read)


@check("a container's throughput")
def _(sdk):
    c = sdk.container("throughput", 500)
    equal(c.get_throughput().offer_throughput, 500)
    equal(c.replace_throughput(1000).offer_throughput, 1000)
    equal(c.get_throughput().offer_throughput, 1000)
    fails(400, c.replace_throughput, 1050)
    fails(400, sdk.container, "too-little", 300)


@check("autoscale throughput")
def _(sdk):
    c = sdk.container("autoscale", ThroughputProperties(auto_scale_max_throughput=4000))
    equal(c.get_throughput().auto_scale_max_throughput, 4000)
    c.replace_throughput(ThroughputProperties(auto_scale_max_throughput=6000))
    equal(c.get_throughput().auto_scale_max_throughput, 6000)


@check("throughput that a database's containers share")
def _(sdk):
    client = sdk.connect()
    db = client.create_database(f"shared {sdk.kind}", offer_throughput=700)
    equal(db.get_throughput().offer_throughput, 700)
    db.replace_throughput(800)
    equal(db.get_throughput().offer_throughput, 800)
    c = db.create_container("c", PartitionKey(path="/pk"))
    raises(Exception, "", c.get_throughput)
    c.create_item({"id": "1", "pk": "a"})
    client.delete_database(f"shared {sdk.kind}")


@check("a physical partition key range for each 10,000 RU/s")
def _(sdk):
    equal(len(list(sdk.container("one-range", 10000).read_feed_ranges())), 1)
    c = sdk.container("four-ranges", FOUR_RANGES)
    ranges = list(c.read_feed_ranges())
    equal(len(ranges), 4)
    mine = c.feed_range_from_partition_key("device-1")
    holding = [c.is_feed_range_subset(r, mine) for r in ranges]
    equal(holding.count(True), 1)


@check("what there is not is refused clearly")
def _(sdk):
    c = sdk.container("scripts")
    fails(400, c.scripts.create_stored_procedure, {"id": "sp", "body": "function () {}"})
    fails(404, c.scripts.execute_stored_procedure, "sp", partition_key="a")
    fails(400, c.scripts.create_user_defined_function, {"id": "f", "body": "function () {}"})
    equal(list(c.scripts.list_triggers()), [])
    equal(list(c.list_conflicts()), [])
    fails(404, c.delete_all_items_by_partition_key, "d1")
    if sdk.kind == "sync":
        fails(400, sdk.database().create_user, {"id": "u"})
