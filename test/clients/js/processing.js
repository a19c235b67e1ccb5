// Three processors that share checkpoints in blob storage; one of them is killed.
"use strict";

const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { ContainerClient } = require("@azure/storage-blob");
const { assert, check, closing, need, producer, sleep } = require("./checks.js");

const storage = need("STORAGE_CONNECTION_STRING");
const partitions = ["0", "1", "2", "3", "4", "5"];

// Worker is a processor in a process of its own, that tells what it does.
class Worker {
  constructor(name, hub, container) {
    this.owned = new Set();
    this.seen = []; // {partition, sequence, body}
    this.runs = []; // {partition, sequences}: what came while it had a partition
    this.checkpoints = {};
    this.exited = new Promise((resolve) => (this.ended = resolve));
    this.child = spawn(process.execPath, [path.join(__dirname, "processor.js"), name, hub, container], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    readline.createInterface({ input: this.child.stdout }).on("line", (line) => this.hear(JSON.parse(line)));
    this.child.on("exit", (code, signal) => this.ended({ code, signal }));
  }

  hear(m) {
    if (m.opened) {
      this.owned.add(m.opened);
      this.runs.push({ partition: m.opened, sequences: [] });
    }
    if (m.closed) this.owned.delete(m.closed);
    if (m.event) {
      this.seen.push(m.event);
      this.runs.findLast((r) => r.partition === m.event.partition).sequences.push(m.event.sequence);
    }
    if (m.checkpoint) this.checkpoints[m.checkpoint.partition] = m.checkpoint.sequence;
    if (m.error) this.error = m.error;
  }

  // stop ends it in good order; kill as a crash would.
  stop() {
    this.child.stdin.end();
    return this.exited;
  }

  kill() {
    this.child.kill("SIGKILL");
    return this.exited;
  }

  async close() {
    await this.kill();
  }
}

async function until(what, condition, seconds = 150) {
  const end = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`${what}: not after ${seconds} s`);
    await sleep(50);
  }
}

async function container(name) {
  const c = new ContainerClient(storage, name);
  await c.createIfNotExists();
  return { close: () => c.deleteIfExists() };
}

let number = 0;
async function send(client, rounds) {
  for (let r = 0; r < rounds; r++) {
    for (const partitionId of partitions) {
      await client.sendBatch([...Array(10).keys()].map(() => ({ body: number++ })), { partitionId });
    }
  }
}

const bodies = (workers) => new Set(workers.flatMap((w) => w.seen.map((e) => e.body)));

check("three processors share the partitions; one is killed, two take over; a fourth goes on where they stopped", async () => {
  const name = `processor-js-${Date.now()}`;
  closing(await container(name));
  const client = producer("processor");
  const start = (n) => closing(new Worker(n, "processor", name));
  const workers = ["one", "two", "three"].map(start);
  await until("each has two partitions", () => workers.every((w) => w.owned.size === 2));
  await send(client, 5);
  await until("all is read", () => bodies(workers).size === number);

  const [killed, ...rest] = workers;
  const theirs = [...killed.owned];
  await killed.kill();
  const before = rest.map((w) => w.seen.length);
  await send(client, 5);
  await until("the others have all partitions", () => rest.every((w) => w.owned.size === 3));
  await until("all is read again", () => bodies(workers).size === number);
  for (const p of theirs) {
    // What the killed one had noted as done is not read once more.
    const done = killed.checkpoints[p] ?? -1;
    const again = rest.flatMap((w, i) => w.seen.slice(before[i])).filter((e) => e.partition === p);
    assert.ok(again.length > 0 && again.every((e) => e.sequence > done), `partition ${p} begins again before ${done}`);
  }
  for (const { partition, sequences } of workers.flatMap((w) => w.runs)) {
    for (let i = 1; i < sequences.length; i++) {
      assert.equal(sequences[i], sequences[i - 1] + 1, `a gap in partition ${partition}`);
    }
  }

  for (const w of rest) assert.equal((await w.stop()).code, 0, w.error);
  const read = number;
  await send(client, 2);
  const fourth = start("four");
  await until("the fourth has all partitions", () => fourth.owned.size === 6);
  await until("the fourth has read the rest", () => bodies([fourth]).size === number - read);
  assert.ok(fourth.seen.every((e) => e.body >= read), "it begins again");
  assert.equal((await fourth.stop()).code, 0, fourth.error);
}, 420);
