// Runs checks one after the other and prints a line for each: "ok NAME" or
// "FAIL NAME: DETAIL". The last line is "done N", so that what ended early is
// not taken for what passed.
"use strict";

const assert = require("node:assert/strict");
const { EventHubProducerClient, EventHubConsumerClient } = require("@azure/event-hubs");

const connection = need("EVENTHUB_CONNECTION_STRING");
const checks = [];
let closers = [];

function need(name) {
  const v = process.env[name];
  if (!v) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return v;
}

// check adds a check; run may use what closes itself at its end (see closing).
function check(name, run, seconds = 60) {
  checks.push({ name, run, seconds });
}

// closing has client.close() called when the check is over.
function closing(client) {
  closers.push(client);
  return client;
}

// quick makes mistakes come back instead of being repeated for a minute.
const quick = { retryOptions: { maxRetries: 0, timeoutInMs: 15000 } };

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

// read subscribes and resolves to the first n events, as [{partition, ...event}],
// or to those that have come after patience milliseconds, if that is given.
function read(client, partition, n, options = {}, patience = 0) {
  const got = [];
  return new Promise((resolve, reject) => {
    let timer;
    const end = (f, v) => {
      clearTimeout(timer);
      subscription.close().then(() => f(v), reject);
    };
    if (patience) timer = setTimeout(() => end(resolve, got), patience);
    const handlers = {
      processEvents: async (events, context) => {
        if (got.length >= n && !patience) return;
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

function within(promise, seconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function runAll(pattern) {
  const only = pattern && new RegExp(pattern);
  let failed = 0;
  let ran = 0;
  for (const { name, run, seconds } of checks) {
    if (only && !only.test(name)) continue;
    ran++;
    const started = Date.now();
    let problem = null;
    try {
      await within(run(), seconds);
    } catch (err) {
      problem = err;
    }
    const toClose = closers;
    closers = [];
    for (const c of toClose) {
      try {
        await within(c.close(), 20);
      } catch (err) {
        problem ??= new Error(`closing: ${err.message}`);
      }
    }
    if (problem) {
      failed++;
      console.log(`FAIL ${name}: ${String(problem.stack ?? problem).replace(/\s*\n\s*/g, " | ")}`);
    } else {
      console.log(`ok ${name} (${Date.now() - started} ms)`);
    }
  }
  console.log(`done ${ran}`);
  process.exit(failed > 0 ? 1 : 0);
}

module.exports = {
  assert, check, closing, connection, consecutive, consumer, fails, need, producer, quick, read, runAll, sendAll, sleep,
  subscriptionFails,
};
