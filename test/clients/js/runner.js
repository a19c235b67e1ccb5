// Runs checks one after the other and prints a line for each: "ok NAME" or
// "FAIL NAME: DETAIL". The last line is "done N", so that what ended early is
// not taken for what passed.
"use strict";

const checks = [];
let closers = [];

function need(name) {
  const v = process.env[name];
  if (!v) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return v;
}

// check adds a check; run may use what closes itself at its end (see closing).
function check(name, run, seconds = 180) {
  checks.push({ name, run, seconds });
}

// closing has client.close() called when the check is over.
function closing(client) {
  closers.push(client);
  return client;
}

function within(promise, seconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function runAll(pattern) {
  const only = pattern && new RegExp(pattern);
  let failed = 0;
  let ran = 0;
  for (const { name, run, seconds } of checks) {
    if (only && !only.test(name)) continue;
    ran++;
    const started = Date.now();
    let problem = null;
    try {
      await within(run(), seconds);
    } catch (err) {
      problem = err;
    }
    const toClose = closers;
    closers = [];
    for (const c of toClose) {
      try {
        await within(c.close(), 20);
      } catch (err) {
        problem ??= new Error(`closing: ${err.message}`);
      }
    }
    if (problem) {
      failed++;
      console.log(`FAIL ${name}: ${String(problem.stack ?? problem).replace(/\s*\n\s*/g, " | ")}`);
    } else {
      console.log(`ok ${name} (${Date.now() - started} ms)`);
    }
  }
  console.log(`done ${ran}`);
  process.exit(failed > 0 ? 1 : 0);
}

module.exports = { check, closing, need, runAll, sleep, within };
