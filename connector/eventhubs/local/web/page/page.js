"use strict";
(function () {
  var refresh = 2000; // ms between looks
  var state = { space: "", hub: "", spaces: [], paused: false, traffic: {}, seen: {}, open: {}, shown: "", key: sessionStorage.getItem("key") || "", keyName: "RootManageSharedAccessKey" };
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
  function number(n) { return Number(n).toLocaleString("en-US"); }
  function rate(n) { return n >= 100 ? number(Math.round(n)) : n >= 10 ? n.toFixed(0) : n > 0 ? n.toFixed(1) : "0"; }
  function bytes(n) {
    if (n >= 1048576) return (n / 1048576).toFixed(1) + " MB";
    if (n >= 1024) return (n / 1024).toFixed(1) + " KB";
    return Math.round(n) + " B";
  }
  function ago(text) {
    if (!text) return "-";
    var s = Math.max(0, (Date.now() - new Date(text)) / 1000);
    if (s < 60) return Math.round(s) + " s ago";
    if (s < 3600) return Math.round(s / 60) + " min ago";
    if (s < 172800) return Math.round(s / 3600) + " h ago";
    return Math.round(s / 86400) + " days ago";
  }
  function clock(text) {
    var d = new Date(text), two = function (n, w) { return String(n).padStart(w || 2, "0"); };
    return two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds()) + "." + two(d.getMilliseconds(), 3);
  }
  function hours(h) { return h >= 48 && h % 24 === 0 ? h / 24 + " days" : h >= 1 ? +h.toFixed(1) + " h" : Math.round(h * 60) + " min"; }

  // token signs for everything here with the key that was typed in.
  async function token() {
    var at = encodeURIComponent(location.origin.replace(/^http/, "sb") + "/"), end = Math.floor(Date.now() / 1000) + 300;
    var text = new TextEncoder();
    var key = await crypto.subtle.importKey("raw", text.encode(state.key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    var sig = new Uint8Array(await crypto.subtle.sign("HMAC", key, text.encode(at + "\n" + end)));
    return "SharedAccessSignature sr=" + at + "&sig=" + encodeURIComponent(btoa(String.fromCharCode.apply(null, sig))) + "&se=" + end + "&skn=" + encodeURIComponent(state.keyName);
  }
  async function call(method, path, body) {
    var options = { method: method, headers: {}, signal: AbortSignal.timeout(20000) };
    if (method !== "GET") { options.headers["Content-Type"] = "application/json"; options.body = JSON.stringify(body || {}); }
    if (state.key) options.headers.Authorization = await token();
    var answer = await fetch(path, options);
    var value = await answer.json();
    if (!answer.ok) {
      if (answer.status === 401) { state.key = ""; sessionStorage.removeItem("key"); }
      var e = new Error(value.error.message + (value.error.hint ? " (" + value.error.hint + ")" : ""));
      e.status = answer.status;
      throw e;
    }
    return value;
  }
  function at(hub) { return "/api/namespaces/" + encodeURIComponent(state.space) + "/hubs" + (hub ? "/" + encodeURIComponent(hub) : ""); }
  function trouble(e) { $("trouble").hidden = !e; $("trouble").textContent = e ? e.message : ""; }
  function status(word, text) { $("state").className = "state " + word; $("state").textContent = text; }

  function showTiles(ns) {
    var t = ns.traffic, now = performance.now(), last = state.traffic[ns.name];
    state.traffic[ns.name] = { at: now, t: t };
    var per = function (k) { return last ? Math.max(0, (t[k] - last.t[k]) / ((now - last.at) / 1000)) : 0; };
    var u = ns.throughputUnits, tile = function (name, value, limit, bad) {
      return el("div", { "class": bad ? "warn" : null }, el("dt", null, name), el("dd", null, value, limit ? el("small", null, " of " + limit) : null));
    };
    $("tiles").replaceChildren(
      tile("Events in", rate(per("incomingEvents")) + "/s", u ? number(u * 1000) : ""),
      tile("Data in", bytes(per("incomingBytes")) + "/s", u ? u + " MB" : ""),
      tile("Events out", rate(per("outgoingEvents")) + "/s", u ? number(u * 4096) : ""),
      tile("Data out", bytes(per("outgoingBytes")) + "/s", u ? 2 * u + " MB" : ""),
      tile("Throttled", number(t.throttledRequests) + " requests", "", per("throttledRequests") > 0),
      tile("Throughput units", u || "no limit"));
  }
  function showSpaces(o) {
    state.spaces = o.namespaces;
    if (!o.namespaces.some(function (n) { return n.name === state.space; })) state.space = o.namespaces[0].name;
    var select = $("space");
    if (select.options.length !== o.namespaces.length) {
      select.replaceChildren.apply(select, o.namespaces.map(function (n) { return el("option", null, n.name); }));
      $("space-label").hidden = o.namespaces.length < 2;
    }
    select.value = state.space;
    var ns = o.namespaces.find(function (n) { return n.name === state.space; });
    showTiles(ns);
    if ($("endpoints").dataset.of !== state.space) showEndpoints(ns);
  }
  function showEndpoints(ns) {
    var e = ns.endpoints, box = $("endpoints");
    var one = function (name, text) {
      if (!text) return null;
      var copy = el("button", { type: "button", onclick: function () {
        navigator.clipboard.writeText(text).then(function () { copy.textContent = "Copied"; setTimeout(function () { copy.textContent = "Copy"; }, 1500); });
      } }, "Copy");
      return el("div", null, el("div", { "class": "what" }, name, copy), el("pre", null, text));
    };
    box.dataset.of = state.space;
    box.replaceChildren.apply(box, [one("AMQP", e.amqp), one("Kafka, bootstrap.servers", e.kafka), one("HTTP", e.http)].filter(Boolean));
  }
  function showHubs(hubs) {
    if (!hubs.some(function (h) { return h.name === state.hub; })) select(hubs.length ? hubs[0].name : "");
    $("welcome").hidden = hubs.length > 0;
    $("hubs").replaceChildren.apply($("hubs"), hubs.map(function (h) {
      return el("li", null, el("button", { type: "button", "aria-current": String(h.name === state.hub), onclick: function () { select(h.name); look(); } },
        el("span", { "class": "name" }, h.name), el("span", { "class": "count" }, number(h.events)),
        el("span", { "class": "more" }, h.partitionCount + (h.partitionCount === 1 ? " partition" : " partitions") +
          (h.eventsPerSecond > 0 ? ", " + rate(h.eventsPerSecond) + "/s" : "") + (h.captureDescription && h.captureDescription.enabled ? ", captured" : ""))));
    }));
  }
  function select(hub) {
    if (state.hub === hub) return;
    state.hub = hub; state.shown = ""; state.seen = {}; state.open = {};
    $("hub").hidden = true;
    $("look").reset(); $("send").elements.partition.value = ""; $("sent").textContent = "";
    history.replaceState(null, "", hub ? "#" + encodeURIComponent(state.space) + "/" + encodeURIComponent(hub) : "#");
  }
  function choices(list, n, first) {
    if (list.options.length === n + 1) return;
    var value = list.value;
    list.replaceChildren(el("option", { value: "" }, first));
    for (var p = 0; p < n; p++) list.append(el("option", null, p));
    list.value = value;
  }
  function showHub(h) {
    $("hub").hidden = false;
    $("hub-name").textContent = h.name;
    var c = h.captureDescription, facts = [number(h.events) + " events", h.partitionCount + " partitions", "kept for " + hours(h.retentionInHours)];
    if (h.createdAt) facts.push("created " + h.createdAt.slice(0, 16).replace("T", " ") + " UTC");
    facts.push(c && c.enabled ? "captured to " + c.destination.properties.blobContainer + " every " + c.intervalInSeconds + " s or " + bytes(c.sizeLimitInBytes) : "not captured");
    $("facts").replaceChildren.apply($("facts"), facts.map(function (f) { return el("span", null, f); }));
    $("warning").hidden = !h.warning;
    $("warning").textContent = h.warning || "";
    choices($("look").elements.partition, h.partitionCount, "all");
    choices($("send").elements.partition, h.partitionCount, "any");
    fill("partitions", h.partitions.map(function (p) {
      var empty = p.endSequenceNumber === p.beginSequenceNumber;
      return [p.id, empty ? "-" : number(p.beginSequenceNumber), empty ? "-" : number(p.endSequenceNumber - 1), rate(p.eventsPerSecond), ago(p.lastEnqueuedTime)];
    }));
    fill("groups", (h.groups || []).map(function (g) {
      var lag = g.lag === undefined ? "-" : el("span", { "class": g.lag > 10000 ? "lagging" : null }, number(g.lag));
      var parts = (g.partitions || []).filter(function (p) { return p.lag > 0; });
      var detail = g.lag === undefined ? "no position known" : parts.length ? parts.slice(0, 12).map(function (p) { return p.id + ": " + number(p.lag); }).join(", ") + (parts.length > 12 ? ", ..." : "") : "all read";
      var name = el("span", null, g.name, g.protocol === "kafka" ? el("span", { "class": "tag" }, "Kafka" + (g.state ? ", " + g.state : "")) : null);
      var drop = g.protocol === "kafka" || g.name === "$Default" ? "" : el("button", { type: "button", "class": "drop", title: "Delete group " + g.name, "aria-label": "Delete group " + g.name, onclick: function () {
        if (confirm("Delete the consumer group " + g.name + "?")) change("DELETE", at(state.hub) + "/consumergroups/" + encodeURIComponent(g.name));
      } }, "\u00d7");
      return [name, lag, detail, drop];
    }));
  }
  function fill(id, rows) {
    var body = document.querySelector("#" + id + " tbody");
    body.replaceChildren.apply(body, rows.map(function (cells) {
      return el.apply(null, ["tr", null].concat(cells.map(function (c) { return el("td", null, c); })));
    }));
  }
  function pretty(e) {
    if (e.bodyEncoding !== "text") return e.body;
    try { return JSON.stringify(JSON.parse(e.body), null, 2); } catch (_) { return e.body; }
  }
  function inside(e) {
    var facts = [["Offset", e.offset], ["Enqueued", e.enqueuedTime.replace("T", " ").replace("Z", " UTC")]];
    if (e.partitionKey) facts.push(["Partition key", e.partitionKey]);
    var list = el("dl");
    var add = function (name, value) { list.append(el("dt", null, name), el("dd", null, value)); };
    facts.forEach(function (f) { add(f[0], f[1]); });
    [["systemProperties", "system"], ["properties", ""]].forEach(function (kind) {
      (e[kind[0]] || []).forEach(function (p) {
        if (p.name === "x-opt-partition-key") return; // said above
        add(p.name, el("span", null, String(p.value), el("span", { "class": "tag" }, (kind[1] ? kind[1] + ", " : "") + p.type)));
      });
    });
    var what = e.bodyEncoding === "text" ? null : el("span", { "class": "soft" }, "The body is not text; this is its base64.");
    return el("div", { "class": "inside" }, list, what, el("pre", null, pretty(e)), e.truncated ? el("span", { "class": "soft" }, "The body goes on: " + bytes(e.size) + " in all.") : null);
  }
  function showEvents(events) {
    var keys = events.map(function (e) { return e.partitionId + "/" + e.sequenceNumber; });
    $("no-events").hidden = events.length > 0;
    if (keys.join() === state.shown) return;
    var first = state.shown === "";
    state.shown = keys.join();
    var box = $("events");
    box.replaceChildren.apply(box, events.map(function (e, i) {
      var key = keys[i], d = el("details", { "class": first || state.seen[key] ? null : "fresh" },
        el("summary", null, el("span", { "class": "soft" }, clock(e.enqueuedTime)), el("span", { "class": "soft", title: "partition" }, "p" + e.partitionId),
          el("span", { title: "sequence number" }, "#" + e.sequenceNumber), el("span", { "class": "line soft key", title: e.partitionKey || null }, e.partitionKey || ""),
          el("span", { "class": "line body" }, e.bodyEncoding === "text" ? e.body.slice(0, 400) || "(empty)" : "(" + e.body.slice(0, 60) + ")"), el("span", { "class": "num soft" }, bytes(e.size))));
      var reveal = function () { if (d.open && d.children.length === 1) d.append(inside(e)); };
      d.addEventListener("toggle", function () { if (d.open) state.open[key] = true; else delete state.open[key]; reveal(); });
      if (state.open[key]) { d.open = true; reveal(); }
      return d;
    }));
    state.seen = {};
    keys.forEach(function (k) { state.seen[k] = true; });
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
      var o = await call("GET", "/api");
      showSpaces(o);
      if (o.keyNeeded && !state.key) { $("ask").hidden = false; status("", "locked"); return; }
      $("ask").hidden = true;
      showHubs(await call("GET", at()));
      var hub = state.hub;
      if (hub) {
        var f = $("look").elements, query = "?count=" + f.count.value;
        if (f.partition.value) query += "&partition=" + f.partition.value;
        if (f.from.value.trim() && f.from.checkValidity()) query += "&from=" + encodeURIComponent(f.from.value.trim());
        var got = await Promise.all([call("GET", at(hub)), call("GET", at(hub) + "/events" + query)]);
        if (hub === state.hub) { showHub(got[0]); showEvents(/from=(earliest|\d)/.test(query) ? got[1].events : got[1].events.reverse()); }
      } else { $("hub").hidden = true; }
      trouble(null);
      status(state.paused ? "" : "live", state.paused ? "paused" : "live");
    } catch (e) {
      if (e.status === 401) { $("ask").hidden = false; status("", "locked"); trouble(e); return; }
      if (e.status === 404) { again = true; state.hub = ""; return; }
      if (e.status) trouble(e);
      status("away", e.status ? "in trouble" : "not reachable");
    }
    document.documentElement.dataset.looked = Number(document.documentElement.dataset.looked || 0) + 1;
  }
  async function change(method, path, body) {
    try { await call(method, path, body); trouble(null); await look(); return true; } catch (e) { trouble(e); return false; }
  }
  function submitted(id, fn) { $(id).addEventListener("submit", function (ev) { ev.preventDefault(); fn($(id).elements, $(id)); }); }

  $("space").addEventListener("change", function () { state.space = this.value; state.hub = ""; select(""); look(); });
  $("pause").addEventListener("click", function () {
    state.paused = !state.paused;
    this.textContent = state.paused ? "Go on" : "Pause";
    this.setAttribute("aria-pressed", String(state.paused));
    look();
  });
  $("look").addEventListener("change", function () { state.shown = ""; look(); });
  submitted("look", function () { state.shown = ""; look(); });
  submitted("ask", function (f) { state.key = f.key.value; sessionStorage.setItem("key", state.key); f.key.value = ""; trouble(null); look(); });
  submitted("create", async function (f, form) {
    var groups = f.groups.value.split(",").map(function (g) { return g.trim(); }).filter(Boolean), name = f.name.value.trim();
    if (await change("PUT", at(name), { partitionCount: Number(f.partitions.value), retentionInHours: Number(f.hours.value), consumerGroups: groups })) {
      form.reset(); $("create-box").open = false; select(name); look();
    }
  });
  submitted("add-group", async function (f, form) {
    if (await change("PUT", at(state.hub) + "/consumergroups/" + encodeURIComponent(f.group.value.trim()))) form.reset();
  });
  $("delete").addEventListener("click", function () {
    if (confirm("Delete the hub " + state.hub + " with all its events?")) change("DELETE", at(state.hub));
  });
  submitted("send", async function (f) {
    var event = { body: f.body.value, properties: {} }, note = $("sent");
    try {
      f.properties.value.split(",").forEach(function (pair) {
        if (!pair.trim()) return;
        var i = pair.indexOf("=");
        if (i < 1) throw new Error("properties are written name=value, with commas between them");
        var text = pair.slice(i + 1).trim(), value = text;
        try { var v = JSON.parse(text); if (v === null || typeof v !== "object") value = v; } catch (_) { /* it is a string */ }
        event.properties[pair.slice(0, i).trim()] = value;
      });
      if (f.key.value) event.partitionKey = f.key.value;
      if (f.partition.value) event.partitionId = f.partition.value;
      try { JSON.parse(event.body); event.contentType = "application/json"; } catch (_) { /* it is text */ }
      var got = await call("POST", at(state.hub) + "/events", event);
      note.className = ""; note.textContent = "Partition " + got.partitionId + ", sequence number " + got.sequenceNumber;
      look();
    } catch (e) { note.className = "bad"; note.textContent = e.message; }
  });
  var from = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (from.length === 2) { state.space = from[0]; state.hub = from[1]; }
  document.addEventListener("visibilitychange", function () { if (!document.hidden && !state.paused) look(); });
  setInterval(function () { if (!state.paused && !document.hidden) look(); }, refresh);
  look();
})();
