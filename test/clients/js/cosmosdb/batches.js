// Several operations in one request: transactional batches and bulk.
"use strict";

const { assert, check, container, devices, fails, fourRanges, plain, range } = require("./checks.js");

check("a batch that succeeds", async () => {
  const c = await container("batch");
  for (const id of ["read", "replaced", "deleted", "patched", "upserted"]) await c.items.create({ id, deviceId: "d1", n: 1 });
  const answer = await c.items.batch([
    { operationType: "Create", resourceBody: { id: "created", deviceId: "d1", n: 2 } },
    { operationType: "Upsert", resourceBody: { id: "upserted", deviceId: "d1", n: 2 } },
    { operationType: "Upsert", resourceBody: { id: "new", deviceId: "d1", n: 2 } },
    { operationType: "Read", id: "read" },
    { operationType: "Replace", id: "replaced", resourceBody: { id: "replaced", deviceId: "d1", n: 2 } },
    { operationType: "Patch", id: "patched", resourceBody: { operations: [{ op: "incr", path: "/n", value: 1 }] } },
    { operationType: "Delete", id: "deleted" },
    { operationType: "Read", id: "created" }, // sees what came before
  ], "d1");
  assert.equal(answer.code, 200);
  assert.deepEqual(answer.result.map((r) => r.statusCode), [201, 200, 201, 200, 200, 200, 204, 200]);
  assert.deepEqual(plain(answer.result[7].resourceBody), { id: "created", deviceId: "d1", n: 2 });
  assert.equal(answer.result[5].resourceBody.n, 2);
  for (const [i, r] of answer.result.entries()) {
    assert.ok(r.requestCharge > 0, `operation ${i} has no charge`);
    if (i !== 6) assert.ok(r.eTag, `operation ${i} has no ETag`);
  }
  const { resources } = await c.items.query("SELECT c.id, c.n FROM c ORDER BY c.id", { partitionKey: "d1" }).fetchAll();
  assert.deepEqual(resources, [
    { id: "created", n: 2 }, { id: "new", n: 2 }, { id: "patched", n: 2 }, { id: "read", n: 1 }, { id: "replaced", n: 2 }, { id: "upserted", n: 2 },
  ]);
});

check("a batch that fails changes nothing", async () => {
  const c = await container("batch-failure");
  await c.items.create({ id: "1", deviceId: "d1", n: 1 });
  const answer = await c.items.batch([
    { operationType: "Create", resourceBody: { id: "2", deviceId: "d1" } },
    { operationType: "Upsert", resourceBody: { id: "1", deviceId: "d1", n: 9 } },
    { operationType: "Create", resourceBody: { id: "1", deviceId: "d1" } },
    { operationType: "Delete", id: "1" },
  ], "d1");
  assert.equal(answer.code, 207);
  assert.deepEqual(answer.result.map((r) => r.statusCode), [424, 424, 409, 424]);
  assert.deepEqual((await c.items.readAll().fetchAll()).resources.map(plain), [{ id: "1", deviceId: "d1", n: 1 }]);
  const missing = await c.items.batch([{ operationType: "Replace", id: "0", resourceBody: { id: "0", deviceId: "d1" } }, { operationType: "Read", id: "1" }], "d1");
  assert.deepEqual(missing.result.map((r) => r.statusCode), [404, 424]);
});

check("a batch with preconditions", async () => {
  const c = await container("batch-etags");
  const { etag } = await c.items.create({ id: "1", deviceId: "d1", n: 1 });
  const replace = (n) => [{ operationType: "Replace", id: "1", ifMatch: etag, resourceBody: { id: "1", deviceId: "d1", n } }];
  assert.deepEqual((await c.items.batch(replace(2), "d1")).result.map((r) => r.statusCode), [200]);
  assert.deepEqual((await c.items.batch(replace(3), "d1")).result.map((r) => r.statusCode), [412]);
  assert.equal((await c.item("1", "d1").read()).resource.n, 2);
});

check("batches of a hundred, and of more", async () => {
  const c = await container("batch-large", {}, { offerThroughput: 10000 });
  const operations = (n) => range(n).map((i) => ({ operationType: "Create", resourceBody: { id: `${i}`, deviceId: "d1" } }));
  assert.ok((await c.items.batch(operations(100), "d1")).result.every((r) => r.statusCode === 201));
  await assert.rejects(c.items.batch(operations(101), "d2"), /more than 100/); // the client itself
});

check("a batch with a key that is not its documents'", async () => {
  const c = await container("batch-mismatch");
  const answer = await c.items.batch([{ operationType: "Create", resourceBody: { id: "1", deviceId: "d2" } }], "d1").catch((err) => err);
  assert.ok([400, 207].includes(answer.code), `code ${answer.code}`);
  assert.deepEqual((await c.items.readAll().fetchAll()).resources, []);
});

check("a batch under a hierarchical partition key", async () => {
  const c = await container("batch-hierarchical", { partitionKey: { paths: ["/a", "/b"], kind: "MultiHash", version: 2 } });
  const answer = await c.items.batch([
    { operationType: "Create", resourceBody: { id: "1", a: "x", b: 1 } }, { operationType: "Create", resourceBody: { id: "2", a: "x", b: 1 } },
  ], ["x", 1]);
  assert.deepEqual(answer.result.map((r) => r.statusCode), [201, 201]);
  assert.equal((await c.item("2", ["x", 1]).read()).statusCode, 200);
});

const operations = (n) => range(n).map((i) => {
  const deviceId = devices[i % devices.length];
  return { operationType: "Create", partitionKey: deviceId, resourceBody: { id: `${i}`, deviceId, n: i } };
});

check("a batch that wants no bodies back", async () => {
  const c = await container("batch-minimal");
  const operation = [{ operationType: "Create", resourceBody: { id: "1", deviceId: "d1" } }];
  const answer = await c.items.batch(operation, "d1", { contentResponseOnWriteEnabled: false });
  assert.equal(answer.result[0].statusCode, 201);
  assert.equal(answer.result[0].resourceBody, undefined);
  assert.ok(answer.result[0].eTag, "no ETag");
});

check("bulk over all ranges", async () => {
  const c = await container("bulk", {}, { offerThroughput: fourRanges });
  const results = await c.items.executeBulkOperations(operations(500));
  assert.deepEqual([...new Set(results.map((r) => r.response?.statusCode))], [201]);
  assert.deepEqual((await c.items.query("SELECT VALUE COUNT(1) FROM c").fetchAll()).resources, [500]);
});

check("bulk where some operations fail", async () => {
  const c = await container("bulk-mixed", {}, { offerThroughput: fourRanges });
  for (const id of ["1", "2", "3", "4"]) await c.items.create({ id, deviceId: devices[0], n: 1 });
  const on = (operationType, id, more) => ({ operationType, id, partitionKey: devices[0], ...more });
  const body = (id) => ({ resourceBody: { id, deviceId: devices[0], n: 2 } });
  const results = await c.items.executeBulkOperations([
    on("Create", undefined, body("new")), on("Create", undefined, body("1")), on("Read", "1"), on("Read", "none"),
    on("Upsert", undefined, body("2")), on("Replace", "3", body("3")), on("Replace", "none", body("none")),
    on("Patch", "4", { resourceBody: { operations: [{ op: "incr", path: "/n", value: 4 }] } }), on("Delete", "1"), on("Delete", "none"),
    on("Replace", "2", { ...body("2"), ifMatch: "\"another\"" }),
    { operationType: "Create", partitionKey: devices[2], resourceBody: { id: "elsewhere", deviceId: devices[2] } },
  ]);
  const codes = results.map((r) => r.response?.statusCode ?? r.error?.code);
  assert.deepEqual(codes, [201, 409, 200, 404, 200, 200, 404, 200, 204, 404, 412, 201]);
  assert.equal((await c.item("4", devices[0]).read()).resource.n, 5);
  assert.equal((await c.items.query("SELECT VALUE COUNT(1) FROM c").fetchAll()).resources[0], 5);
});

check("bulk, the older way", async () => {
  const c = await container("bulk-old", {}, { offerThroughput: fourRanges });
  const results = await c.items.bulk(operations(60));
  assert.ok(results.every((r) => r.statusCode === 201));
  const again = await c.items.bulk([...operations(2), { operationType: "Read", id: "5", partitionKey: devices[5] }]);
  assert.deepEqual(again.map((r) => r.statusCode), [409, 409, 200]);
  assert.equal(again[2].resourceBody.n, 5);
});
