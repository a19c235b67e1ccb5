// Databases, containers, throughput and partition key ranges.
"use strict";

const { assert, check, connect, container, database, databaseId, fails, fourRanges, range } = require("./checks.js");

check("the account", async () => {
  const client = connect();
  const { resource } = await client.getDatabaseAccount();
  assert.equal(resource.consistencyPolicy, "Session");
  assert.equal(await client.getReadEndpoint(), await client.getWriteEndpoint());
});

check("databases are created, read, listed, queried and deleted", async () => {
  const client = connect();
  const id = "db with spaces, and é";
  const created = await client.databases.create({ id });
  assert.equal(created.statusCode, 201);
  assert.equal(created.resource.id, id);
  for (const property of ["_rid", "_self", "_etag", "_ts", "_colls", "_users"]) assert.ok(property in created.resource, property);
  assert.equal((await client.databases.create({ id: "another" })).statusCode, 201);
  assert.equal((await client.databases.createIfNotExists({ id })).statusCode, 200);
  const read = await client.database(id).read();
  assert.equal(read.statusCode, 200);
  assert.equal(read.resource._rid, created.resource._rid);
  const all = (await client.databases.readAll().fetchAll()).resources.map((d) => d.id);
  assert.ok(all.includes(id) && all.includes("another"), `${all}`);
  const query = { query: "SELECT * FROM d WHERE d.id = @id", parameters: [{ name: "@id", value: id }] };
  assert.deepEqual((await client.databases.query(query).fetchAll()).resources.map((d) => d.id), [id]);
  await fails(client.databases.create({ id }), 409, /exists/i);
  assert.equal((await client.database(id).delete()).statusCode, 204);
  await fails(client.database(id).read(), 404);
  await fails(client.database(id).delete(), 404);
  assert.equal((await client.database("another").delete()).statusCode, 204);
});

check("a database's containers go with it", async () => {
  const client = connect();
  const { database: db } = await client.databases.create({ id: "goes" });
  const { container: c } = await db.containers.create({ id: "c", partitionKey: "/pk" });
  await c.items.create({ id: "1", pk: "a" });
  await db.delete();
  await client.databases.create({ id: "goes" });
  await fails(db.container("c").read(), 404);
  const { container: again } = await db.containers.create({ id: "c", partitionKey: "/pk" });
  assert.deepEqual((await again.items.readAll().fetchAll()).resources, []);
  await db.delete();
});

check("a container keeps all of its settings", async () => {
  const definition = {
    partitionKey: { paths: ["/deviceId"], kind: "Hash", version: 2 },
    indexingPolicy: {
      automatic: true, indexingMode: "consistent",
      includedPaths: [{ path: "/type/?" }, { path: "/deviceId/?" }, { path: "/tags/[]/?" }], excludedPaths: [{ path: "/*" }],
      compositeIndexes: [[{ path: "/type", order: "ascending" }, { path: "/n", order: "descending" }]],
    },
    uniqueKeyPolicy: { uniqueKeys: [{ paths: ["/eventId"] }] },
    defaultTtl: 1000,
    conflictResolutionPolicy: { mode: "LastWriterWins", conflictResolutionPath: "/_ts" },
  };
  const c = await container("settings", definition);
  const { resource, statusCode } = await c.read();
  assert.equal(statusCode, 200);
  assert.deepEqual(resource.partitionKey, definition.partitionKey);
  assert.deepEqual(resource.uniqueKeyPolicy.uniqueKeys.map((k) => k.paths), [["/eventId"]]);
  assert.equal(resource.defaultTtl, 1000);
  assert.equal(resource.indexingPolicy.indexingMode, "consistent");
  const paths = (list) => list.map((p) => p.path).filter((p) => !p.includes("_etag")).sort();
  assert.deepEqual(paths(resource.indexingPolicy.includedPaths), ["/deviceId/?", "/tags/[]/?", "/type/?"]);
  assert.deepEqual(paths(resource.indexingPolicy.excludedPaths), ["/*"]);
  assert.deepEqual(resource.indexingPolicy.compositeIndexes, definition.indexingPolicy.compositeIndexes);
  for (const property of ["_rid", "_self", "_etag", "_ts", "_docs"]) assert.ok(property in resource, property);
  assert.deepEqual((await c.getPartitionKeyDefinition()).resource, definition.partitionKey);
});

check("a container without settings gets the usual ones", async () => {
  const db = await database();
  const { resource } = await db.containers.create({ id: "usual", partitionKey: "/pk" });
  assert.deepEqual(resource.partitionKey.paths, ["/pk"]);
  assert.equal(resource.partitionKey.kind, "Hash");
  assert.deepEqual(resource.indexingPolicy.includedPaths.map((p) => p.path), ["/*"]);
  assert.deepEqual(resource.indexingPolicy.excludedPaths.map((p) => p.path), ["/\"_etag\"/?"]);
  assert.equal(resource.defaultTtl, undefined);
});

check("containers are listed, queried, replaced and deleted", async () => {
  const client = connect();
  const { database: db } = await client.databases.create({ id: "containers" });
  for (const id of ["one", "two", "three"]) assert.equal((await db.containers.create({ id, partitionKey: "/pk" })).statusCode, 201);
  await fails(db.containers.create({ id: "one", partitionKey: "/other" }), 409);
  assert.equal((await db.containers.createIfNotExists({ id: "one", partitionKey: "/pk" })).statusCode, 200);
  assert.deepEqual((await db.containers.readAll().fetchAll()).resources.map((c) => c.id).sort(), ["one", "three", "two"]);
  const paged = db.containers.readAll({ maxItemCount: 2 });
  const sizes = [];
  while (paged.hasMoreResults()) sizes.push((await paged.fetchNext()).resources.length);
  assert.deepEqual(sizes, [2, 1]);
  const found = await db.containers.query("SELECT * FROM c WHERE STARTSWITH(c.id, 't')").fetchAll();
  assert.deepEqual(found.resources.map((c) => c.id).sort(), ["three", "two"]);

  const { resource: before } = await db.container("one").read();
  const replaced = await db.container("one").replace({
    ...before, defaultTtl: 60, indexingPolicy: { indexingMode: "consistent", includedPaths: [{ path: "/a/?" }], excludedPaths: [{ path: "/*" }] },
  });
  assert.equal(replaced.statusCode, 200);
  const { resource: after } = await db.container("one").read();
  assert.equal(after.defaultTtl, 60);
  assert.deepEqual(after.indexingPolicy.includedPaths.map((p) => p.path), ["/a/?"]);
  assert.equal(after._rid, before._rid);
  assert.notEqual(after._etag, before._etag);
  await fails(db.container("one").replace({ id: "one", partitionKey: { paths: ["/other"], kind: "Hash" } }), 400);

  assert.equal((await db.container("one").delete()).statusCode, 204);
  await fails(db.container("one").read(), 404);
  await fails(db.container("one").delete(), 404);
  await fails(client.database("no such").containers.create({ id: "x", partitionKey: "/pk" }), 404);
  await db.delete();
});

check("replaced indexing: what was there is found by the new paths", async () => {
  const c = await container("reindexed", { indexingPolicy: { includedPaths: [], excludedPaths: [{ path: "/*" }] } });
  for (const i of range(20)) await c.items.create({ id: `${i}`, deviceId: `d${i % 3}`, n: i });
  const query = () => c.items.query("SELECT VALUE c.n FROM c WHERE c.n >= 17").fetchAll();
  assert.deepEqual((await query()).resources.sort(), [17, 18, 19]);
  const { resource } = await c.read();
  await c.replace({ ...resource, indexingPolicy: { includedPaths: [{ path: "/*" }], excludedPaths: [] } });
  assert.deepEqual((await query()).resources.sort(), [17, 18, 19]);
});

check("a container's throughput", async () => {
  const c = await container("throughput", {}, { offerThroughput: 500 });
  const { resource: offer } = await c.readOffer();
  assert.equal(offer.content.offerThroughput, 500);
  assert.equal(offer.offerVersion, "V2");
  assert.equal(offer.offerResourceId, (await c.read()).resource._rid);
  const client = connect();
  offer.content.offerThroughput = 1000;
  assert.equal((await client.offer(offer.id).replace(offer)).statusCode, 200);
  assert.equal((await c.readOffer()).resource.content.offerThroughput, 1000);
  assert.equal((await client.offer(offer.id).read()).resource.content.offerThroughput, 1000);
  const all = (await client.offers.readAll().fetchAll()).resources;
  assert.ok(all.some((o) => o.id === offer.id));
  offer.content.offerThroughput = 1050;
  await fails(client.offer(offer.id).replace(offer), 400);
  await fails(container("too-little", {}, { offerThroughput: 300 }), 400);
});

check("autoscale throughput", async () => {
  const db = await database();
  const { container: c } = await db.containers.create({ id: "autoscale", partitionKey: "/pk", maxThroughput: 4000 });
  const { resource } = await c.readOffer();
  assert.equal(resource.content.offerAutopilotSettings.maxThroughput, 4000);
});

check("throughput that a database's containers share", async () => {
  const client = connect();
  const { database: db } = await client.databases.create({ id: "shared", throughput: 700 });
  assert.equal((await db.readOffer()).resource.content.offerThroughput, 700);
  const { container: c } = await db.containers.create({ id: "c", partitionKey: "/pk" });
  assert.equal((await c.readOffer()).resource, undefined);
  assert.equal((await c.items.create({ id: "1", pk: "a" })).statusCode, 201);
  await db.delete();
});

check("a physical partition key range for each 10,000 RU/s", async () => {
  const one = await container("one-range", {}, { offerThroughput: 10000 });
  assert.equal((await one.readPartitionKeyRanges().fetchAll()).resources.length, 1);
  const four = await container("four-ranges", {}, { offerThroughput: fourRanges });
  const { resources } = await four.readPartitionKeyRanges().fetchAll();
  assert.equal(resources.length, 4);
  const ranges = [...resources].sort((a, b) => (a.minInclusive < b.minInclusive ? -1 : 1));
  assert.equal(ranges[0].minInclusive, "");
  assert.equal(ranges[3].maxExclusive, "FF");
  for (const i of range(3)) assert.equal(ranges[i].maxExclusive, ranges[i + 1].minInclusive);
  assert.equal(new Set(ranges.map((r) => r.id)).size, 4);
  assert.equal((await four.getFeedRanges()).length, 4);
});

check("a query plan", async () => {
  const c = await container("planned", {}, { offerThroughput: fourRanges });
  const { result } = await c.getQueryPlan("SELECT TOP 5 c.a FROM c ORDER BY c.a DESC");
  assert.deepEqual(result.queryInfo.orderBy, ["Descending"]);
  assert.equal(result.queryInfo.top, 5);
  assert.deepEqual(result.queryRanges, [{ min: "", max: "FF", isMinInclusive: true, isMaxInclusive: false }]);
});

check("what there is not is refused clearly", async () => {
  const c = await container("scripts");
  await fails(c.scripts.storedProcedures.create({ id: "sp", body: "function () {}" }), 400);
  await fails(c.scripts.storedProcedure("sp").execute("a"), 404);
  assert.deepEqual((await c.scripts.triggers.readAll().fetchAll()).resources, []);
  assert.deepEqual((await c.conflicts.readAll().fetchAll()).resources, []);
  await fails(c.scripts.triggers.create({ id: "t", body: "function () {}", triggerType: "Pre", triggerOperation: "All" }), 400);
  await fails(c.scripts.userDefinedFunctions.create({ id: "f", body: "function () {}" }), 400);
  await fails(connect().database(databaseId).users.create({ id: "u" }), 400);
  await fails(c.deleteAllItemsForPartitionKey("d1"), 404);
});
