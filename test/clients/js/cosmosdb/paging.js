// Results in pages: their sizes, continuation by other clients, feed ranges.
"use strict";

const { assert, check, connect, container, databaseId, devices, fails, fill, fourRanges, pages, range } = require("./checks.js");

const count = 240;
const doc = (i) => ({ id: `${i}`, deviceId: devices[i % devices.length], n: i, half: 1 + Math.floor(i / 2), group: `g${i % 5}` });

let filled;
function full(client) {
  filled ??= (async () => {
    const c = await container("pages", {}, { offerThroughput: fourRanges });
    await fill(c, range(count).map(doc));
  })();
  return filled.then(() => (client ?? connect()).database(databaseId).container("pages"));
}

check("the ranges have their share", async () => {
  const c = await full();
  for (const device of devices) {
    const { resources } = await c.items.query("SELECT VALUE COUNT(1) FROM c", { partitionKey: device }).fetchAll();
    assert.deepEqual(resources, [count / devices.length], device);
  }
});

check("pages of one logical partition, each by a new client", async () => {
  const seen = [];
  let continuationToken;
  let n = 0;
  do {
    const c = await full(connect());
    const options = { partitionKey: devices[0], maxItemCount: 7, continuationToken };
    const page = await c.items.query("SELECT * FROM c WHERE c.n >= 0 ORDER BY c.n DESC", options).fetchNext();
    assert.ok(page.resources.length <= 7);
    seen.push(...page.resources.map((d) => d.n));
    continuationToken = page.continuationToken;
    n++;
  } while (continuationToken);
  assert.deepEqual(seen, range(count).filter((i) => i % devices.length === 0).reverse());
  assert.ok(n >= 6 && n <= 7, `${n} pages`);
});

check("pages over all ranges, each by a new client", async () => {
  const seen = [];
  let continuationToken;
  do {
    const c = await full(connect());
    const page = await c.items.query("SELECT VALUE c.n FROM c WHERE c.n >= 40", { maxItemCount: 33, continuationToken }).fetchNext();
    assert.ok(page.resources.length <= 33);
    seen.push(...page.resources);
    continuationToken = page.continuationToken;
  } while (continuationToken);
  assert.deepEqual(seen.sort((a, b) => a - b), range(count).slice(40));
});

check("sorted pages over all ranges, each by a new client", async () => {
  for (const [query, want] of [
    ["SELECT VALUE c.n FROM c ORDER BY c.n DESC", range(count).reverse()],
    ["SELECT VALUE c.half FROM c ORDER BY c.half", range(count).map((i) => 1 + Math.floor(i / 2))], // with ties
    ["SELECT VALUE c.half FROM c ORDER BY c.half DESC", range(count).map((i) => 1 + Math.floor(i / 2)).reverse()],
    ["SELECT VALUE c.n FROM c ORDER BY c.half, c.n", range(count)],
    ["SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 30 LIMIT 100", range(130).slice(30)],
    ["SELECT TOP 90 VALUE c.n FROM c ORDER BY c.n", range(90)],
  ]) {
    const seen = [];
    let continuationToken;
    let n = 0;
    do {
      const c = await full(connect());
      const options = { maxItemCount: 40, continuationToken, enableQueryControl: true, forceQueryPlan: true };
      const page = await c.items.query(query, options).fetchNext();
      seen.push(...page.resources);
      continuationToken = page.continuationToken;
      assert.ok(++n < 100, `${query} does not end`);
      // Behind a limit the client goes on with continuations of empty pages.
    } while (continuationToken && !(/TOP|LIMIT/.test(query) && seen.length >= want.length));
    assert.deepEqual(seen, want, query);
  }
});

check("sorted pages over all ranges", async () => {
  const c = await full();
  for (const maxDegreeOfParallelism of [0, 4]) {
    const got = await pages(c.items.query("SELECT * FROM c ORDER BY c.n", { maxItemCount: 17, maxDegreeOfParallelism, bufferItems: true }));
    assert.deepEqual(got.flat().map((d) => d.n), range(count));
    assert.ok(got.every((p) => p.length <= 17));
  }
});

check("groups and distinct values over all ranges", async () => {
  const c = await full();
  const grouped = await c.items.query("SELECT c[\"group\"] AS g, COUNT(1) AS n, MIN(c.n) AS a, MAX(c.n) AS z, AVG(c.n) AS m FROM c GROUP BY c[\"group\"]", { maxItemCount: 2 }).fetchAll();
  assert.deepEqual(grouped.resources.sort((a, b) => (a.g < b.g ? -1 : 1)), range(5).map((i) => ({ g: `g${i}`, n: 48, a: i, z: 235 + i, m: 117.5 + i })));
  const distinct = await c.items.query("SELECT DISTINCT VALUE c.half FROM c", { maxItemCount: 10 }).fetchAll();
  assert.deepEqual(distinct.resources.sort((a, b) => a - b), range(count / 2).map((i) => i + 1)); // the client loses a 0
  const ordered = await c.items.query("SELECT DISTINCT VALUE c.half FROM c ORDER BY c.half DESC", { maxItemCount: 10 }).fetchAll();
  assert.deepEqual(ordered.resources, range(count / 2).map((i) => count / 2 - i));
});

check("an iterator over pages", async () => {
  const c = await full();
  const seen = [];
  for await (const { resources } of c.items.query("SELECT VALUE c.n FROM c ORDER BY c.n", { maxItemCount: 50 }).getAsyncIterator()) seen.push(...resources);
  assert.deepEqual(seen, range(count));
});

check("a query's charge and metrics", async () => {
  const c = await full();
  const page = await c.items.query("SELECT * FROM c WHERE c.n = 6", { partitionKey: devices[0], populateQueryMetrics: true, populateIndexMetrics: true }).fetchNext();
  assert.deepEqual(page.resources.map((d) => d.n), [6]);
  assert.ok(page.requestCharge >= 2, `charge ${page.requestCharge}`);
  assert.match(page.headers["x-ms-documentdb-query-metrics"] ? JSON.stringify(page.headers["x-ms-documentdb-query-metrics"]) : "", /retrievedDocumentCount|RetrievedDocumentCount/i);
  const all = await c.items.query("SELECT * FROM c").fetchAll();
  assert.ok(all.requestCharge > page.requestCharge, `${all.requestCharge} for all, ${page.requestCharge} for one`);
});

check("a continuation that is none", async () => {
  const c = await full();
  await fails(c.items.query("SELECT * FROM c", { partitionKey: devices[0], continuationToken: "not one of yours" }).fetchNext(), 400);
});
