// What official JavaScript clients must be able to do: matrix.js PART [PATTERN].
// PART is one of the files with checks (those of Cosmos DB are in a folder of that
// name: cosmosdb/items), PATTERN a regular expression that chooses among them.
"use strict";

const [part, pattern] = process.argv.slice(2);
require(`./${part}.js`);
require("./runner.js").runAll(pattern);
