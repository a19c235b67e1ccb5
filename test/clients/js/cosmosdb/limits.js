// What holds clients back or keeps them out: request units, keys, TLS.
"use strict";

const http = require("node:http");
const https = require("node:https");
const fs = require("node:fs");
const { assert, check, connect, connection, container, databaseId, devices, fails, need, parts, range } = require("./checks.js");

// An item costs some 25 RU: on the slowest machine too, 400 RU/s are soon used up.
const filler = "x".repeat(50_000);
const doc = (i) => ({ id: `${i}`, deviceId: devices[i % devices.length], n: i, filler });

check("more than the request units: the client waits and succeeds", async () => {
  const c = await container("throttled", {}, { offerThroughput: 400 });
  const before = Date.now();
  // Of the first wave all may be let in before the first is charged; the second
  // then meets the debt, and waits until it is paid.
  const waves = [];
  for (const first of [0, 40]) waves.push(await Promise.all(range(40).map((i) => c.items.create(doc(first + i)))));
  assert.ok(waves.flat().every((a) => a.statusCode === 201));
  const charged = waves[0].reduce((sum, a) => sum + a.requestCharge, 0);
  assert.ok(charged > 800, `${charged} RU for 40 items of 50 KB`);
  assert.ok(Date.now() - before > 1000 * (charged / 400 - 1.5), `${charged} RU, and more, within ${Date.now() - before} ms`);
});

check("more than the request units, without retries", async () => {
  await container("refused", {}, { offerThroughput: 400 });
  const impatient = connect({ connectionPolicy: { retryOptions: { maxRetryAttemptCount: 0 } } });
  const c = impatient.database(databaseId).container("refused");
  // On a slow machine all of a wave may be let in before the first is charged;
  // the next one then meets the debt.
  const answers = [];
  let refused = [];
  for (let first = 0; first < 1000 && refused.length === 0; first += 100) {
    answers.push(...(await Promise.all(range(100).map((i) => c.items.create(doc(first + i)).catch((err) => err)))));
    refused = answers.filter((a) => a.code === 429);
  }
  assert.ok(refused.length > 0 && refused.length < answers.length, `${refused.length} of ${answers.length} refused`);
  assert.equal(answers.filter((a) => a.statusCode === 201).length, answers.length - refused.length);
  for (const err of refused) {
    assert.equal(err.substatus, 3200);
    assert.ok(err.retryAfterInMs > 0, `retry after ${err.retryAfterInMs}`);
    assert.match(err.message, /Request rate is large/);
  }
  const stored = await connect().database(databaseId).container("refused").items.query("SELECT VALUE COUNT(1) FROM c").fetchAll();
  assert.deepEqual(stored.resources, [answers.length - refused.length]);
});

check("bulk above the request units", async () => {
  const c = await container("throttled-bulk", {}, { offerThroughput: 1000 });
  const operations = range(80).map((i) => ({ operationType: "Upsert", partitionKey: doc(i).deviceId, resourceBody: doc(i) }));
  const results = await c.items.executeBulkOperations(operations);
  assert.deepEqual([...new Set(results.map((r) => r.response?.statusCode ?? r.error?.code))], [201]);
});

check("more throughput, less throttling", async () => {
  const c = await container("raised", {}, { offerThroughput: 400 });
  const { resource: offer } = await c.readOffer();
  offer.content.offerThroughput = 10000;
  const client = connect({ connectionPolicy: { retryOptions: { maxRetryAttemptCount: 0 } } });
  await client.offer(offer.id).replace(offer);
  const raised = client.database(databaseId).container("raised");
  for (const i of range(60)) assert.equal((await raised.items.create(doc(i))).statusCode, 201);
});

check("a wrong key", async () => {
  const client = connect({ key: Buffer.from("another key").toString("base64") });
  const err = await fails(client.database(databaseId).read(), 401, /authorization token/i);
  assert.equal(err.body.code, "Unauthorized");
  await fails(client.database(databaseId).container("throttled").item("1", "d1").read(), 401);
  await fails(connect({ key: undefined, tokenProvider: async () => "type%3Dmaster%26ver%3D1.0%26sig%3Dbm9uZQ%3D%3D" }).databases.readAll().fetchAll(), 401);
});

check("over TLS, with a certificate of one's own", async () => {
  const agent = new https.Agent({ ca: fs.readFileSync(need("COSMOSDB_CA")) });
  const client = connect({ agent }, need("COSMOSDB_TLS"));
  const { database } = await client.databases.createIfNotExists({ id: "secure" });
  const { container: c } = await database.containers.createIfNotExists({ id: "secure-js", partitionKey: "/pk" });
  await c.items.upsert({ id: "1", pk: "a" });
  assert.equal((await c.item("1", "a").read()).statusCode, 200);
  assert.deepEqual((await c.items.query("SELECT VALUE c.id FROM c").fetchAll()).resources, ["1"]);
  const distrustful = connect({ agent: new https.Agent({ ca: [] }) }, need("COSMOSDB_TLS"));
  await assert.rejects(distrustful.databases.readAll().fetchAll(), /certificate/);
});

check("requests that no client sends", async () => {
  const { endpoint } = parts(connection);
  const status = (method, path, headers = {}) => new Promise((resolve, reject) => {
    const request = http.request(new URL(path, endpoint), { method, headers }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    request.on("error", reject);
    request.end();
  });
  assert.equal(await status("GET", "dbs"), 401);
  assert.equal(await status("GET", "dbs", { authorization: "nonsense", "x-ms-date": new Date().toUTCString() }), 401);
  const old = new Date(Date.now() - 3600_000).toUTCString();
  assert.ok([401, 403].includes(await status("GET", "dbs", { authorization: "type%3Dmaster%26ver%3D1.0%26sig%3Dbm9uZQ%3D%3D", "x-ms-date": old })));
});
