// Single items: what is written, read, changed, refused.
"use strict";

const { randomBytes } = require("node:crypto");
const { assert, check, connect, container, database, databaseId, fails, pages, plain, range, sleep } = require("./checks.js");

check("create, read, replace, upsert, delete", async () => {
  const c = await container("basics");
  const doc = { id: "1", deviceId: "d1", n: 1, text: "é 漢 \u{1F600}", list: [1, null, { a: [] }], big: 12345678901234, small: 1.5e-9 };
  const created = await c.items.create(doc);
  assert.equal(created.statusCode, 201);
  assert.deepEqual(plain(created.resource), doc);
  for (const property of ["_rid", "_self", "_etag", "_ts", "_attachments"]) assert.ok(property in created.resource, property);
  assert.equal(created.etag, created.resource._etag);
  assert.ok(Math.abs(created.resource._ts - Date.now() / 1000) < 120);
  assert.ok(created.requestCharge > 0, "no charge");
  assert.ok(created.activityId, "no activity id");
  assert.ok(created.headers["x-ms-session-token"], "no session token");

  const read = await c.item("1", "d1").read();
  assert.equal(read.statusCode, 200);
  assert.deepEqual(read.resource, created.resource);
  assert.equal(read.requestCharge, 1);

  const replaced = await c.item("1", "d1").replace({ id: "1", deviceId: "d1", n: 2 });
  assert.equal(replaced.statusCode, 200);
  assert.notEqual(replaced.etag, created.etag);
  assert.equal(replaced.resource._rid, created.resource._rid);
  assert.deepEqual(plain((await c.item("1", "d1").read()).resource), { id: "1", deviceId: "d1", n: 2 });

  assert.equal((await c.items.upsert({ id: "1", deviceId: "d1", n: 3 })).statusCode, 200);
  assert.equal((await c.items.upsert({ id: "2", deviceId: "d1", n: 4 })).statusCode, 201);
  assert.equal((await c.item("1", "d1").read()).resource.n, 3);

  const deleted = await c.item("1", "d1").delete();
  assert.equal(deleted.statusCode, 204);
  assert.equal((await c.item("1", "d1").read()).statusCode, 404);
  assert.equal((await c.item("2", "d1").read()).resource.n, 4);
});

check("an id is made where there is none", async () => {
  const c = await container("made-ids");
  const { resource } = await c.items.create({ deviceId: "d1" });
  assert.match(resource.id, /^[0-9a-f-]{36}$/);
  assert.equal((await c.item(resource.id, "d1").read()).statusCode, 200);
  await fails(c.items.create({ deviceId: "d1" }, { disableAutomaticIdGeneration: true }), 400);
});

check("what is not there", async () => {
  const c = await container("missing");
  const read = await c.item("1", "d1").read();
  assert.equal(read.statusCode, 404);
  assert.equal(read.resource, undefined);
  await fails(c.item("1", "d1").replace({ id: "1", deviceId: "d1" }), 404);
  await fails(c.item("1", "d1").delete(), 404);
  await fails(c.item("1", "d1").patch([{ op: "set", path: "/a", value: 1 }]), 404);
  const db = connect().database(databaseId);
  await fails(db.container("no-such").items.create({ id: "1" }), 404);
  await fails(db.container("no-such").items.query("SELECT * FROM c").fetchAll(), 404);
});

check("the same id twice", async () => {
  const c = await container("conflicts");
  await c.items.create({ id: "1", deviceId: "d1", n: 1 });
  const err = await fails(c.items.create({ id: "1", deviceId: "d1", n: 2 }), 409, /already exists/);
  assert.equal(err.body.code, "Conflict");
  assert.equal((await c.items.create({ id: "1", deviceId: "d2" })).statusCode, 201);
  assert.equal((await c.item("1", "d1").read()).resource.n, 1);
});

check("unique keys", async () => {
  const c = await container("unique", { uniqueKeyPolicy: { uniqueKeys: [{ paths: ["/eventId"] }, { paths: ["/a", "/b/c"] }] } });
  await c.items.create({ id: "1", deviceId: "d1", eventId: "e1", a: 1, b: { c: 1 } });
  await fails(c.items.create({ id: "2", deviceId: "d1", eventId: "e1", a: 2 }), 409, /[Uu]nique/);
  await fails(c.items.create({ id: "2", deviceId: "d1", eventId: "e2", a: 1, b: { c: 1 } }), 409);
  await c.items.create({ id: "2", deviceId: "d1", eventId: "e2", a: 1, b: { c: 2 } });
  await c.items.create({ id: "2", deviceId: "d2", eventId: "e1", a: 1, b: { c: 1 } }); // another logical partition
  await fails(c.item("2", "d1").replace({ id: "2", deviceId: "d1", eventId: "e1" }), 409);
  await fails(c.items.upsert({ id: "3", deviceId: "d1", eventId: "e2" }), 409);
  await fails(c.item("2", "d1").patch([{ op: "set", path: "/eventId", value: "e1" }]), 409);
  await c.items.upsert({ id: "1", deviceId: "d1", eventId: "e9" });
  await c.items.create({ id: "4", deviceId: "d1", eventId: "e1", a: 4 }); // free again
});

check("preconditions with ETags", async () => {
  const c = await container("etags");
  const item = c.item("1", "d1");
  const { etag: first } = await c.items.create({ id: "1", deviceId: "d1", n: 1 });
  const ifMatch = (condition) => ({ accessCondition: { type: "IfMatch", condition } });
  const { etag: second } = await item.replace({ id: "1", deviceId: "d1", n: 2 }, ifMatch(first));
  const err = await fails(item.replace({ id: "1", deviceId: "d1", n: 3 }, ifMatch(first)), 412);
  assert.equal(err.body.code, "PreconditionFailed");
  await fails(c.items.upsert({ id: "1", deviceId: "d1", n: 3 }, ifMatch(first)), 412);
  await fails(item.patch([{ op: "set", path: "/n", value: 3 }], ifMatch(first)), 412);
  await fails(item.delete(ifMatch(first)), 412);
  assert.equal((await item.read()).resource.n, 2);
  assert.equal((await item.read({ accessCondition: { type: "IfNoneMatch", condition: second } })).statusCode, 304);
  assert.equal((await item.read({ accessCondition: { type: "IfNoneMatch", condition: first } })).statusCode, 200);
  await item.replace({ id: "1", deviceId: "d1", n: 4 }, ifMatch("*"));
  const { etag: last } = await item.read();
  assert.equal((await item.delete(ifMatch(last))).statusCode, 204);
});

check("partition keys of every type", async () => {
  const c = await container("keys", { partitionKey: { paths: ["/a/b"], version: 2 } });
  const keys = ["text", "é 漢 \" \\ \n", "", 1, -1.5, 0, true, false, null];
  for (const [i, b] of keys.entries()) await c.items.create({ id: "same", a: { b }, i });
  await c.items.create({ id: "same", i: "none" });
  for (const [i, b] of keys.entries()) {
    const { resource, statusCode } = await c.item("same", b).read();
    assert.equal(statusCode, 200, `key ${JSON.stringify(b)}`);
    assert.equal(resource.i, i, `key ${JSON.stringify(b)}`);
    const { resources } = await c.items.query("SELECT VALUE c.i FROM c", { partitionKey: b }).fetchAll();
    assert.deepEqual(resources, [i], `query with key ${JSON.stringify(b)}`);
  }
  assert.equal((await c.item("same", undefined).read()).resource.i, "none");
  assert.equal((await c.items.readAll().fetchAll()).resources.length, keys.length + 1);
});

check("hierarchical partition keys", async () => {
  const c = await container("hierarchical", { partitionKey: { paths: ["/tenant", "/user", "/session"], kind: "MultiHash", version: 2 } });
  for (const tenant of ["a", "b"]) {
    for (const user of ["u1", "u2"]) {
      for (const session of [1, 2]) await c.items.create({ id: "1", tenant, user, session, text: `${tenant}-${user}-${session}` });
    }
  }
  assert.equal((await c.item("1", ["a", "u2", 1]).read()).resource.text, "a-u2-1");
  assert.equal((await c.item("1", ["a", "u3", 1]).read()).statusCode, 404);
  await c.item("1", ["a", "u2", 1]).patch([{ op: "set", path: "/text", value: "patched" }]);
  const found = async (partitionKey) => (await c.items.query("SELECT VALUE c.text FROM c", { partitionKey }).fetchAll()).resources.sort();
  assert.deepEqual(await found(["a", "u2", 1]), ["patched"]);
  assert.deepEqual(await found(["b", "u1"]), ["b-u1-1", "b-u1-2"]);
  assert.deepEqual(await found(["b"]), ["b-u1-1", "b-u1-2", "b-u2-1", "b-u2-2"]);
  assert.equal((await c.items.query("SELECT * FROM c").fetchAll()).resources.length, 8);
  await c.item("1", ["a", "u1", 1]).delete();
  assert.equal((await c.items.query("SELECT * FROM c").fetchAll()).resources.length, 7);
});

check("a key that is not the document's", async () => {
  const c = await container("mismatch");
  await c.items.create({ id: "1", deviceId: "d1" });
  await fails(c.item("1", "d1").replace({ id: "1", deviceId: "d2" }), 400, /[Pp]artition/, 1001);
  await fails(c.item("1", "d1").replace({ id: "2", deviceId: "d1" }), 400);
  assert.equal((await c.item("1", "d2").read()).statusCode, 404);
});

check("ids with characters of every kind", async () => {
  const c = await container("odd-ids");
  for (const id of ["a b", "é漢\u{1F600}", "100%", "a+b", "a&b=c", "'quoted\"", "a;b,c", "(x)[y]{z}", "<>|`^~", "A", "a", "x".repeat(255)]) {
    assert.equal((await c.items.create({ id, deviceId: "d1" })).statusCode, 201, id);
    assert.equal((await c.item(id, "d1").read()).resource?.id, id, id);
    assert.equal((await c.items.query({ query: "SELECT VALUE c.id FROM c WHERE c.id = @id", parameters: [{ name: "@id", value: id }] }).fetchAll()).resources[0], id);
    assert.equal((await c.item(id, "d1").replace({ id, deviceId: "d1", n: 1 })).statusCode, 200, id);
  }
  for (const id of await c.items.readAll().fetchAll().then((r) => r.resources.map((d) => d.id))) await c.item(id, "d1").delete();
  for (const id of ["a/b", "a\\b", "a?b", "a#b"]) await assert.rejects(c.items.create({ id, deviceId: "d1" }), undefined, id);
});

check("large items", async () => {
  const c = await container("large", {}, { offerThroughput: 100000 });
  const text = randomBytes(900_000).toString("hex");
  await c.items.create({ id: "1", deviceId: "d1", text });
  assert.equal((await c.item("1", "d1").read()).resource.text, text);
  await fails(c.items.create({ id: "2", deviceId: "d1", text: text + text }), 413);
});

check("patches of every kind", async () => {
  const c = await container("patches");
  const item = c.item("1", "d1");
  await c.items.create({ id: "1", deviceId: "d1", n: 1, text: "a", list: [1, 2, 3], deep: { a: { b: 1 } }, gone: true });
  const patched = await item.patch([
    { op: "add", path: "/added", value: { x: [1] } },
    { op: "add", path: "/list/1", value: "inserted" },
    { op: "add", path: "/list/-", value: "last" },
    { op: "set", path: "/text", value: "b" },
    { op: "set", path: "/list/0", value: "first" },
    { op: "replace", path: "/deep/a/b", value: 2 },
    { op: "remove", path: "/gone" },
    { op: "incr", path: "/n", value: 5 },
    { op: "incr", path: "/counted", value: -2.5 },
    { op: "set", path: "/a~1b", value: null },
  ]);
  assert.equal(patched.statusCode, 200);
  const want = {
    id: "1", deviceId: "d1", n: 6, text: "b", list: ["first", "inserted", 2, 3, "last"], deep: { a: { b: 2 } },
    added: { x: [1] }, counted: -2.5, "a/b": null,
  };
  assert.deepEqual(plain(patched.resource), want);
  assert.deepEqual(plain((await item.read()).resource), want);
  assert.deepEqual((await c.items.query("SELECT VALUE c.n FROM c WHERE c.text = 'b' AND c.n = 6", { partitionKey: "d1" }).fetchAll()).resources, [6]);
  await item.patch([{ op: "move", from: "/deep/a", path: "/moved" }, { op: "remove", path: "/list/0" }]);
  const { resource } = await item.read();
  assert.deepEqual(resource.moved, { b: 2 });
  assert.deepEqual(resource.deep, {});
  assert.deepEqual(resource.list, ["inserted", 2, 3, "last"]);
});

check("patches with a condition", async () => {
  const c = await container("conditions");
  const item = c.item("1", "d1");
  await c.items.create({ id: "1", deviceId: "d1", n: 1 });
  const patch = (condition) => item.patch({ condition, operations: [{ op: "incr", path: "/n", value: 1 }] });
  assert.equal((await patch("from c where c.n = 1")).resource.n, 2);
  await fails(patch("from c where c.n = 1"), 412);
  await fails(patch("from c where c.none"), 412);
  assert.equal((await item.read()).resource.n, 2);
  await fails(patch("from c where c.n ="), 400);
});

check("patches that cannot be", async () => {
  const c = await container("wrong-patches");
  const item = c.item("1", "d1");
  await c.items.create({ id: "1", deviceId: "d1", n: 1, text: "a", list: [1] });
  await fails(item.patch([{ op: "replace", path: "/none", value: 1 }]), 400);
  await fails(item.patch([{ op: "remove", path: "/none" }]), 400);
  await fails(item.patch([{ op: "add", path: "/none/deeper", value: 1 }]), 400);
  await fails(item.patch([{ op: "incr", path: "/text", value: 1 }]), 400);
  await fails(item.patch([{ op: "add", path: "/list/9", value: 1 }]), 400);
  await fails(item.patch([{ op: "set", path: "/id", value: "2" }]), 400);
  await fails(item.patch([{ op: "set", path: "/deviceId", value: "d2" }]), 400);
  await fails(item.patch([{ op: "nothing", path: "/n", value: 1 }]), 400);
  await fails(item.patch(range(11).map((i) => ({ op: "set", path: `/p${i}`, value: i }))), 400);
  // All of it or nothing.
  await fails(item.patch([{ op: "set", path: "/n", value: 2 }, { op: "remove", path: "/none" }]), 400);
  assert.deepEqual(plain((await item.read()).resource), { id: "1", deviceId: "d1", n: 1, text: "a", list: [1] });
});

check("time to live", async () => {
  const c = await container("ttl", { defaultTtl: 2 });
  await c.items.create({ id: "default", deviceId: "d1" });
  await c.items.create({ id: "never", deviceId: "d1", ttl: -1 });
  await c.items.create({ id: "long", deviceId: "d1", ttl: 1000 });
  const on = await container("ttl-on", { defaultTtl: -1 });
  await on.items.create({ id: "default", deviceId: "d1" });
  await on.items.create({ id: "short", deviceId: "d1", ttl: 1 });
  const off = await container("ttl-off");
  await off.items.create({ id: "short", deviceId: "d1", ttl: 1 });
  const ids = async (x) => (await x.items.query("SELECT VALUE c.id FROM c").fetchAll()).resources.sort().join();
  for (let i = 0; i < 2000 && (await ids(c)) !== "long,never"; i++) await sleep(50);
  for (let i = 0; i < 2000 && (await ids(on)) !== "default"; i++) await sleep(50);
  assert.equal(await ids(c), "long,never");
  assert.equal(await ids(on), "default");
  assert.equal(await ids(off), "short");
  assert.equal((await c.item("default", "d1").read()).statusCode, 404);
  await c.items.create({ id: "default", deviceId: "d1", ttl: -1 }); // the id is free again
});

check("all items, page by page, by several clients", async () => {
  const c = await container("pages", {}, { offerThroughput: 40000 });
  for (const i of range(50)) await c.items.create({ id: `${i}`, deviceId: `d${i}`, n: i });
  const sizes = (await pages(c.items.readAll({ maxItemCount: 7 }))).map((p) => p.length);
  assert.ok(sizes.every((n) => n <= 7), `${sizes}`);
  const seen = [];
  let continuationToken;
  do {
    const other = connect().database(databaseId).container("pages");
    const page = await other.items.readAll({ maxItemCount: 20, continuationToken }).fetchNext();
    seen.push(...page.resources.map((d) => d.n));
    continuationToken = page.continuationToken;
  } while (continuationToken);
  assert.deepEqual(seen.sort((a, b) => a - b), range(50));
});

check("a session's token, from one client to another", async () => {
  await database();
  const c = await container("sessions");
  const { headers } = await c.items.create({ id: "1", deviceId: "d1" });
  const sessionToken = headers["x-ms-session-token"];
  const other = connect({ consistencyLevel: "Session" }).database(databaseId).container("sessions");
  assert.equal((await other.item("1", "d1").read({ sessionToken })).statusCode, 200);
  const eventual = connect({ consistencyLevel: "Eventual" }).database(databaseId).container("sessions");
  assert.equal((await eventual.item("1", "d1").read()).statusCode, 200);
});
