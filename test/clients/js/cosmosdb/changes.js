// The change feed: by partition key, by feed range, of the whole container.
"use strict";

const { ChangeFeedMode, ChangeFeedStartFrom } = require("@azure/cosmos");
const { assert, check, connect, container, databaseId, devices, fill, fourRanges, range, sleep } = require("./checks.js");

const doc = (i, n = i) => ({ id: `${i}`, deviceId: devices[i % devices.length], n });

async function full(id, n = 60) {
  const c = await container(id, {}, { offerThroughput: fourRanges });
  await fill(c, range(n).map((i) => doc(i)));
  return c;
}

// read takes pages until there is nothing new.
async function read(iterator) {
  const got = [];
  let continuation;
  for (let i = 0; i < 1000; i++) {
    const page = await iterator.readNext();
    continuation = page.continuationToken;
    if (page.statusCode === 304) return { got, continuation };
    got.push(...page.result);
  }
  throw new Error("the feed does not end");
}

const numbers = (docs) => docs.map((d) => d.n).sort((a, b) => a - b);

check("from the beginning, and on from there by another client", async () => {
  const c = await full("whole");
  const { got, continuation } = await read(c.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Beginning(), maxItemCount: 7 }));
  assert.deepEqual(numbers(got), range(60));
  assert.ok(got.every((d) => d._lsn > 0 && d._etag), "no _lsn");
  await c.item("1", devices[1]).replace(doc(1, 101));
  await c.item("2", devices[2]).patch([{ op: "set", path: "/n", value: 102 }]);
  await c.item("3", devices[3]).delete();
  await c.items.create(doc(60));
  const other = connect().database(databaseId).container("whole");
  const next = await read(other.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Continuation(continuation) }));
  assert.deepEqual(numbers(next.got), [60, 101, 102]);
  const last = await read(other.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Continuation(next.continuation) }));
  assert.deepEqual(last.got, []);
});

check("only the latest version of an item", async () => {
  const c = await container("latest");
  for (const n of range(5)) await c.items.upsert({ id: "1", deviceId: "d1", n });
  const { got } = await read(c.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Beginning() }));
  assert.deepEqual(numbers(got), [4]);
});

check("from now", async () => {
  const c = await full("now");
  const iterator = c.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Now() });
  assert.equal((await iterator.readNext()).statusCode, 304);
  await c.items.upsert(doc(5, 500));
  await c.items.upsert(doc(60));
  assert.deepEqual(numbers((await read(iterator)).got), [60, 500]);
});

check("from a time", async () => {
  const c = await full("time", 6);
  await sleep(2100); // the header has whole seconds
  const since = new Date(Math.floor(Date.now() / 1000) * 1000);
  await c.items.upsert(doc(1, 100));
  const { got } = await read(c.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Time(since) }));
  assert.deepEqual(numbers(got), [100]);
});

check("of a partition key, in order", async () => {
  const c = await full("key");
  const start = ChangeFeedStartFrom.Beginning(devices[0]);
  for (const i of [12, 0, 6]) await c.items.upsert(doc(i, i + 1000));
  const { got, continuation } = await read(c.items.getChangeFeedIterator({ changeFeedStartFrom: start, maxItemCount: 3 }));
  assert.deepEqual(got.slice(-3).map((d) => d.n), [1012, 1000, 1006]);
  assert.equal(got.length, 10);
  assert.ok(got.every((d) => d.deviceId === devices[0]));
  await c.items.upsert(doc(1, 1)); // another key of the same range
  await c.items.upsert(doc(18, 1018));
  const next = await read(c.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Continuation(continuation) }));
  assert.deepEqual(next.got.map((d) => d.n), [1018]);
});

check("of each feed range", async () => {
  const c = await full("ranges");
  const ranges = await c.getFeedRanges();
  assert.equal(ranges.length, 4);
  const all = [];
  for (const r of ranges) {
    const { got } = await read(c.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Beginning(r), maxItemCount: 4 }));
    assert.ok(got.length > 0, "an empty range");
    const lsns = got.map((d) => d._lsn);
    assert.deepEqual(lsns, [...lsns].sort((a, b) => a - b));
    all.push(...got);
  }
  assert.deepEqual(numbers(all), range(60));
});

check("of a partition key, the older way", async () => {
  const c = await full("older", 24);
  const iterator = c.items.changeFeed(devices[2], { startFromBeginning: true, maxItemCount: 2 });
  const got = [];
  let continuation;
  while (iterator.hasMoreResults) {
    const page = await iterator.fetchNext();
    if (page.statusCode !== 304) got.push(...page.result);
    continuation = page.continuation;
  }
  assert.deepEqual(got.map((d) => d.n).sort((a, b) => a - b), [2, 8, 14, 20]);
  await c.items.upsert(doc(8, 80));
  const next = await c.items.changeFeed(devices[2], { continuation }).fetchNext();
  assert.deepEqual(next.result.map((d) => d.n), [80]);
  assert.equal((await c.items.changeFeed(devices[2]).fetchNext()).statusCode, 304);
});

check("all versions and deletes are refused", async () => {
  const c = await container("versions");
  const iterator = c.items.getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Now(), changeFeedMode: ChangeFeedMode.AllVersionsAndDeletes });
  await assert.rejects(iterator.readNext(), (err) => err.code === 400);
});
