"""One processor: reads a hub with checkpoints in a container, tells about it as
lines of JSON, and stops in good order when its input ends."""

import json
import os
import sys
import threading

from azure.eventhub import EventHubConsumerClient
from azure.eventhub.exceptions import OwnershipLostError
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore

name, hub, container = sys.argv[1:]
_lock = threading.Lock()


def tell(**m):
    with _lock:
        print(json.dumps(m), flush=True)


def on_events(context, events):
    if not events:
        return
    for e in events:
        tell(event=(context.partition_id, e.sequence_number, e.body_as_str()))
    context.update_checkpoint(events[-1])
    tell(checkpoint=(context.partition_id, events[-1].sequence_number))


def on_error(context, err):
    # Another processor has the partition now: the way that sharing works.
    if not isinstance(err, OwnershipLostError) and "epoch" not in str(err) and "stolen" not in str(err):
        tell(error=f"{context and context.partition_id}: {err}")


client = EventHubConsumerClient.from_connection_string(
    os.environ["EVENTHUB_CONNECTION_STRING"], "$Default", eventhub_name=hub,
    checkpoint_store=BlobCheckpointStore.from_connection_string(os.environ["STORAGE_CONNECTION_STRING"], container),
    load_balancing_interval=0.5, partition_ownership_expiration_interval=4, load_balancing_strategy="greedy",
)


def stop_with_input():
    sys.stdin.read()
    client.close()


threading.Thread(target=stop_with_input, daemon=True).start()
client.receive_batch(
    on_events, on_error=on_error, starting_position="-1", max_batch_size=20, max_wait_time=1,
    on_partition_initialize=lambda c: tell(opened=c.partition_id),
    on_partition_close=lambda c, reason: tell(closed=c.partition_id, reason=str(reason)),
)
