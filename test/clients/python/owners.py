"""Several readers of one partition: owner levels, and how many there may be."""

from azure.eventhub import EventData
from azure.eventhub.exceptions import EventHubError

from checks import QUICK, check, consumer, is_error, producer, reading


def opened(hub, level, group="$Default"):
    r = reading(consumer(hub, group, **QUICK), "0", **({} if level is None else {"owner_level": level}))
    r.until(1)
    return r


@check("a higher owner level takes the partition over")
def _():
    producer("owners").send_batch([EventData("1")], partition_id="0")
    low = opened("owners", 1)
    high = opened("owners", 2)
    is_error(low.failure(), EventHubError, "higher epoch of '2'")
    for level, said in ((1, "epoch"), (None, "non-epoch receiver is not allowed")):
        r = reading(consumer("owners", **QUICK), "0", **({} if level is None else {"owner_level": level}))
        is_error(r.failure(), EventHubError, said)
    opened("owners", 1, "reports").close()
    high.close()


@check("the same owner level takes over, too")
def _():
    producer("owners").send_batch([EventData("1")], partition_id="0")
    first = opened("owners", 5)
    opened("owners", 5)
    is_error(first.failure(), EventHubError, "higher epoch of '5'")


@check("a sixth reader without owner level is refused")
def _():
    producer("owners").send_batch([EventData("1")], partition_id="0")
    for _ in range(5):
        opened("owners", None, "reports")
    r = reading(consumer("owners", "reports", **QUICK), "0")
    is_error(r.failure(), EventHubError, "maximum number of allowed receivers")
