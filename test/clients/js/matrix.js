// What the official JavaScript client must be able to do. An argument chooses
// checks by a regular expression.
"use strict";

require("./producing.js");
require("./consuming.js");
require("./mistakes.js");
require("./processing.js");
require("./checks.js").runAll();
