"""The client's other half: the one for asyncio."""

import asyncio

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient

from checks import CONNECTION, check, equal


@check("asyncio: send and read")
def _():
    async def work():
        producer = EventHubProducerClient.from_connection_string(CONNECTION, eventhub_name="async")
        async with producer:
            equal((await producer.get_eventhub_properties())["partition_ids"], ["0", "1"])
            for partition in "01":
                for _ in range(5):
                    batch = await producer.create_batch(partition_id=partition)
                    for i in range(200):
                        batch.add(EventData(f"{i}"))
                    await producer.send_batch(batch)
        consumer = EventHubConsumerClient.from_connection_string(CONNECTION, "$Default", eventhub_name="async")
        got = {"0": [], "1": []}
        done = asyncio.Event()

        async def on_events(context, events):
            got[context.partition_id].extend(e.body_as_str() for e in events)
            if sum(map(len, got.values())) >= 2000:
                done.set()

        async with consumer:
            task = asyncio.ensure_future(consumer.receive_batch(on_events, starting_position="-1", max_wait_time=1))
            await asyncio.wait_for(done.wait(), 150)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for partition in "01":
            equal(got[partition], [str(i) for _ in range(5) for i in range(200)], f"partition {partition}")

    asyncio.run(work())
