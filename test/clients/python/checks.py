"""What the checks of Event Hubs have in common."""

import threading

from azure.eventhub import EventHubConsumerClient, EventHubProducerClient

from runner import check, closing, equal, fails, is_error, need, short

CONNECTION = need("EVENTHUB_CONNECTION_STRING")
# Makes mistakes come back instead of being repeated.
QUICK = {"retry_total": 0}


def producer(hub, conn=CONNECTION, **options):
    return closing(EventHubProducerClient.from_connection_string(conn, eventhub_name=hub, **options))


def consumer(hub, group="$Default", conn=CONNECTION, **options):
    return closing(EventHubConsumerClient.from_connection_string(conn, group, eventhub_name=hub, **options))


def send_all(client, events, **options):
    """Sends events in as few batches as they fit in and returns how many."""
    n = 0
    batch = client.create_batch(**options)
    for event in events:
        try:
            batch.add(event)
        except ValueError:
            client.send_batch(batch)
            n += 1
            batch = client.create_batch(**options)
            batch.add(event)
    if len(batch) > 0:
        client.send_batch(batch)
        n += 1
    return n


class Reading:
    """Reads a partition, or all for None, in a thread of its own."""

    def __init__(self, client, partition, start="-1", inclusive=False, batch=1000, watch=None, **options):
        # watch counts how often the client opens a link to each partition.
        self.events = []  # (partition, event)
        self.contexts = []
        self.error = None
        self._news = threading.Condition()
        self._client = client
        if watch is not None:
            self._watch(watch)
        if partition is not None:
            options["partition_id"] = partition
        self._thread = threading.Thread(
            target=self._run,
            kwargs=dict(starting_position=start, starting_position_inclusive=inclusive, max_batch_size=batch, **options),
            daemon=True,
        )
        self._thread.start()

    def _watch(self, opened):
        create = self._client._create_consumer

        def watched(*args, **kwargs):
            made = create(*args, **kwargs)
            again = made._create_handler

            def counted(*args, **kwargs):
                opened[made._partition] += 1
                return again(*args, **kwargs)

            made._create_handler = counted
            return made

        self._client._create_consumer = watched

    def _run(self, **options):
        try:
            self._client.receive_batch(self._got, on_error=self._failed, max_wait_time=1, **options)
        except Exception as err:  # whatever ends it is what the check looks at
            self._failed(None, err)

    def _got(self, context, events):
        with self._news:
            self.contexts.append(context)
            self.events.extend((context.partition_id, e) for e in events)
            self._news.notify_all()

    def _failed(self, _, err):
        with self._news:
            self.error = self.error or err
            self._news.notify_all()

    def until(self, n, seconds=150):
        """Waits for n events and returns them, closing nothing."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.events) >= n or self.error, seconds):
                raise AssertionError(f"{len(self.events)} events after {seconds} s, want {n}")
            if len(self.events) < n:
                raise self.error
            return list(self.events)

    def failure(self, seconds=150):
        """Waits for the error that ends it."""
        with self._news:
            if not self._news.wait_for(lambda: self.error, seconds):
                raise AssertionError(f"no error after {seconds} s")
            return self.error

    def close(self):
        self._client.close()
        self._thread.join(20)


def reading(client, partition, **options):
    return closing(Reading(client, partition, **options))


def read(client, partition, n, seconds=150, **options):
    """The first n events, as (partition, event)."""
    r = Reading(client, partition, **options)
    try:
        return r.until(n, seconds)
    finally:
        r.close()


def bodies(events):
    return [e.body_as_str() for _, e in events]
