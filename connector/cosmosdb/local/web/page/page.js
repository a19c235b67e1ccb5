"use strict";
(function () {
  var refresh = 2000; // ms between looks
  var state = { database: "", container: "", paused: false, before: null, pages: [""], shown: "", looked: {}, key: sessionStorage.getItem("key") || "", asked: null };
  var $ = function (id) { return document.getElementById(id); };

  // el makes an element. Text is only ever set as text.
  function el(tag, attributes) {
    var e = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (k) {
      if (k === "onclick") e.addEventListener("click", attributes[k]);
      else if (attributes[k] !== null && attributes[k] !== undefined) e.setAttribute(k, attributes[k]);
    });
    for (var i = 2; i < arguments.length; i++) {
      var c = arguments[i];
      if (c !== null && c !== undefined) e.append(typeof c === "object" ? c : String(c));
    }
    return e;
  }
  function put(box, children) { box.replaceChildren.apply(box, children.filter(Boolean)); }
  function number(n) { return Number(n).toLocaleString("en-US", { maximumFractionDigits: 2 }); }
  function rate(n) { return n >= 100 ? number(Math.round(n)) : n >= 10 ? n.toFixed(0) : n > 0 ? n.toFixed(1) : "0"; }
  function bytes(n) {
    if (n >= 1073741824) return (n / 1073741824).toFixed(1) + " GB";
    if (n >= 1048576) return (n / 1048576).toFixed(1) + " MB";
    if (n >= 1024) return (n / 1024).toFixed(1) + " KB";
    return Math.round(n) + " B";
  }
  function many(n, one) { return number(n) + " " + one + (n === 1 ? "" : "s"); }
  function tile(name, value, small, bad) {
    return el("div", { "class": bad ? "warn" : null }, el("dt", null, name), el("dd", null, value, small ? el("small", null, " " + small) : null));
  }

  // token signs a request with the key that was typed in.
  async function token(method, url, date) {
    var text = [method.toLowerCase(), "explorer", (url.pathname + url.search).slice(1), date.toLowerCase(), "", ""].join("\n");
    var raw;
    try { raw = Uint8Array.from(atob(state.key), function (c) { return c.charCodeAt(0); }); } catch (_) { raw = new Uint8Array(0); }
    if (!raw.length) { forget(); var e = new Error("this is not an account key: it is base64, as in a connection string after AccountKey="); e.status = 401; throw e; }
    var key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    var sig = new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)));
    return encodeURIComponent("type=master&ver=1.0&sig=" + btoa(String.fromCharCode.apply(null, sig)));
  }
  function forget() { state.key = ""; sessionStorage.removeItem("key"); }
  async function call(path, parameters, body) {
    var url = new URL("/_explorer/api" + path, location.href);
    Object.keys(parameters || {}).forEach(function (k) { url.searchParams.set(k, parameters[k]); });
    var options = { method: body ? "POST" : "GET", headers: {}, signal: AbortSignal.timeout(40000) };
    if (body) { options.headers["Content-Type"] = "application/json"; options.body = JSON.stringify(body); }
    if (state.key) {
      var date = new Date().toUTCString();
      options.headers["x-ms-date"] = date;
      options.headers.Authorization = await token(options.method, url, date);
    }
    var answer = await fetch(url, options);
    var value = await answer.json();
    if (!answer.ok) {
      if (answer.status === 401) forget();
      var e = new Error(value.error ? value.error.message : value.message);
      e.status = answer.status;
      e.detail = value.error || {};
      throw e;
    }
    return value;
  }
  function trouble(e) { $("trouble").hidden = !e; $("trouble").textContent = e ? e.message : ""; }
  function status(word, text) { $("state").className = "state " + word; $("state").textContent = text; }
  function allowed(t) {
    if (t.limit < 0) return "no limit";
    return number(t.limit) + " RU/s" + (t.shared ? ", shared" : "") + (t.autoscale && t.limit === t.bought ? ", autoscale" : "");
  }

  // since counts what came since the last look, a second.
  function since(now, name) {
    var b = state.before;
    return b && now.at > b.at ? Math.max(0, (now.all[name] - b.all[name]) / ((now.at - b.at) / 1000)) : 0;
  }
  function showTiles(all) {
    var now = { at: performance.now(), all: all };
    put($("tiles"), [
      tile("Requests", rate(since(now, "requests")) + "/s"),
      tile("Request units", rate(since(now, "charge")) + "/s"),
      tile("Throttled", number(all.throttled), "since the start", since(now, "throttled") > 0),
      tile("Failed", number(all.failed), "since the start"),
      tile("Databases", number(all.databases.length))]);
    state.before = now;
  }
  function showContents(all) {
    showTiles(all);
    var first = null, there = false;
    put($("nav"), all.databases.map(function (d) {
      var list = d.containers.map(function (c) {
        first = first || c;
        var current = d.id === state.database && c.id === state.container;
        there = there || current;
        return el("li", null, el("button", { type: "button", "aria-current": String(current), onclick: function () { select(d.id, c.id); look(); } },
          el("span", { "class": "name" }, c.id), el("span", { "class": "count" }, number(c.items)),
          el("span", { "class": "more" }, bytes(c.bytes) + ", " + allowed(c.throughput),
            c.stats.throttled ? el("span", { "class": "hot" }, ", " + number(c.stats.throttled) + " throttled") : null)));
      });
      return el("section", null, el("h2", null, d.id, d.throughput ? el("small", { "class": "soft" }, " " + allowed(d.throughput)) : null),
        list.length ? el.apply(null, ["ul", null].concat(list)) : el("span", { "class": "none" }, "no containers"));
    }));
    if (!there) select(first ? first.database : "", first ? first.id : "");
    $("welcome").hidden = !!first;
    if (!there && first) again = true;
  }
  function select(database, container) {
    if (state.database === database && state.container === container) return;
    state.database = database; state.container = container;
    state.pages = [""]; state.shown = ""; state.asked = null;
    $("container").hidden = true;
    put($("results"), []); $("said").textContent = ""; $("wrong").hidden = true; $("more").hidden = true;
    history.replaceState(null, "", container ? "#" + encodeURIComponent(database) + "/" + encodeURIComponent(container) : "#");
  }
  function showContainer(c) {
    $("container").hidden = false;
    $("name").textContent = c.database + " / " + c.id;
    var t = c.throughput, s = c.stats;
    put($("facts"), [
      tile("Items", number(c.items), bytes(c.bytes)),
      tile("Partition key", c.partitionKey.join(", "), many(c.ranges, "physical range")),
      (c.uniqueKeys || []).length ? tile("Unique", c.uniqueKeys.map(function (k) { return k.join(" + "); }).join("; ")) : null,
      tile("Throughput", allowed(t), t.limit !== t.bought ? "(" + number(t.bought) + " asked for)" : ""),
      c.defaultTtl !== undefined ? tile("Time to live", c.defaultTtl < 0 ? "set by items" : many(c.defaultTtl, "second")) : null,
      tile("Requests", number(s.requests), number(s.charge) + " RU"),
      tile("Throttled", number(s.throttled), "", s.throttled > 0),
      tile("Failed", number(s.failed))]);
    if ($("settings").textContent !== c.settings) $("settings").textContent = c.settings;
  }
  function showItems(got) {
    var n = state.pages.length;
    $("where").textContent = got.items.length || n > 1 ? "page " + n + ", " + many(got.items.length, "item") : "";
    $("first").disabled = $("back").disabled = n === 1;
    $("next").disabled = !got.after;
    state.after = got.after;
    $("no-items").hidden = got.items.length > 0 || n > 1;
    var key = JSON.stringify(got.items.map(function (i) { return [i.id, i.partitionKey, i.modified, i.size]; })) + n;
    if (key === state.shown) return;
    state.shown = key;
    put($("items"), got.items.map(function (i) {
      var keys = i.partitionKey.map(function (k) { return k === "" ? "(none)" : k; }).join(", ");
      var d = el("details", null, el("summary", null, el("span", { "class": "line id", title: i.id }, i.id), el("span", { "class": "line soft key", title: "partition key " + keys }, keys),
        el("span", { "class": "soft when" }, new Date(i.modified * 1000).toISOString().slice(0, 19).replace("T", " ")), el("span", { "class": "num soft" }, bytes(i.size))));
      d.addEventListener("toggle", function () { if (d.open && d.children.length === 1) d.append(el("pre", null, i.text)); });
      return d;
    }));
  }

  function place(text, at) {
    var lines = text.slice(0, at).split("\n");
    return "line " + lines.length + ", column " + (lines[lines.length - 1].length + 1);
  }
  function showWrong(e, text) {
    var d = e.detail || {}, at = d.start;
    $("wrong").hidden = false;
    $("wrong").textContent = (d.code ? d.code + ": " : "") + e.message + (at !== undefined ? " (" + place(text, at) + ")" : "");
    if (at !== undefined && $("query").elements.text.value === text) {
      $("query").elements.text.focus();
      $("query").elements.text.setSelectionRange(at, Math.max(d.end, at + 1));
    }
  }
  function rows(q) {
    if (q.as === "json") return q.texts.map(function (t) { return el("pre", null, t); });
    if (!q.texts.length) return [];
    var head = el.apply(null, ["tr", null].concat(q.columns.map(function (c) { return el("th", { scope: "col", title: c || null }, c === "" ? "value" : c); })));
    var body = q.rows.map(function (r) {
      return el.apply(null, ["tr", null].concat(q.columns.map(function (c, i) {
        var v = r[i];
        return el("td", v ? { "class": v.kind || null, title: v.text || null } : null, v ? v.text : "");
      })));
    });
    return [el("table", null, el("thead", null, head), el.apply(null, ["tbody", null].concat(body))),
      q.moreColumns ? el("p", { "class": "soft" }, many(q.moreColumns, "more column") + ": look at the results as JSON") : null];
  }
  // ask asks a query, or for what comes after what is shown.
  async function ask(further) {
    var f = $("query").elements, q = further ? state.asked : { text: f.text.value, count: Number(f.count.value), continuation: "", texts: [], columns: [], rows: [], charge: 0, ms: 0, read: 0 };
    var of = state.database + "/" + state.container;
    state.asked = q; q.as = f.as.value;
    $("more").disabled = true;
    $("said").textContent = "asking ...";
    try {
      var got = await call("/query", {}, { database: state.database, container: state.container, query: q.text, count: q.count, continuation: q.continuation });
      if (state.asked !== q || of !== state.database + "/" + state.container) return;
      $("wrong").hidden = true;
      add(q, got);
      $("said").textContent = many(q.texts.length, "result") + (got.continuation ? " so far" : "") + ", " + number(q.charge) + " RU, " + rate(q.ms) + " ms, " + many(q.read, "item") + " read" +
        (got.index ? ", by the index of " + got.index : "") + (got.sorted ? ", sorted" : "") + (got.ranges > 1 ? ", " + many(got.ranges, "physical range") : "");
      put($("results"), rows(q));
      $("more").hidden = !got.continuation;
    } catch (e) {
      if (state.asked !== q) return;
      $("said").textContent = "";
      if (!further) { put($("results"), []); $("more").hidden = true; }
      showWrong(e, q.text);
      if (e.status === 401) look();
    }
    $("more").disabled = false;
  }
  // add puts a page behind those that are there; it may have other columns.
  function add(q, got) {
    q.continuation = got.continuation; q.charge += got.charge; q.ms += got.milliseconds; q.read += got.itemsRead;
    q.moreColumns = Math.max(q.moreColumns || 0, got.moreColumns || 0);
    got.columns.forEach(function (c) { if (q.columns.indexOf(c) < 0) q.columns.push(c); });
    var places = got.columns.map(function (c) { return q.columns.indexOf(c); });
    got.rows.forEach(function (r) {
      var row = [];
      r.forEach(function (v, i) { row[places[i]] = v; });
      q.rows.push(row);
    });
    q.texts = q.texts.concat(got.texts);
  }

  var looking = null, again = false;
  // look asks for everything once, never twice at a time.
  function look() {
    if (looking) { again = true; return looking; }
    looking = once().finally(function () {
      looking = null;
      if (again) { again = false; look(); }
    });
    return looking;
  }
  async function once() {
    try {
      var about = await call("");
      $("endpoint").textContent = about.endpoint;
      if (about.keyNeeded && !state.key) { $("ask").hidden = false; status("", "locked"); return; }
      showContents(await call("/databases"));
      $("ask").hidden = true;
      var of = { database: state.database, container: state.container }, page = state.pages[state.pages.length - 1];
      if (of.container) {
        var got = await Promise.all([call("/container", of), call("/items", Object.assign({ count: 50, after: page }, of))]);
        if (of.container === state.container && of.database === state.database && page === state.pages[state.pages.length - 1]) { showContainer(got[0]); showItems(got[1]); }
      }
      trouble(null);
      status(state.paused ? "" : "live", state.paused ? "paused" : "live");
    } catch (e) {
      if (e.status === 401) { $("ask").hidden = false; status("", "locked"); trouble(e); return; }
      if (e.status === 404) { state.container = ""; again = true; return; }
      if (e.status) trouble(e);
      status("away", e.status ? "in trouble" : "not reachable");
    }
  }
  function turn(change) { change(); state.shown = ""; look(); }

  $("pause").addEventListener("click", function () {
    state.paused = !state.paused;
    this.textContent = state.paused ? "Go on" : "Pause";
    this.setAttribute("aria-pressed", String(state.paused));
    look();
  });
  $("ask").addEventListener("submit", function (ev) {
    ev.preventDefault();
    state.key = $("key").value.trim(); sessionStorage.setItem("key", state.key); $("key").value = "";
    trouble(null); look();
  });
  $("query").addEventListener("submit", function (ev) { ev.preventDefault(); ask(false); });
  $("query").elements.text.addEventListener("keydown", function (ev) {
    if (ev.key === "Enter" && (ev.ctrlKey || ev.metaKey)) { ev.preventDefault(); ask(false); }
  });
  $("query").elements.as.addEventListener("change", function () {
    if (state.asked && state.asked.texts.length) { state.asked.as = this.value; put($("results"), rows(state.asked)); }
  });
  $("more").addEventListener("click", function () { ask(true); });
  $("first").addEventListener("click", function () { turn(function () { state.pages = [""]; }); });
  $("back").addEventListener("click", function () { turn(function () { if (state.pages.length > 1) state.pages.pop(); }); });
  $("next").addEventListener("click", function () { turn(function () { if (state.after) state.pages.push(state.after); }); });
  var from = location.hash.slice(1).split("/");
  try { if (from.length === 2) { state.database = decodeURIComponent(from[0]); state.container = decodeURIComponent(from[1]); } } catch (_) { /* it was typed by hand */ }
  document.addEventListener("visibilitychange", function () { if (!document.hidden && !state.paused) look(); });
  setInterval(function () { if (!state.paused && !document.hidden) look(); }, refresh);
  look();
})();
