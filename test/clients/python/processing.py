"""Three processors that share checkpoints in blob storage; one of them is killed."""

import json
import os
import subprocess
import sys
import threading
import time

from azure.core.exceptions import ResourceExistsError
from azure.eventhub import EventData
from azure.storage.blob import ContainerClient

from checks import check, closing, equal, need, producer

STORAGE = need("STORAGE_CONNECTION_STRING")
PARTITIONS = "012345"


class Worker:
    """A processor in a process of its own, that tells what it does."""

    def __init__(self, name, hub, container):
        self.owned, self.seen, self.checkpoints, self.errors = set(), [], {}, []
        self.runs = []  # (partition, sequences): what came while it had a partition
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "processor.py")
        self._process = subprocess.Popen(
            [sys.executable, "-B", program, name, hub, container], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        for line in self._process.stdout:
            m = json.loads(line)
            if "opened" in m:
                self.owned.add(m["opened"])
                self.runs.append((m["opened"], []))
            if "closed" in m:
                self.owned.discard(m["closed"])
            if "event" in m:
                self.seen.append(tuple(m["event"]))
                partition, sequence, _ = m["event"]
                next(r for p, r in reversed(self.runs) if p == partition).append(sequence)
            if "checkpoint" in m:
                partition, sequence = m["checkpoint"]
                self.checkpoints[partition] = sequence
            if "error" in m:
                self.errors.append(m["error"])

    def stop(self):
        """Ends it in good order."""
        self._process.stdin.close()
        return self._ended()

    def kill(self):
        """Ends it as a crash would."""
        self._process.kill()
        return self._ended()

    def _ended(self):
        code = self._process.wait(150)
        self._thread.join(10)
        return code

    def close(self):
        self.kill()


class Container:
    def __init__(self, name):
        self._client = ContainerClient.from_connection_string(STORAGE, name)
        try:
            self._client.create_container()
        except ResourceExistsError:
            pass

    def close(self):
        self._client.delete_container()
        self._client.close()


def until(what, condition, seconds=150):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {seconds} s")
        time.sleep(0.05)


def bodies(workers):
    return {body for w in workers for _, _, body in list(w.seen)}


@check("three processors share the partitions; one is killed, two take over; a fourth goes on where they stopped", seconds=420)
def _():
    name = f"processor-py-{time.time_ns()}"
    closing(Container(name))
    client = producer("processor")
    number = 0

    def send(rounds):
        nonlocal number
        for _ in range(rounds):
            for partition in PARTITIONS:
                client.send_batch([EventData(str(number + i)) for i in range(10)], partition_id=partition)
                number += 10

    def start(worker):
        return closing(Worker(worker, "processor", name))

    workers = [start(n) for n in ("one", "two", "three")]
    until("each has two partitions", lambda: all(len(w.owned) == 2 for w in workers))
    send(5)
    until("all is read", lambda: len(bodies(workers)) == number)

    killed, *rest = workers
    theirs = list(killed.owned)
    killed.kill()
    before = [len(w.seen) for w in rest]
    send(5)
    until("the others have all partitions", lambda: all(len(w.owned) == 3 for w in rest))
    until("all is read again", lambda: len(bodies(workers)) == number)
    for p in theirs:
        # What the killed one had noted as done is not read once more.
        again = [s for w, n in zip(rest, before) for partition, s, _ in w.seen[n:] if partition == p]
        done = killed.checkpoints.get(p, -1)
        assert again and min(again) > done, f"partition {p} begins again before {done}"

    for partition, sequences in (r for w in workers for r in w.runs):
        first = sequences[0] if sequences else 0
        equal(sequences, list(range(first, first + len(sequences))), f"partition {partition}")

    for w in rest:
        equal((w.stop(), w.errors), (0, []), "the end of a processor")
    read = number
    send(2)
    fourth = start("four")
    until("the fourth has all partitions", lambda: len(fourth.owned) == 6)
    until("the fourth has read the rest", lambda: len(bodies([fourth])) == number - read)
    assert min(int(b) for b in bodies([fourth])) >= read, "it begins again"
    equal((fourth.stop(), fourth.errors), (0, []), "the end of the fourth")
