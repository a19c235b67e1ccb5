// Several readers of one partition: owner levels, and how many there may be.
"use strict";

const { earliestEventPosition } = require("@azure/event-hubs");
const { assert, check, consumer, fails, producer, quick } = require("./checks.js");

// opened subscribes with an owner level and resolves when events have come; its
// lost is a promise of the error that ends it.
async function opened(hub, ownerLevel, group) {
  let subscription;
  let gone;
  const lost = new Promise((resolve) => (gone = resolve));
  await new Promise((resolve, reject) => {
    subscription = consumer(hub, quick, group).subscribe("0", {
      processEvents: async (events) => events.length > 0 && resolve(),
      processError: async (err) => {
        gone(err);
        reject(err);
      },
    }, { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1, ownerLevel });
  });
  return { lost, close: () => subscription.close() };
}

check("a higher owner level takes the partition over", async () => {
  await producer("owners").sendBatch([{ body: 1 }], { partitionId: "0" });
  const low = await opened("owners", 1);
  const high = await opened("owners", 2);
  const err = await low.lost;
  assert.equal(err.code, "ReceiverDisconnectedError");
  assert.match(err.message, /higher epoch of '2'/);
  await fails(opened("owners", 1), "ReceiverDisconnectedError", /epoch/);
  await fails(opened("owners", undefined), "ReceiverDisconnectedError", /non-epoch receiver is not allowed/);
  // Another group, another owner.
  await (await opened("owners", 1, "reports")).close();
  await high.close();
});

check("the same owner level takes over, too", async () => {
  await producer("owners").sendBatch([{ body: 1 }], { partitionId: "0" });
  const first = await opened("owners", 5);
  const second = await opened("owners", 5);
  assert.equal((await first.lost).code, "ReceiverDisconnectedError");
  await second.close();
});

check("a sixth reader without owner level is refused", async () => {
  await producer("owners").sendBatch([{ body: 1 }], { partitionId: "0" });
  const five = [];
  for (let i = 0; i < 5; i++) five.push(await opened("owners", undefined, "reports"));
  const err = await opened("owners", undefined, "reports").then(() => null, (e) => e);
  assert.ok(err, "it is not");
  assert.equal(err.code, "QuotaExceededError");
  assert.match(err.message, /maximum number of allowed receivers/);
  for (const r of five) await r.close();
});
