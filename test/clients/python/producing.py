"""Properties of hubs, and every way to send."""

import datetime
import os
import uuid

from azure.eventhub import EventData
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType, AmqpMessageHeader, AmqpMessageProperties

from checks import CONNECTION, bodies, check, consumer, equal, producer, read, reading, send_all


def now():
    return datetime.datetime.now(datetime.timezone.utc)


@check("hub properties")
def _():
    for client in (producer("matrix"), consumer("matrix")):
        p = client.get_eventhub_properties()
        equal(p["eventhub_name"], "matrix")
        equal(p["partition_ids"], ["0", "1", "2", "3"])
        assert abs(now() - p["created_at"]) < datetime.timedelta(hours=1), p
        equal(client.get_partition_ids(), ["0", "1", "2", "3"])


@check("partition properties")
def _():
    client = producer("properties")
    p = client.get_partition_properties("1")
    when = p.pop("last_enqueued_time_utc")
    want = {
        "eventhub_name": "properties", "id": "1", "beginning_sequence_number": 0, "last_enqueued_sequence_number": -1,
        "last_enqueued_offset": "-1", "is_empty": True,
    }
    equal(p, want)
    client.send_batch([EventData("1"), EventData("2")], partition_id="1")
    p = client.get_partition_properties("1")
    equal((p["is_empty"], p["beginning_sequence_number"], p["last_enqueued_sequence_number"]), (False, 0, 1))
    assert isinstance(p["last_enqueued_offset"], str) and p["last_enqueued_time_utc"] > when, p
    assert abs(now() - p["last_enqueued_time_utc"]) < datetime.timedelta(minutes=1), p


@check("batch to a partition")
def _():
    client = producer("matrix")
    batch = client.create_batch(partition_id="2")
    equal(batch.max_size_in_bytes, 1024 * 1024)
    for i in range(100):
        batch.add(EventData(f"{i}"))
    before = client.get_partition_properties("2")["last_enqueued_sequence_number"]
    client.send_batch(batch)
    got = read(consumer("matrix"), "2", 100, start=before)
    equal(bodies(got), [str(i) for i in range(100)])
    equal([e.sequence_number for _, e in got], list(range(before + 1, before + 101)))
    assert all(e.partition_key is None for _, e in got)


# The partitions that these keys have in the service, of four.
PARTITION_OF = {"a": "0", "A": "1", "abc": "1", "alphabet": "2", "TwelveBytes!": "1", "ThirteenBytes": "3", "device-1": "0", "é": "0"}


@check("partition keys")
def _():
    client = producer("keys")
    for key in PARTITION_OF:
        batch = client.create_batch(partition_key=key)
        batch.add(EventData(key))
        client.send_batch(batch)
        client.send_batch([EventData(key)], partition_key=key)
        client.send_event(EventData(key), partition_key=key)
    got = read(consumer("keys"), None, 3 * len(PARTITION_OF))
    for key, partition in PARTITION_OF.items():
        mine = [(p, e.partition_key.decode()) for p, e in got if e.body_as_str() == key]
        equal(mine, [(partition, key)] * 3, f"key {key}")


@check("1000 events with one key in one batch")
def _():
    client = producer("thousand")
    events = [EventData(f"event {i}") for i in range(1000)]
    for i, e in enumerate(events):
        e.properties = {"i": i}
    equal(send_all(client, events, partition_key="one-device"), 1)
    got = read(consumer("thousand"), None, 1000)
    equal(len({p for p, _ in got}), 1)
    equal([e.properties[b"i"] for _, e in got], list(range(1000)))
    first = got[0][1].sequence_number
    equal([e.sequence_number for _, e in got], list(range(first, first + 1000)))
    assert all(e.partition_key == b"one-device" for _, e in got)


@check("without key or partition all partitions get events")
def _():
    client = producer("spread")
    for i in range(40):
        client.send_batch([EventData(f"{i}")])
    got = read(consumer("spread"), None, 40)
    equal(len({p for p, _ in got}), 4)
    equal(sorted(int(b) for b in bodies(got)), list(range(40)))


@check("an event of almost 1 MB")
def _():
    client = producer("large")
    body = os.urandom(1024 * 1024 - 512)
    for _ in range(3):
        batch = client.create_batch(partition_id="0")
        batch.add(EventData(body))
        try:
            batch.add(EventData(b"x" * 600))
        except ValueError:
            pass
        else:
            raise AssertionError("the batch takes more than the limit")
        client.send_batch(batch)
    for _, e in read(consumer("large"), "0", 3):
        assert b"".join(e.body) == body, "another body came back"


@check("an event with a body of several parts")
def _():
    client = producer("bodies")
    client.send_batch([EventData(b"one"), EventData([b"two", b"three"]), EventData(""), EventData("é")], partition_id="0")
    got = read(consumer("bodies"), "0", 4)
    equal([b"".join(e.body) for _, e in got], [b"one", b"twothree", b"", "é".encode()])


@check("properties of every type")
def _():
    client = producer("types")
    unique, when = uuid.uuid4(), now().replace(microsecond=123_000)
    event = EventData("body")
    event.content_type, event.correlation_id, event.message_id = "text/plain", "correlated", "id-1"
    event.properties = {
        "text": "é漢", "empty": "", "integer": 42, "negative": -7, "large": {"TYPE": "LONG", "VALUE": 2**40},
        "real": 1.25, "yes": True, "no": False, "nothing": None, "binary": b"\x00\x01\xff", "uuid": unique, "when": when,
    }
    client.send_batch([event], partition_id="0")
    [(_, got)] = read(consumer("types"), "0", 1)
    equal((got.content_type, got.correlation_id, got.message_id), ("text/plain", "correlated", "id-1"))
    want = {
        b"text": "é漢".encode(), b"empty": b"", b"integer": 42, b"negative": -7, b"large": 2**40, b"real": 1.25, b"yes": True,
        b"no": False, b"nothing": None, b"binary": b"\x00\x01\xff", b"uuid": unique,
        b"when": int(when.timestamp() * 1000),
    }
    equal(got.properties, want)


@check("annotated messages: all sections, ids of every type")
def _():
    client = producer("annotated")
    ids = ["text", 77, uuid.uuid4(), b"binary"]
    for i in ids:
        client.send_batch([AmqpAnnotatedMessage(
            data_body=b"raw",
            header=AmqpMessageHeader(durable=True, priority=4, time_to_live=86_400_000),
            annotations={"x-mine": "annotation", "number": 5},
            properties=AmqpMessageProperties(
                message_id=i, user_id=b"me", to="to", subject="subject", reply_to="reply", correlation_id=i,
                content_type="text/plain", content_encoding="gzip", group_id="group", group_sequence=3,
                reply_to_group_id="back", creation_time=1_700_000_000_000,
            ),
            application_properties={"p": "q"},
            footer={"f": "oot"},
        )], partition_id="0")
    got = read(consumer("annotated"), "0", len(ids))
    for i, (_, event) in zip(ids, got):
        m = event.raw_amqp_message
        equal(b"".join(m.body), b"raw")
        equal((m.header.durable, m.header.priority, m.header.time_to_live), (True, 4, 86_400_000))
        equal((m.annotations[b"x-mine"], m.annotations[b"number"]), (b"annotation", 5))
        equal(m.annotations[b"x-opt-sequence-number"], event.sequence_number)
        as_read = i.encode() if isinstance(i, str) else i
        p = m.properties
        equal((p.message_id, p.correlation_id), (as_read, as_read))
        equal(
            (p.user_id, p.to, p.subject, p.reply_to, p.content_type, p.content_encoding, p.group_id, p.group_sequence, p.reply_to_group_id),
            (b"me", b"to", b"subject", b"reply", b"text/plain", b"gzip", b"group", 3, b"back"),
        )
        equal(p.creation_time, 1_700_000_000_000)
        equal(m.application_properties, {b"p": b"q"})
        equal(m.footer, {b"f": b"oot"})


@check("bodies that are values and sequences")
def _():
    client = producer("sequences")
    client.send_batch([AmqpAnnotatedMessage(value_body={"a": [1, True, None]})], partition_id="0")
    client.send_batch([AmqpAnnotatedMessage(value_body="text")], partition_id="0")
    client.send_batch([AmqpAnnotatedMessage(sequence_body=[1, "two", False])], partition_id="0")
    client.send_batch([AmqpAnnotatedMessage(data_body=[b"da", b"ta"])], partition_id="0")
    got = [e.raw_amqp_message for _, e in read(consumer("sequences"), "0", 4)]
    equal([m.body_type for m in got], [AmqpMessageBodyType.VALUE, AmqpMessageBodyType.VALUE, AmqpMessageBodyType.SEQUENCE, AmqpMessageBodyType.DATA])
    equal(got[0].body, {b"a": [1, True, None]})
    equal(got[1].body, b"text")
    equal([list(s) if isinstance(s, list) else s for s in got[2].body], [[1, b"two", False]])
    equal(list(got[3].body), [b"da", b"ta"])


@check("system properties")
def _():
    client = producer("types")
    client.send_batch([EventData("x")], partition_id="0", partition_key=None)
    last = client.get_partition_properties("0")["last_enqueued_sequence_number"]
    [(_, e)] = read(consumer("types"), "0", 1, start=last, inclusive=True)
    equal(e.system_properties[b"x-opt-sequence-number"], last)
    assert isinstance(e.offset, str) and e.offset, e.offset
    assert abs(now() - e.enqueued_time) < datetime.timedelta(minutes=1), e.enqueued_time


@check("the buffered producer")
def _():
    errors, sent = [], []
    client = producer(
        "buffered", buffered_mode=True, max_wait_time=0.2,
        on_success=lambda events, p: sent.extend(events), on_error=lambda events, p, err: errors.append(err),
    )
    for i in range(500):
        client.send_event(EventData(f"{i}"), partition_id=str(i % 4))
    client.flush()
    equal((errors, len(sent), client.total_buffered_event_count), ([], 500, 0))
    got = read(consumer("buffered"), None, 500)
    for partition in range(4):
        mine = [int(e.body_as_str()) for p, e in got if p == str(partition)]
        equal(mine, list(range(partition, 500, 4)), f"partition {partition}")


@check("producers that come and go")
def _():
    last = consumer("spread").get_partition_properties("0")["last_enqueued_sequence_number"]
    r = reading(consumer("spread"), "0", start=last)
    for i in range(10):
        client = producer("spread")
        client.send_batch([EventData(f"{i}")], partition_id="0")
        client.close()
    equal(bodies(r.until(10)), [str(i) for i in range(10)])


@check("connection strings may name the hub")
def _():
    from azure.eventhub import EventHubProducerClient

    with EventHubProducerClient.from_connection_string(CONNECTION + ";EntityPath=matrix") as client:
        equal(client.get_eventhub_properties()["eventhub_name"], "matrix")
