// Properties of hubs, and every way to send.
"use strict";

const crypto = require("node:crypto");
const { EventHubBufferedProducerClient } = require("@azure/event-hubs");
const { types } = require("rhea");
const { assert, check, closing, connection, consecutive, consumer, producer, read, sendAll } = require("./checks.js");

check("hub properties", async () => {
  const p = await producer("matrix").getEventHubProperties();
  assert.equal(p.name, "matrix");
  assert.deepEqual(p.partitionIds, ["0", "1", "2", "3"]);
  assert.ok(p.createdOn instanceof Date && Math.abs(Date.now() - p.createdOn) < 3600_000, `created ${p.createdOn}`);
  assert.deepEqual(await consumer("matrix").getPartitionIds(), p.partitionIds);
});

check("partition properties", async () => {
  const client = producer("properties");
  const empty = await client.getPartitionProperties("1");
  assert.deepEqual(
    { ...empty, lastEnqueuedOnUtc: 0 },
    {
      eventHubName: "properties", partitionId: "1", isEmpty: true, beginningSequenceNumber: 0,
      lastEnqueuedSequenceNumber: -1, lastEnqueuedOffset: "-1", lastEnqueuedOnUtc: 0,
    },
  );
  await client.sendBatch([{ body: 1 }, { body: 2 }], { partitionId: "1" });
  const two = await client.getPartitionProperties("1");
  assert.equal(two.isEmpty, false);
  assert.equal(two.beginningSequenceNumber, 0);
  assert.equal(two.lastEnqueuedSequenceNumber, 1);
  assert.equal(typeof two.lastEnqueuedOffset, "string");
  assert.ok(Math.abs(Date.now() - two.lastEnqueuedOnUtc) < 60_000, `enqueued ${two.lastEnqueuedOnUtc}`);
});

check("batch to a partition", async () => {
  const client = producer("matrix");
  const batch = await client.createBatch({ partitionId: "2" });
  assert.equal(batch.maxSizeInBytes, 1024 * 1024);
  for (let i = 0; i < 100; i++) assert.ok(batch.tryAdd({ body: { i } }));
  const before = await client.getPartitionProperties("2");
  await client.sendBatch(batch);
  const got = await read(consumer("matrix"), "2", 100, {
    startPosition: { sequenceNumber: before.lastEnqueuedSequenceNumber },
  });
  assert.deepEqual(got.map((e) => e.body.i), [...Array(100).keys()]);
  assert.ok(got.every((e) => e.partition === "2" && e.partitionKey == null));
  consecutive(got);
});

// The partitions that the client's own hash gives for these keys, of four.
const partitionOf = { a: "0", A: "1", abc: "1", alphabet: "2", "TwelveBytes!": "1", ThirteenBytes: "3", "device-1": "0", é: "0" };

check("partition keys", async () => {
  const client = producer("keys");
  for (const partitionKey of Object.keys(partitionOf)) {
    const batch = await client.createBatch({ partitionKey });
    batch.tryAdd({ body: partitionKey });
    await client.sendBatch(batch);
    await client.sendBatch([{ body: partitionKey }], { partitionKey });
  }
  const got = await read(consumer("keys"), null, 2 * Object.keys(partitionOf).length);
  for (const [key, partition] of Object.entries(partitionOf)) {
    const mine = got.filter((e) => e.body === key);
    assert.equal(mine.length, 2, `events of key ${key}`);
    for (const e of mine) {
      assert.equal(e.partitionKey, key);
      assert.equal(e.partition, partition, `key ${key}`);
    }
  }
});

check("1000 events with one key in one batch", async () => {
  const client = producer("thousand");
  const events = [...Array(1000).keys()].map((i) => ({ body: `event ${i}`, properties: { i } }));
  assert.equal(await sendAll(client, events, { partitionKey: "one-device" }), 1);
  const got = await read(consumer("thousand"), null, 1000);
  assert.equal(new Set(got.map((e) => e.partition)).size, 1);
  assert.deepEqual(got.map((e) => e.properties.i), [...Array(1000).keys()]);
  assert.ok(got.every((e) => e.partitionKey === "one-device"));
  consecutive(got);
});

check("without key or partition all partitions get events", async () => {
  const client = producer("spread");
  for (let i = 0; i < 40; i++) await client.sendBatch([{ body: i }]);
  const got = await read(consumer("spread"), null, 40);
  assert.equal(new Set(got.map((e) => e.partition)).size, 4);
  assert.deepEqual(got.map((e) => e.body).sort((a, b) => a - b), [...Array(40).keys()]);
});

check("an event of almost 1 MB", async () => {
  const client = producer("large");
  const body = crypto.randomBytes(1024 * 1024 - 512);
  const batch = await client.createBatch({ partitionId: "0" });
  assert.ok(batch.tryAdd({ body, properties: { size: body.length } }), "it does not fit");
  assert.equal(batch.tryAdd({ body: "x".repeat(600) }), false, "the batch takes more than the limit");
  for (let i = 0; i < 3; i++) await client.sendBatch(batch);
  const got = await read(consumer("large"), "0", 3, { skipParsingBodyAsJson: true });
  for (const e of got) assert.ok(body.equals(e.body), `${e.body.length} bytes came back`);
});

check("bodies of every JSON type", async () => {
  const client = producer("bodies");
  const bodies = ["text", "", 12, -1.5, true, null, [1, "two"], { a: { b: [] } }, "漢字 é"];
  await client.sendBatch(bodies.map((body) => ({ body })), { partitionId: "0" });
  const got = await read(consumer("bodies"), "0", bodies.length);
  // The client sends null as a null in the place of bytes; they come back empty.
  assert.deepEqual(got.map((e) => (e.body instanceof Uint8Array && e.body.length === 0 ? null : e.body)), bodies);
});

check("properties of every type", async () => {
  const client = producer("types");
  const when = new Date(1_700_000_000_123);
  const sent = {
    messageId: "id-1", correlationId: "correlated", contentType: "application/json",
    body: { a: 1 },
    properties: {
      text: "é漢", empty: "", integer: 42, negative: -7, large: 2 ** 40, real: 1.25, yes: true, no: false, when,
      nothing: null, byte: types.wrap_byte(-8), ubyte: types.wrap_ubyte(200), short: types.wrap_short(-300),
      ushort: types.wrap_ushort(60000), int: types.wrap_int(-70000), uint: types.wrap_uint(4_000_000_000),
      long: types.wrap_long(-5_000_000_000), ulong: types.wrap_ulong(5_000_000_000), float: types.wrap_float(0.5),
      double: types.wrap_double(0.1), char: types.wrap_char(0x6f22), symbol: types.wrap_symbol("sym"),
      uuid: types.wrap_uuid(Buffer.from("00112233445566778899aabbccddeeff", "hex")), binary: Buffer.from([0, 1, 255]),
    },
  };
  await client.sendBatch([sent], { partitionId: "0" });
  const [got] = await read(consumer("types"), "0", 1);
  assert.equal(got.messageId, "id-1");
  assert.equal(got.correlationId, "correlated");
  assert.equal(got.contentType, "application/json");
  assert.deepEqual(got.body, { a: 1 });
  const { uuid, binary, ...plain } = got.properties;
  assert.deepEqual(plain, {
    text: "é漢", empty: "", integer: 42, negative: -7, large: 2 ** 40, real: 1.25, yes: true, no: false,
    when: when.getTime(), nothing: null, byte: -8, ubyte: 200, short: -300, ushort: 60000, int: -70000,
    uint: 4_000_000_000, long: -5_000_000_000, ulong: 5_000_000_000, float: 0.5, double: 0.1, char: 0x6f22, symbol: "sym",
  });
  // The client hands bytes out as an object with a number for each key.
  const bytes = (o) => Buffer.from(Object.values(o.type === "Buffer" ? o.data : o));
  assert.equal(bytes(uuid).toString("hex"), "00112233445566778899aabbccddeeff");
  assert.equal(bytes(binary).toString("hex"), "0001ff");
});

check("annotated messages: all sections, ids of every type", async () => {
  const client = producer("annotated");
  const id = crypto.randomBytes(16); // which the client makes a UUID of
  const message = {
    bodyType: "data", body: Buffer.from("raw"),
    header: { durable: true, priority: 4, timeToLive: 86_400_000, deliveryCount: 0 },
    messageAnnotations: { "x-mine": "annotation", number: 5, nested: { list: [1, "2"] } },
    properties: {
      messageId: 77, to: "to", subject: "subject", replyTo: "reply",
      correlationId: id, contentType: "text/plain", contentEncoding: "gzip", groupId: "group",
      groupSequence: 3, replyToGroupId: "back", absoluteExpiryTime: 1_700_086_400_000, creationTime: 1_700_000_000_000,
    },
    applicationProperties: { p: "q" },
    footer: { f: "oot" },
  };
  await client.sendBatch([message], { partitionId: "0" });
  const [event] = await read(consumer("annotated"), "0", 1, { skipParsingBodyAsJson: true });
  const got = event.getRawAmqpMessage();
  // It hands out the section of the message, with its content.
  assert.ok(Buffer.from("raw").equals(got.body.content ?? got.body), String(got.body));
  assert.equal(got.bodyType, "data");
  assert.equal(got.header.durable, true);
  assert.equal(got.header.priority, 4);
  assert.equal(got.header.timeToLive, 86_400_000);
  assert.equal(got.messageAnnotations["x-mine"], "annotation");
  assert.equal(got.messageAnnotations.number, 5);
  assert.deepEqual(got.messageAnnotations.nested, { list: [1, "2"] });
  assert.equal(got.messageAnnotations["x-opt-sequence-number"], event.sequenceNumber);
  assert.equal(typeof got.messageAnnotations["x-opt-offset"], "string");
  const p = got.properties;
  assert.equal(p.messageId, 77);
  assert.ok(id.equals(p.correlationId), p.correlationId);
  for (const key of ["to", "subject", "replyTo", "contentType", "contentEncoding", "groupId", "groupSequence", "replyToGroupId"]) {
    assert.equal(p[key], message.properties[key], key);
  }
  assert.equal(Number(p.creationTime), 1_700_000_000_000);
  assert.equal(Number(p.absoluteExpiryTime), 1_700_086_400_000);
  assert.equal(got.applicationProperties.p, "q");
  assert.equal(got.footer.f, "oot");
});

check("bodies that are values and sequences", async () => {
  const client = producer("sequences");
  const sent = [
    { bodyType: "value", body: { a: [1, true, null] } },
    { bodyType: "value", body: "text" },
    { bodyType: "sequence", body: [1, "two", false] },
    { bodyType: "data", body: Buffer.from("data") },
  ];
  for (const m of sent) await client.sendBatch([m], { partitionId: "0" });
  const got = await read(consumer("sequences"), "0", sent.length, { skipParsingBodyAsJson: true });
  assert.deepEqual(got.map((e) => e.getRawAmqpMessage().bodyType), ["value", "value", "sequence", "data"]);
  assert.deepEqual(got.slice(0, 3).map((e) => e.body), sent.slice(0, 3).map((m) => m.body));
  assert.ok(sent[3].body.equals(got[3].body));
});

check("the buffered producer", async () => {
  const errors = [];
  const client = closing(new EventHubBufferedProducerClient(connection, "buffered", {
    maxWaitTimeInMs: 100, onSendEventsErrorHandler: (c) => errors.push(c.error),
  }));
  for (let i = 0; i < 500; i++) await client.enqueueEvent({ body: i }, { partitionKey: `key-${i % 7}` });
  await client.flush();
  assert.deepEqual(errors, []);
  const got = await read(consumer("buffered"), null, 500);
  const partitions = {};
  for (const e of got) {
    const key = `key-${e.body % 7}`;
    partitions[key] ??= e.partition;
    assert.equal(e.partition, partitions[key], `${key} is in two partitions`);
  }
  for (const key of Object.keys(partitions)) {
    const order = got.filter((e) => `key-${e.body % 7}` === key).map((e) => e.body);
    assert.deepEqual(order, [...order].sort((a, b) => a - b), `order of ${key}`);
  }
});

check("the idempotent producer", async () => {
  const errors = [];
  const client = closing(new EventHubBufferedProducerClient(connection, "numbered", {
    maxWaitTimeInMs: 50, enableIdempotentRetries: true, onSendEventsErrorHandler: (c) => errors.push(c.error),
  }));
  for (let i = 0; i < 300; i++) {
    await client.enqueueEvent({ body: i }, { partitionId: String(i % 2) });
    if (i % 100 === 99) await client.flush();
  }
  await client.flush();
  assert.deepEqual(errors, []);
  for (const partition of ["0", "1"]) {
    const got = await read(consumer("numbered"), partition, 150);
    assert.deepEqual(got.map((e) => e.body), [...Array(150).keys()].map((i) => 2 * i + Number(partition)));
  }
});

// The client keeps these settings to itself (they are public in other languages).
function numbered(hub, partition, settings) {
  const client = producer(hub, { retryOptions: { maxRetries: 0 } });
  client._enableIdempotentRetries = true;
  client._partitionOptions = { [partition]: settings };
  return client;
}

check("numbered producers: a newer owner shuts the older one out", async () => {
  const first = numbered("numbered", "3", {});
  await first.sendBatch([{ body: "a" }, { body: "b" }], { partitionId: "3" });
  const state = await first.getPartitionPublishingProperties("3");
  assert.equal(state.lastPublishedSequenceNumber, 2);
  assert.equal(typeof state.producerGroupId, "number");
  const settings = { producerGroupId: state.producerGroupId, ownerLevel: state.ownerLevel + 1 };
  const next = numbered("numbered", "3", { ...settings, startingSequenceNumber: 2 });
  await next.sendBatch([{ body: "c" }], { partitionId: "3" });
  await assert.rejects(first.sendBatch([{ body: "d" }], { partitionId: "3" }), /higher epoch '1'/);
  const got = await read(consumer("numbered"), "3", 3);
  assert.deepEqual(got.map((e) => e.body), ["a", "b", "c"]);
  const { lastEnqueuedSequenceNumber } = await consumer("numbered").getPartitionProperties("3");
  assert.equal(lastEnqueuedSequenceNumber, got[2].sequenceNumber, "more came in");
});

check("producers that come and go", async () => {
  const { lastEnqueuedSequenceNumber } = await consumer("spread").getPartitionProperties("0");
  const got = read(consumer("spread"), "0", 20, { startPosition: { sequenceNumber: lastEnqueuedSequenceNumber } });
  for (let i = 0; i < 20; i++) {
    const client = producer("spread");
    await client.sendBatch([{ body: i }], { partitionId: "0" });
    await client.close();
  }
  assert.deepEqual((await got).map((e) => e.body), [...Array(20).keys()]);
});
