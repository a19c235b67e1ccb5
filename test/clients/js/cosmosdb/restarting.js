// The server goes away and comes back on the same directory, under clients that
// stay. The test that started this program stops and starts the server when asked.
"use strict";

const { CosmosClient } = require("@azure/cosmos");
const { assert, check, closing, devices, fill, fourRanges, need, parts, range } = require("./checks.js");

const connection = need("COSMOSDB_RESTARTED");
const control = async (verb) => {
  const answer = await fetch(`${need("COSMOSDB_CONTROL")}/${verb}`, { method: "POST" });
  if (!answer.ok) throw new Error(`${verb}: ${await answer.text()}`);
};

check("what was written is there after a restart, for the same client", async () => {
  const client = new CosmosClient({ ...parts(connection) });
  closing({ close: async () => client.dispose() });
  const { database } = await client.databases.create({ id: "restart-js" });
  const { container: c } = await database.containers.create({
    id: "c", partitionKey: { paths: ["/deviceId"], version: 2 }, throughput: fourRanges, uniqueKeyPolicy: { uniqueKeys: [{ paths: ["/n"] }] },
  });
  const doc = (i) => ({ id: `${i}`, deviceId: devices[i % devices.length], n: i });
  await fill(c, range(60).map(doc));
  await c.item("7", doc(7).deviceId).delete();
  const { etag } = await c.item("8", doc(8).deviceId).patch([{ op: "set", path: "/text", value: "patched" }]);
  const sorted = (await c.items.query("SELECT VALUE c.n FROM c ORDER BY c.n").fetchAll()).resources;
  const paged = { maxItemCount: 9, partitionKey: devices[0] };
  const first = await c.items.query("SELECT VALUE c.n FROM c ORDER BY c.n", paged).fetchNext();
  const feed = c.items.changeFeed(devices[2], { startFromBeginning: true });
  assert.equal((await feed.fetchNext()).result.length, 10);
  await control("stop");
  await assert.rejects(c.item("8", doc(8).deviceId).read({ abortSignal: AbortSignal.timeout(1000) }));
  await control("start");

  const read = await c.item("8", doc(8).deviceId).read();
  assert.equal(read.resource.text, "patched");
  assert.equal(read.etag, etag);
  assert.equal((await c.item("7", doc(7).deviceId).read()).statusCode, 404);
  assert.deepEqual((await c.items.query("SELECT VALUE c.n FROM c ORDER BY c.n").fetchAll()).resources, sorted);
  const rest = await c.items.query("SELECT VALUE c.n FROM c ORDER BY c.n", { ...paged, continuationToken: first.continuationToken }).fetchAll();
  assert.deepEqual([...first.resources, ...rest.resources], range(60).filter((i) => i % devices.length === 0));
  assert.equal((await feed.fetchNext()).statusCode, 304);
  await c.items.upsert({ ...doc(2), again: true });
  assert.deepEqual((await feed.fetchNext()).result.map((d) => d.n), [2]);
  await assert.rejects(c.items.create({ ...doc(6), id: "another" }), (err) => err.code === 409);
  assert.equal((await c.readOffer()).resource.content.offerThroughput, fourRanges);
  assert.equal((await c.readPartitionKeyRanges().fetchAll()).resources.length, 4);
});
