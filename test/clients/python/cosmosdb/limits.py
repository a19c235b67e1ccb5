"""What holds clients back or keeps them out: request units, keys, TLS."""

import asyncio
import base64
import concurrent.futures
import os
import time

import azure.cosmos.aio
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey
from azure.cosmos.documents import ConnectionPolicy, SSLConfiguration
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.cosmos._retry_options import RetryOptions

from cosmosdb.checks import CONNECTION, DEVICES, check, fails, part
from runner import equal, fails as raises, need

# An item costs some 25 RU: on the slowest machine too, 400 RU/s are soon used up.
FILLER = "x" * 50_000


def doc(i):
    return {"id": f"{i}", "deviceId": DEVICES[i % len(DEVICES)], "n": i, "filler": FILLER}


def create(sdk, name, n, waves=1, **options):
    """Creates n items at once and returns what came of each: a charge or an error.
    Up to so many waves of n follow each other until there is an error."""
    if sdk.kind == "asyncio":
        async def work():
            async with azure.cosmos.aio.CosmosClient(part("AccountEndpoint"), part("AccountKey"), **options) as client:
                c = client.get_database_client(sdk.name).get_container_client(name)
                got = []
                for first in range(0, waves * n, n):
                    got += await asyncio.gather(*(c.create_item(doc(first + i)) for i in range(n)), return_exceptions=True)
                    if any(isinstance(a, Exception) for a in got):
                        break
                return got

        answers = asyncio.run(work())
    else:
        c = sdk.opened(name, sdk.connect(**options))

        def one(i):
            try:
                return c.create_item(doc(i))
            except CosmosHttpResponseError as err:
                return err

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = []
            for first in range(0, waves * n, n):
                answers += pool.map(one, range(first, first + n))
                if any(isinstance(a, Exception) for a in answers):
                    break
    return [a if isinstance(a, Exception) else float(a.get_response_headers()["x-ms-request-charge"]) for a in answers]


@check("more than the request units: the client waits and succeeds")
def _(sdk):
    sdk.container("throttled", 400)
    before = time.monotonic()
    # Of the first wave all may be let in before the first is charged; the second
    # then meets the debt, and waits until it is paid.
    charges = create(sdk, "throttled", 40, waves=2)
    equal([a for a in charges if isinstance(a, Exception)], [])
    took, first = time.monotonic() - before, sum(charges[:40])
    assert first > 800, first
    assert took > first / 400 - 1.5, f"{first} RU, and more, within {took} s"


@check("more than the request units, without retries")
def _(sdk):
    sdk.container("refused", 400)
    policy = ConnectionPolicy()
    policy.RetryOptions = RetryOptions(max_retry_attempt_count=0)
    # On a slow machine all of a wave may be let in before the first is charged;
    # the next one then meets the debt.
    answers = create(sdk, "refused", 60, waves=10, connection_policy=policy)
    refused = [a for a in answers if isinstance(a, Exception)]
    assert 0 < len(refused) < len(answers), f"{len(refused)} of {len(answers)}"
    for err in refused:
        equal((err.status_code, err.sub_status), (429, 3200))
        assert float(err.headers["x-ms-retry-after-ms"]) > 0, err.headers
        assert "Request rate is large" in err.message, err.message
    equal(len(list(sdk.query(sdk.opened("refused"), "SELECT VALUE c.n FROM c"))), len(answers) - len(refused))


@check("more throughput, less throttling")
def _(sdk):
    c = sdk.container("raised", 400)
    c.replace_throughput(10000)
    policy = ConnectionPolicy()
    policy.RetryOptions = RetryOptions(max_retry_attempt_count=0)
    equal([a for a in create(sdk, "raised", 60, connection_policy=policy) if isinstance(a, Exception)], [])


@check("a wrong key")
def _(sdk):
    err = fails(401, lambda: sdk.connect(key=base64.b64encode(b"another key").decode()).get_database_client("x").read(),
                pattern="(?i)authorization token")
    assert "Unauthorized" in err.message, err.message


@check("over TLS, with a certificate of one's own")
def _(sdk):
    tls, trusted = need("COSMOSDB_TLS"), {}
    if sdk.kind == "sync":
        trusted = {"ssl_config": SSLConfiguration(), "connection_verify": need("COSMOSDB_CA")}
    # The asynchronous client verifies nothing of localhost.
    db = sdk.connect(tls, **trusted).create_database_if_not_exists("secure")
    c = db.create_container_if_not_exists(f"py-{sdk.kind}", PartitionKey(path="/pk"))
    c.upsert_item({"id": "1", "pk": "a"})
    equal(c.read_item("1", "a")["id"], "1")
    if sdk.kind == "sync":
        empty = os.path.join(os.path.dirname(need("COSMOSDB_CA")), "nobody.pem")
        raises((AzureError, OSError), "(?i)certificate|CA|ssl", sdk.connect, tls, ssl_config=SSLConfiguration(), connection_verify=empty)
