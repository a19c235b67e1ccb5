// One processor: reads a hub with checkpoints in a container, tells about it as
// lines of JSON, and stops in good order when its input ends.
"use strict";

const { EventHubConsumerClient, earliestEventPosition } = require("@azure/event-hubs");
const { BlobCheckpointStore } = require("@azure/eventhubs-checkpointstore-blob");
const { ContainerClient } = require("@azure/storage-blob");

const [name, hub, container] = process.argv.slice(2);
const tell = (m) => process.stdout.write(JSON.stringify(m) + "\n");
const store = new BlobCheckpointStore(new ContainerClient(process.env.STORAGE_CONNECTION_STRING, container));
const client = new EventHubConsumerClient("$Default", process.env.EVENTHUB_CONNECTION_STRING, hub, store, {
  identifier: name,
  loadBalancingOptions: { strategy: "greedy", updateIntervalInMs: 500, partitionOwnershipExpirationIntervalInMs: 4000 },
});

const subscription = client.subscribe({
  processInitialize: async (c) => tell({ opened: c.partitionId }),
  processClose: async (reason, c) => tell({ closed: c.partitionId, reason }),
  processError: async (err, c) => {
    if (err.code !== "ReceiverDisconnectedError") tell({ error: `${c.partitionId}: ${err.message}` });
  },
  processEvents: async (events, c) => {
    if (events.length === 0) return;
    for (const e of events) tell({ event: { partition: c.partitionId, sequence: e.sequenceNumber, body: e.body } });
    const last = events[events.length - 1];
    await c.updateCheckpoint(last);
    tell({ checkpoint: { partition: c.partitionId, sequence: last.sequenceNumber } });
  },
}, { startPosition: earliestEventPosition, maxBatchSize: 20, maxWaitTimeInSeconds: 1 });

process.stdin.resume();
process.stdin.on("end", async () => {
  await subscription.close();
  await client.close();
  process.exit(0);
});
