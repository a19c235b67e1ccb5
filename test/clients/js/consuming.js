// Every place to start reading from.
"use strict";

const { earliestEventPosition, latestEventPosition } = require("@azure/event-hubs");
const {
  assert, check, consecutive, consumer, producer, quick, read, sendAll, sleep, subscriptionFails,
} = require("./checks.js");

check("100,000 small events", async () => {
  const client = producer("bulk");
  const n = 100_000;
  const perPartition = n / 4;
  await Promise.all(["0", "1", "2", "3"].map((partitionId) =>
    sendAll(client, (function* () {
      for (let i = 0; i < perPartition; i++) yield { body: Buffer.from(`${partitionId}:${i}`) };
    })(), { partitionId })));
  const next = { 0: 0, 1: 0, 2: 0, 3: 0 };
  const got = await read(consumer("bulk"), null, n, { skipParsingBodyAsJson: true, prefetchCount: 3000 });
  assert.equal(got.length, n);
  for (const e of got) {
    assert.equal(e.sequenceNumber, next[e.partition]);
    assert.equal(e.body.toString(), `${e.partition}:${next[e.partition]++}`);
  }
}, 420);

// Twenty events in a partition of their own, the second half later than the first.
let timeline;
async function twenty() {
  if (timeline) return timeline;
  const client = producer("positions");
  const send = async (from) => {
    await client.sendBatch([...Array(10).keys()].map((i) => ({ body: from + i })), { partitionId: "0" });
  };
  await send(0);
  await sleep(1500);
  const between = new Date(Date.now() - 700);
  await send(10);
  const events = await read(consumer("positions"), "0", 20, { startPosition: earliestEventPosition });
  consecutive(events);
  timeline = { between, events };
  return timeline;
}

async function startsWith(startPosition, first) {
  const want = [...Array(20 - first).keys()].map((i) => first + i);
  const got = await read(consumer("positions"), "0", want.length, { startPosition });
  assert.deepEqual(got.map((e) => e.body), want);
}

check("start at the earliest event", async () => {
  await twenty();
  await startsWith(earliestEventPosition, 0);
});
check("start behind an offset", async () => {
  const { events } = await twenty();
  await startsWith({ offset: events[4].offset }, 5);
});
check("start at an offset", async () => {
  const { events } = await twenty();
  await startsWith({ offset: events[4].offset, isInclusive: true }, 4);
});
check("start behind a sequence number", async () => {
  const { events } = await twenty();
  await startsWith({ sequenceNumber: events[7].sequenceNumber }, 8);
});
check("start at a sequence number", async () => {
  const { events } = await twenty();
  await startsWith({ sequenceNumber: events[7].sequenceNumber, isInclusive: true }, 7);
});
check("start at a time", async () => {
  const { between } = await twenty();
  await startsWith({ enqueuedOn: between }, 10);
  await startsWith({ enqueuedOn: new Date(0) }, 0);
});

check("start with the latest: only what comes later", async () => {
  const client = producer("later");
  await client.sendBatch([{ body: "before" }], { partitionId: "0" });
  // When it has begun to read shows only in what it gets.
  let begun = false;
  const reading = read(consumer("later"), "0", 2, { startPosition: latestEventPosition }).finally(() => (begun = true));
  for (let i = 0; !begun && i < 600; i++) {
    await client.sendBatch([{ body: i }], { partitionId: "0" });
    await sleep(200);
  }
  const got = (await reading).map((e) => e.body);
  assert.equal(typeof got[0], "number", `${got[0]} was there before`);
  assert.deepEqual(got.slice(0, 2), [got[0], got[0] + 1]);
});

check("offsets beyond the end are refused", async () => {
  await twenty();
  await subscriptionFails(consumer("positions", quick), "0", "ArgumentError", /supplied (offset|sequence number)/i,
    { startPosition: { offset: "999999" } });
});

check("each consumer group reads for itself", async () => {
  await twenty();
  for (const group of ["reports", "REPORTS", "$default"]) {
    const got = await read(consumer("positions", {}, group), "0", 20);
    assert.equal(got.length, 20, group);
  }
});

check("the last enqueued event is known to readers that ask", async () => {
  const { events } = await twenty();
  const got = await read(consumer("positions"), "0", 20, { trackLastEnqueuedEventProperties: true, maxBatchSize: 5 });
  const last = got[0].context.lastEnqueuedEventProperties;
  assert.equal(last.sequenceNumber, events[19].sequenceNumber);
  assert.equal(last.offset, events[19].offset);
  assert.equal(Number(last.enqueuedOn), Number(events[19].enqueuedTimeUtc));
  assert.ok(Math.abs(Date.now() - last.retrievedOn) < 60_000, `retrieved ${last.retrievedOn}`);
  const without = await read(consumer("positions"), "0", 1);
  assert.equal(without[0].context.lastEnqueuedEventProperties?.sequenceNumber, undefined);
});

check("events arrive while nothing else happens", async () => {
  const reading = read(consumer("later"), "1", 5);
  const client = producer("later");
  for (let i = 0; i < 5; i++) {
    await sleep(300);
    await client.sendBatch([{ body: i }], { partitionId: "1" });
  }
  assert.deepEqual((await reading).map((e) => e.body), [0, 1, 2, 3, 4]);
});
