"""What a kafka-python client does with the endpoint; prints "ok" at the end.

Arguments: bootstrap address, connection string.
"""

import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

address, connection_string = sys.argv[1:]
common = dict(
    bootstrap_servers=address,
    security_protocol="SASL_PLAINTEXT",
    sasl_mechanism="PLAIN",
    sasl_plain_username="$ConnectionString",
    sasl_plain_password=connection_string,
)


def check(ok, what):
    if not ok:
        raise SystemExit("failed: " + what)


admin = KafkaAdminClient(**common)
admin.create_topics([NewTopic("made", num_partitions=3, replication_factor=1)])
try:
    admin.create_topics([NewTopic("made", num_partitions=3, replication_factor=1)])
    check(False, "a topic was created twice")
except TopicAlreadyExistsError:
    pass
topics = sorted(admin.list_topics())
check(topics == ["made", "telemetry"], "topics are %s" % topics)

# Idempotent producer with keys and headers.
producer = KafkaProducer(acks="all", enable_idempotence=True, max_request_size=1_000_000, **common)
futures = [
    producer.send("made", key=b"key-%d" % (i % 7), value=b"value-%d" % i, headers=[("h", b"\x00\x01")])
    for i in range(1000)
]
producer.flush(60)
for f in futures:
    f.get(60)
check(sum(1 for f in futures if f.value.offset == 0) <= 3, "offsets of the sends")
big = producer.send("made", value=b"x" * 900_000, partition=0).get(60)
check(big.partition == 0, "a large event")
try:
    producer.send("made", value=b"x" * 2_000_000).get(60)
    check(False, "an event of 2 MB was taken")
except MessageSizeTooLargeError:
    pass
producer.close(30)

# gzip.
producer = KafkaProducer(compression_type="gzip", **common)
for i in range(100):
    producer.send("telemetry", value=b"zipped-%d" % i)
producer.flush(60)
producer.close(30)


def read(consumer, n):
    got = []
    end = time.time() + 60
    while len(got) < n and time.time() < end:
        for records in consumer.poll(timeout_ms=500).values():
            got.extend(records)
    check(len(got) == n, "read %d of %d" % (len(got), n))
    return got


# A group: reads, commits, and the next member goes on from there.
group = dict(group_id="readers", auto_offset_reset="earliest", enable_auto_commit=False, **common)
consumer = KafkaConsumer("made", **group)
got = read(consumer, 1001)
check(all(r.headers == [("h", b"\x00\x01")] for r in got if r.key), "headers")
last = {}
for r in got:
    check(last.get(r.partition, -1) < r.offset, "order")
    last[r.partition] = r.offset
consumer.commit({TopicPartition("made", p): OffsetAndMetadata(o + 1, "m", -1) for p, o in last.items()})
consumer.close()
consumer = KafkaConsumer("made", "telemetry", **group)
got = read(consumer, 100)
check({r.topic for r in got} == {"telemetry"}, "the second member read again what was committed")
check(sorted(r.value for r in got)[0] == b"zipped-0", "gzip")
consumer.close()

# Without a group: offsets, times, seeking.
consumer = KafkaConsumer(**common)
parts = [TopicPartition("made", p) for p in sorted(consumer.partitions_for_topic("made"))]
check(len(parts) == 3, "partitions are %s" % parts)
consumer.assign(parts)
ends = consumer.end_offsets(parts)
check(sum(ends.values()) == 1001 and sum(consumer.beginning_offsets(parts).values()) == 0, "ends are %s" % ends)
times = consumer.offsets_for_times({parts[0]: 1})
check(times[parts[0]].offset == 0, "offsets by time are %s" % times)
consumer.seek(parts[0], ends[parts[0]] - 1)
consumer.seek_to_end(parts[1], parts[2])
got = read(consumer, 1)
check(got[0].offset == ends[parts[0]] - 1, "seeking")
consumer.close()

admin.delete_topics(["made"])
check(sorted(admin.list_topics()) == ["telemetry"], "after deleting, topics are %s" % admin.list_topics())
admin.close()
print("ok")
