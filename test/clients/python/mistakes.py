"""What clients are told when something is wrong, and other ways to connect."""

import base64
import hashlib
import hmac
import os
import re
import time
import urllib.parse

from azure.eventhub import EventData, EventHubProducerClient, TransportType
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventDataError, EventDataSendError, EventHubError

from checks import QUICK, check, closing, consumer, fails, is_error, need, producer, read, reading

WRONG_KEY = need("EVENTHUB_WRONG_KEY")
TLS = need("EVENTHUB_TLS")
CA = need("EVENTHUB_CA")
# With TLS the client takes the port from this option only.
ENDPOINT = re.search("Endpoint=([^;]*)", TLS)[1]


@check("an event over the limit")
def _():
    client = producer("matrix", **QUICK)
    batch = client.create_batch(partition_id="0")
    fails(ValueError, "size", batch.add, EventData(bytes(1024 * 1024)))
    fails(ValueError, "size", client.create_batch, max_size_in_bytes=2 * 1024 * 1024)
    fails((EventDataSendError, EventDataError, ValueError), "(?i)size|large|exceed", client.send_event, EventData(bytes(2 * 1024 * 1024)), partition_id="0")
    client.send_event(EventData("the link still works"), partition_id="0")


@check("an unknown hub")
def _():
    fails(EventHubError, "no-such-hub", producer("no-such-hub", **QUICK).get_eventhub_properties)
    fails(EventHubError, "no-such-hub", producer("no-such-hub", **QUICK).send_event, EventData("x"))
    is_error(reading(consumer("no-such-hub", **QUICK), "0").failure(), EventHubError, "no-such-hub")


@check("an unknown consumer group")
def _():
    is_error(reading(consumer("matrix", "no-such-group", **QUICK), "0").failure(), EventHubError, "no-such-group")


@check("an unknown partition")
def _():
    # The client itself refuses, but for the last one.
    is_error(reading(consumer("matrix", **QUICK), "4").failure(), ValueError, "Wrong partition id")
    fails(EventHubError, "Invalid partition 4", producer("matrix", **QUICK).send_event, EventData("x"), partition_id="4")
    fails(EventHubError, "(?i)partition", producer("matrix", **QUICK).get_partition_properties, "4")


@check("a wrong key")
def _():
    fails(AuthenticationError, "(?i)token|auth", producer("matrix", WRONG_KEY, **QUICK).send_event, EventData("x"))
    is_error(reading(consumer("matrix", "$Default", WRONG_KEY, **QUICK), "0").failure(), AuthenticationError, "(?i)token|auth")


def send_and_read(**options):
    client = producer("secure", TLS, connection_verify=CA, **options)
    before = client.get_partition_properties("0")["last_enqueued_sequence_number"]
    body = os.urandom(300_000)
    client.send_event(EventData(body), partition_id="0")
    [(_, e)] = read(consumer("secure", "$Default", TLS, connection_verify=CA, **options), "0", 1, start=before)
    assert b"".join(e.body) == body, "another body came back"


@check("over TLS")
def _():
    send_and_read(transport_type=TransportType.Amqp, custom_endpoint_address=ENDPOINT)


@check("over a WebSocket")
def _():
    send_and_read(transport_type=TransportType.AmqpOverWebsocket, custom_endpoint_address=ENDPOINT)


@check("with a token in the place of a key")
def _():
    key, name = (re.search(f"{k}=([^;]*)", TLS)[1] for k in ("SharedAccessKey", "SharedAccessKeyName"))
    expiry = int(time.time()) + 3600
    resource = urllib.parse.quote_plus(ENDPOINT + "/secure")
    digest = hmac.new(key.encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()

    def client(hub, signature):
        text = urllib.parse.quote_plus(base64.b64encode(signature))
        token = f"SharedAccessSignature sr={resource}&sig={text}&se={expiry}&skn={name}"
        return closing(EventHubProducerClient.from_connection_string(
            f"Endpoint={ENDPOINT};SharedAccessSignature={token}", eventhub_name=hub, connection_verify=CA,
            transport_type=TransportType.Amqp, custom_endpoint_address=ENDPOINT, **QUICK))

    client("secure", digest).send_event(EventData("x"))
    fails((AuthenticationError, ConnectError), "(?i)token|auth", client("secure", digest[::-1]).send_event, EventData("x"))
    fails((AuthenticationError, ConnectError), "(?i)token|auth", client("matrix", digest).send_event, EventData("x"))
