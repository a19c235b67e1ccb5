// What the checks of Event Hubs have in common.
"use strict";

const assert = require("node:assert/strict");
const { EventHubProducerClient, EventHubConsumerClient } = require("@azure/event-hubs");
const { check, closing, need, sleep } = require("./runner.js");

const connection = need("EVENTHUB_CONNECTION_STRING");

// quick makes mistakes come back instead of being repeated for a minute.
const quick = { retryOptions: { maxRetries: 0, timeoutInMs: 60000 } };

function producer(hub, options, conn = connection) {
  return closing(new EventHubProducerClient(conn, hub, options));
}

function consumer(hub, options, group = "$Default", conn = connection) {
  return closing(new EventHubConsumerClient(group, conn, hub, options));
}

// batches sends events in as few batches as they fit in and returns how many.
async function sendAll(client, events, options) {
  let n = 0;
  let batch = await client.createBatch(options);
  for (const event of events) {
    if (batch.tryAdd(event)) continue;
    await client.sendBatch(batch);
    n++;
    batch = await client.createBatch(options);
    assert.ok(batch.tryAdd(event), "an event does not fit in an empty batch");
  }
  if (batch.count > 0) {
    await client.sendBatch(batch);
    n++;
  }
  return n;
}

// read subscribes and resolves to the first n events, as [{partition, ...event}].
function read(client, partition, n, options = {}) {
  const got = [];
  return new Promise((resolve, reject) => {
    const end = (f, v) => {
      subscription.close().then(() => f(v), reject);
    };
    const handlers = {
      processEvents: async (events, context) => {
        if (got.length >= n) return;
        for (const e of events) got.push(Object.assign(e, { partition: context.partitionId, context }));
        if (got.length >= n) end(resolve, got);
      },
      processError: async (err) => end(reject, err),
    };
    const all = { maxBatchSize: 1000, maxWaitTimeInSeconds: 1, startPosition: { offset: "-1" }, ...options };
    const subscription = partition === null ? client.subscribe(handlers, all) : client.subscribe(partition, handlers, all);
  });
}

// fails asserts that a promise is rejected with the code, and returns the error.
async function fails(promise, code, pattern) {
  let value;
  try {
    value = await promise;
  } catch (err) {
    if (err.code !== code) throw new Error(`code ${err.code} (${err.message}), want ${code}`);
    if (pattern) assert.match(err.message, pattern);
    return err;
  }
  throw new Error(`no error but ${JSON.stringify(value)}`);
}

// subscriptionFails asserts that a subscription ends with an error of the code.
async function subscriptionFails(client, partition, code, pattern, options) {
  return fails(read(client, partition, 1, options), code, pattern);
}

// consecutive asserts that events of one partition follow each other.
function consecutive(events) {
  for (let i = 1; i < events.length; i++) {
    assert.equal(events[i].sequenceNumber, events[i - 1].sequenceNumber + 1, `gap after event ${i - 1}`);
  }
}

module.exports = {
  assert, check, closing, connection, consecutive, consumer, fails, need, producer, quick, read, sendAll, sleep,
  subscriptionFails,
};
