// What the official JavaScript client must be able to do: matrix.js PART [PATTERN].
// PART is one of the files with checks, PATTERN a regular expression that chooses
// among them.
"use strict";

const [part, pattern] = process.argv.slice(2);
require(`./${part}.js`);
require("./checks.js").runAll(pattern);
