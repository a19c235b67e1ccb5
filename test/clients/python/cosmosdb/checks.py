"""What the checks of Cosmos DB have in common. Each is run with both of the
client's halves: as it is, and through the one for asyncio, whose coroutines and
asynchronous iterators are driven to their ends, one by one, on a loop of their
own."""

import asyncio
import functools
import inspect
import json
import re
import sys

import azure.cosmos
import azure.cosmos.aio
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

import runner
from runner import closing, equal, need, short

CONNECTION = need("COSMOSDB_CONNECTION_STRING")
# Enough for four physical partition key ranges, and for no check to be throttled.
FOUR_RANGES = 40000
# Devices whose keys lie in all of four ranges, two in the first and in the last.
DEVICES = ["device-4", "device-11", "device-2", "device-1", "device-0", "device-6"]

SYSTEM = ("_rid", "_self", "_etag", "_ts", "_attachments", "_lsn")


class Blocking:
    """An object of the asynchronous client that is used like the other's."""

    def __init__(self, loop, target):
        self._loop = loop
        self._target = target

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if not callable(value):
            return self._wrap(value)

        @functools.wraps(value)
        def call(*args, **options):
            return self._wrap(value(*map(_unwrap, args), **{k: _unwrap(v) for k, v in options.items()}))

        return call

    def __iter__(self):
        return Blocking(self._loop, self._target.__aiter__())

    def __next__(self):
        try:
            return self._wrap(self._target.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def _wrap(self, value):
        if inspect.isawaitable(value):
            value = self._loop.run_until_complete(value)
        if type(value).__module__.startswith("azure.cosmos.aio") or hasattr(value, "__anext__") or hasattr(value, "__aiter__"):
            return Blocking(self._loop, value)
        return value


def _unwrap(value):
    return value._target if isinstance(value, Blocking) else value


def part(name, connection=CONNECTION):
    return re.search(f"{name}=([^;]*)", connection)[1]


class SDK:
    """One of the client's halves, and what a check makes with it."""

    def __init__(self, kind):
        self.kind = kind
        self.name = f"py-{sys.argv[1].rsplit('.')[-1]}-{kind}"

    def connect(self, connection=CONNECTION, key=None, **options):
        """A client that is closed when the check is over."""
        endpoint, key = part("AccountEndpoint", connection), key or part("AccountKey", connection)
        if self.kind == "sync":
            return closing(azure.cosmos.CosmosClient(endpoint, key, **options))
        loop = asyncio.new_event_loop()

        async def make():
            return await azure.cosmos.aio.CosmosClient(endpoint, key, **options).__aenter__()

        return closing(_OwnLoop(loop, loop.run_until_complete(make())))

    def database(self, client=None):
        """The program's database, which all of its checks use."""
        return (client or self.connect()).create_database_if_not_exists(self.name)

    def container(self, name, throughput=10000, path="/deviceId", client=None, **definition):
        """Creates a container in the program's database."""
        kind = "MultiHash" if isinstance(path, list) else "Hash"
        key = PartitionKey(path=path, kind=kind, version=2)
        return self.database(client).create_container(name, key, offer_throughput=throughput, **definition)

    def opened(self, name, client=None):
        """A container that is there, by another client unless one is given."""
        return (client or self.connect()).get_database_client(self.name).get_container_client(name)


    def query(self, container, text, **options):
        """A query over all ranges, if it names none."""
        if self.kind == "sync" and not {"partition_key", "feed_range"} & options.keys():
            options["enable_cross_partition_query"] = True  # the other half knows by itself
        return container.query_items(text, **options)


class _OwnLoop(Blocking):
    def close(self):
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._target.close())
            self._loop.close()


def check(name, seconds=60):
    """Adds a function of an SDK to the checks, once for each half."""

    def add(function):
        for kind in ("sync", "asyncio"):
            runner.check(f"{name} ({kind})", seconds)(functools.partial(function, SDK(kind)))
        return function

    return add


def fill(container, docs):
    """Creates documents, in a batch for each device."""
    for device in DEVICES:
        mine = [("create", (d,)) for d in docs if d["deviceId"] == device]
        if mine:
            container.execute_item_batch(mine, device)


def fails(status, function, *args, pattern="", sub_status=None, **options):
    """Asserts that a call, or going through what it gives, fails with a status."""
    try:
        value = function(*args, **options)
        if not isinstance(value, (dict, list)) and hasattr(value, "__iter__"):
            value = list(value)
    except CosmosHttpResponseError as err:
        equal(err.status_code, status, f"status of {err.message}")
        if sub_status is not None:
            equal(err.sub_status, sub_status, f"sub-status of {err.message}")
        if not re.search(pattern, str(err.message)):
            raise AssertionError(f"{err.message}, want something like {pattern}") from err
        return err
    raise AssertionError(f"no error but {short(value)}, want {status}")


def plain(doc):
    """A document without the system's properties."""
    return {k: v for k, v in doc.items() if k not in SYSTEM}


def in_order(values):
    """Any values in an order that only depends on what they are."""
    return sorted(values, key=lambda v: json.dumps(v, sort_keys=True))


def same(got, want, what=""):
    """Compares values; unlike == it tells 1 from True."""
    equal(json.dumps(_numbers(got), sort_keys=True), json.dumps(_numbers(want), sort_keys=True), what)


def _numbers(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {k: _numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    return value
