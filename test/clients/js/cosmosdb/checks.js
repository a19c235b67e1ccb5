// What the checks of Cosmos DB have in common.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { CosmosClient } = require("@azure/cosmos");
const { check, closing, need, sleep } = require("../runner.js");

const connection = need("COSMOSDB_CONNECTION_STRING");

// Enough for four physical partition key ranges, and for no check to be throttled.
const fourRanges = 40000;

// Devices whose keys lie in all of four ranges, two in the first and in the last.
const devices = ["device-4", "device-11", "device-2", "device-1", "device-0", "device-6"];

function parts(conn = connection) {
  const part = (name) => new RegExp(`${name}=([^;]*)`).exec(conn)[1];
  return { endpoint: part("AccountEndpoint"), key: part("AccountKey") };
}

// connect returns a client that is closed when the check is over.
function connect(options = {}, conn = connection) {
  const client = new CosmosClient({ ...parts(conn), ...options });
  closing({ close: async () => client.dispose() });
  return client;
}

// A database per program, which all of its checks use.
const databaseId = `js-${path.basename(process.argv[2] ?? "all")}`;

async function database(client = connect()) {
  return (await client.databases.createIfNotExists({ id: databaseId })).database;
}

// container creates a container in the program's database, with one range unless
// options say otherwise.
async function container(id, definition = {}, options = { offerThroughput: 10000 }, client = connect()) {
  const db = await database(client);
  const body = { id, partitionKey: { paths: ["/deviceId"], version: 2 }, ...definition };
  return (await db.containers.create(body, options)).container;
}

// fill creates documents, in a batch for each device.
async function fill(c, docs) {
  await Promise.all(devices.map((device) => {
    const mine = docs.filter((d) => d.deviceId === device);
    return c.items.batch(mine.map((resourceBody) => ({ operationType: "Create", resourceBody })), device);
  }));
}

// fails asserts that a promise is rejected with the code, and returns the error.
async function fails(promise, code, pattern, substatus) {
  let value;
  try {
    value = await promise;
  } catch (err) {
    if (err.code !== code) throw new Error(`code ${err.code} (${err.message}), want ${code}`);
    if (pattern) assert.match(err.message ?? JSON.stringify(err.body), pattern);
    if (substatus !== undefined) assert.equal(err.substatus, substatus, `sub-status of ${err.message}`);
    return err;
  }
  throw new Error(`no error but ${JSON.stringify(value?.resource ?? value?.resources ?? value?.statusCode)}, want ${code}`);
}

// plain takes the system's properties off a document.
function plain(doc) {
  return Object.fromEntries(Object.entries(doc).filter(([k]) => !["_rid", "_self", "_etag", "_ts", "_attachments"].includes(k)));
}

// sorted gives any values in an order that only depends on what they are.
function sorted(values) {
  const text = (v) => (v !== null && typeof v === "object" && !Array.isArray(v)
    ? `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${text(v[k])}`)}}`
    : Array.isArray(v) ? `[${v.map(text)}]` : JSON.stringify(v));
  return [...values].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

// pages fetches all pages of a query.
async function pages(iterator) {
  const all = [];
  while (iterator.hasMoreResults()) {
    const page = await iterator.fetchNext();
    all.push(page.resources ?? []);
  }
  return all;
}

const range = (n) => Array.from({ length: n }, (_, i) => i);

module.exports = {
  assert, check, closing, connect, connection, container, database, databaseId, devices, fails, fill, fourRanges, need, pages, parts,
  plain, range, sleep, sorted,
};
