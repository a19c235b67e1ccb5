// What clients are told when something is wrong, and other ways to connect.
"use strict";

const WebSocket = require("ws");
const crypto = require("node:crypto");
const { EventHubProducerClient } = require("@azure/event-hubs");
const { assert, check, closing, consumer, fails, need, producer, quick, read, subscriptionFails } = require("./checks.js");

const wrongKey = need("EVENTHUB_WRONG_KEY");
const secure = need("EVENTHUB_TLS");

check("an event over the limit", async () => {
  const client = producer("matrix", quick);
  const batch = await client.createBatch();
  assert.equal(batch.tryAdd({ body: Buffer.alloc(1024 * 1024) }), false);
  await assert.rejects(client.createBatch({ maxSizeInBytes: 2 * 1024 * 1024 }), /size/i);
  await fails(client.sendBatch([{ body: Buffer.alloc(2 * 1024 * 1024) }], { partitionId: "0" }), "MessageTooLargeError");
  await client.sendBatch([{ body: "the link still works" }], { partitionId: "0" });
});

check("an unknown hub", async () => {
  await fails(producer("no-such-hub", quick).getEventHubProperties(), "MessagingEntityNotFoundError", /no-such-hub/);
  await assert.rejects(producer("no-such-hub", quick).sendBatch([{ body: 1 }]), /no-such-hub/);
  await assert.rejects(read(consumer("no-such-hub", quick), "0", 1), /no-such-hub/);
});

check("an unknown consumer group", async () => {
  await assert.rejects(read(consumer("matrix", quick, "no-such-group"), "0", 1), /no-such-group/);
});

check("an unknown partition", async () => {
  await subscriptionFails(consumer("matrix", quick), "4", "ArgumentOutOfRangeError", /between 0 and 3/);
  await fails(producer("matrix", quick).sendBatch([{ body: 1 }], { partitionId: "4" }), "ArgumentOutOfRangeError");
  await assert.rejects(producer("matrix", quick).getPartitionProperties("4"));
});

check("a wrong key", async () => {
  await fails(producer("matrix", quick, wrongKey).sendBatch([{ body: 1 }]), "UnauthorizedError");
  await subscriptionFails(consumer("matrix", quick, "$Default", wrongKey), "0", "UnauthorizedError");
});

async function sendAndRead(options, connection) {
  const client = producer("secure", options, connection);
  const before = await client.getPartitionProperties("0");
  const body = crypto.randomBytes(300_000);
  await client.sendBatch([{ body }], { partitionId: "0" });
  const [got] = await read(consumer("secure", options, "$Default", connection), "0", 1, {
    startPosition: { sequenceNumber: before.lastEnqueuedSequenceNumber }, skipParsingBodyAsJson: true,
  });
  assert.ok(body.equals(got.body));
}

check("over TLS", () => sendAndRead({}, secure));

check("over a WebSocket", () => sendAndRead({ webSocketOptions: { webSocket: WebSocket } }, secure));

check("with a token in the place of a key", async () => {
  const part = (name) => new RegExp(`${name}=([^;]*)`).exec(secure)[1];
  const host = part("Endpoint").replace("sb://", "");
  const resource = encodeURIComponent(`sb://${host}/secure`);
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const signature = crypto.createHmac("sha256", part("SharedAccessKey")).update(`${resource}\n${expiry}`).digest("base64");
  const token = (sig) =>
    `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(sig)}&se=${expiry}&skn=${part("SharedAccessKeyName")}`;
  const connect = (t, hub) => closing(new EventHubProducerClient(`Endpoint=sb://${host};SharedAccessSignature=${t}`, hub, quick));
  await connect(token(signature), "secure").sendBatch([{ body: 1 }]);
  await fails(connect(token(signature.replace(/^./, (c) => (c === "A" ? "B" : "A"))), "secure").sendBatch([{ body: 1 }]), "UnauthorizedError");
  await fails(connect(token(signature), "matrix").sendBatch([{ body: 1 }]), "UnauthorizedError");
});
