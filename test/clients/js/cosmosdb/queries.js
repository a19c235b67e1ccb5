// The query language: every entry of queries.json, within one logical partition
// and over four physical ranges, in one page and in many.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { assert, check, container, fourRanges, sorted } = require("./checks.js");

const { documents, groups } = JSON.parse(fs.readFileSync(path.join(__dirname, "..", "..", "queries.json"), "utf8"));

const order = (...paths) => paths.map(([p, o]) => ({ path: p, order: o }));
const indexingPolicy = {
  includedPaths: [{ path: "/*" }], excludedPaths: [],
  // Sorting by several properties needs these at the service.
  compositeIndexes: [
    order(["/type", "ascending"], ["/n", "descending"]),
    order(["/type", "descending"], ["/value", "ascending"], ["/n", "descending"]),
    order(["/value", "ascending"], ["/n", "ascending"]),
    order(["/nested/x", "descending"], ["/n", "ascending"]),
  ],
};

// The same documents twice: all under one key, and under keys in four ranges.
let filled;
function containers() {
  filled ??= (async () => {
    const single = await container("single", { partitionKey: { paths: ["/tenant"], version: 2 }, indexingPolicy });
    const spread = await container("spread", { indexingPolicy }, { offerThroughput: fourRanges });
    for (const doc of documents) await Promise.all([single.items.create(doc), spread.items.create(doc)]);
    return [
      ["in one partition", single, { partitionKey: "t" }],
      ["in one partition, in pages of 2", single, { partitionKey: "t", maxItemCount: 2 }],
      ["over all", spread, {}],
      ["over all, in pages of 2", spread, { maxItemCount: 2, maxDegreeOfParallelism: 4 }],
      ["over all, with a plan", spread, { forceQueryPlan: true }],
    ];
  })();
  return filled;
}

async function run(entry, [where, c, options]) {
  if (options.maxItemCount && !(entry.want?.length > options.maxItemCount)) return;
  const parameters = Object.entries(entry.parameters ?? {}).map(([name, value]) => ({ name, value }));
  // What the client itself refuses over several ranges is in "crossing".
  const refusal = entry.fails ?? (where.startsWith("over all") ? entry.crossing?.js : undefined);
  let got;
  try {
    got = (await c.items.query({ query: entry.query, parameters }, { ...options }).fetchAll()).resources;
  } catch (err) {
    if (!refusal) throw err;
    if (entry.fails) assert.equal(err.code, 400);
    assert.match(`${err.message} ${JSON.stringify(err.body)}`, new RegExp(refusal));
    return;
  }
  if (refusal) throw new Error(`not refused, but ${JSON.stringify(got)}`);
  const inOrder = /ORDER BY/i.test(entry.query);
  assert.deepEqual(inOrder ? got : sorted(got), inOrder ? entry.want : sorted(entry.want));
}

for (const [group, entries] of Object.entries(groups)) {
  check(group, async () => {
    const wrong = [];
    for (const place of await containers()) {
      for (const entry of entries) {
        try {
          await run(entry, place);
        } catch (err) {
          wrong.push(`${place[0]}: ${entry.query}: ${err.code ?? ""} ${String(err.message).replace(/\s+/g, " ")}`);
        }
      }
    }
    if (wrong.length > 0) throw new Error(`${wrong.length} wrong:\n${wrong.join("\n")}`);
  });
}
