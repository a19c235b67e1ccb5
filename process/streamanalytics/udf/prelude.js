// Runs before a user's file, in the same engine. It takes time zones away and
// bounds the built-in calls whose cost one number decides. jsonDepth(text)
// tells whether JSON text nests too deeply for the engine's recursive reader;
// localAsUTC(ms) takes what the machine's clock shows at ms for UTC;
// stringify(x) is the JSON text of a record or array of the query that nobody
// has changed, and undefined for everything else.
(function (global, jsonDepth, localAsUTC, stringify) {
  "use strict";
  var define = function (object, name, value) {
    Object.defineProperty(object, name, { value: value, writable: true, configurable: true, enumerable: false });
  };

  // Dates: every local accessor is its UTC twin.
  var Native = global.Date, proto = Native.prototype;
  ["Date", "Day", "FullYear", "Hours", "Milliseconds", "Minutes", "Month", "Seconds"].forEach(function (part) {
    define(proto, "get" + part, proto["getUTC" + part]);
    if (part !== "Day") define(proto, "set" + part, proto["setUTC" + part]);
  });
  define(proto, "getTimezoneOffset", function getTimezoneOffset() { return isNaN(this.getTime()) ? NaN : 0; });
  // "Thu, 01 Jan 1970 00:00:00 GMT"
  var utc = proto.toUTCString;
  var day = function (d) { var s = utc.call(d); return s.slice(0, 3) + " " + s.slice(8, 11) + " " + s.slice(5, 7) + s.slice(11, -13); };
  var clock = function (d) { return utc.call(d).slice(-12, -4); };
  var valid = function (d, text) { return isNaN(d.getTime()) ? "Invalid Date" : text(d); };
  define(proto, "toDateString", function toDateString() { return valid(this, day); });
  define(proto, "toTimeString", function toTimeString() { return valid(this, function (d) { return clock(d) + " GMT+0000 (UTC)"; }); });
  define(proto, "toString", function toString() { return valid(this, function (d) { return day(d) + " " + clock(d) + " GMT+0000 (UTC)"; }); });
  var localeDate = function (d) { return d.getUTCMonth() + 1 + "/" + d.getUTCDate() + "/" + d.getUTCFullYear(); };
  var localeTime = function (d) { return (d.getUTCHours() % 12 || 12) + clock(d).slice(2) + (d.getUTCHours() < 12 ? " AM" : " PM"); };
  define(proto, "toLocaleDateString", function toLocaleDateString() { return valid(this, localeDate); });
  define(proto, "toLocaleTimeString", function toLocaleTimeString() { return valid(this, localeTime); });
  define(proto, "toLocaleString", function toLocaleString() { return valid(this, function (d) { return localeDate(d) + ", " + localeTime(d); }); });

  // Text without a zone was read as local time: what the clock shows there is
  // taken as UTC. (A date alone is UTC by the standard.)
  var zoned = /(?:Z|GMT|UTC|UT|[ECMP][SD]T|[+-]\d\d:?\d\d)\s*(?:\([^)]*\))?\s*$/i, dateOnly = /^\s*[+-]?\d{4,6}(?:-\d\d){0,2}\s*$/;
  var nativeParse = Native.parse;
  var parse = function (text) {
    var ms = nativeParse(text);
    return isNaN(ms) || dateOnly.test(text) || zoned.test(text) ? ms : localAsUTC(ms);
  };
  var Wrapped = function Date(year, month) {
    if (!new.target) return new Native().toString();
    var ms;
    if (arguments.length === 0) ms = Native.now();
    else if (arguments.length > 1) ms = Native.UTC.apply(null, arguments);
    else if (year instanceof Native) ms = year.getTime();
    else {
      var v = typeof year === "object" && year !== null ? year.valueOf() : year;
      if (typeof v === "object" && v !== null) v = String(v);
      ms = typeof v === "string" ? parse(v) : Number(v);
    }
    return Reflect.construct(Native, [ms], new.target);
  };
  Object.defineProperty(Wrapped, "length", { value: 7, configurable: true });
  Object.defineProperty(Wrapped, "prototype", { value: proto, writable: false });
  define(Wrapped, "now", Native.now);
  define(Wrapped, "UTC", Native.UTC);
  define(Wrapped, "parse", function (text) { return parse(String(text)); });
  define(proto, "constructor", Wrapped);
  define(global, "Date", Wrapped);

  // Sizes: a text or array that one call makes.
  var limit = 1 << 26;
  var bounded = function (object, name, size) {
    var native = object[name];
    var f = { [name]: function () {
      if (size.apply(this, arguments) > limit) throw new RangeError(name + ": the result would be too large");
      return native.apply(this, arguments);
    } }[name];
    Object.defineProperty(f, "length", { value: native.length, configurable: true });
    define(object, name, f);
  };
  bounded(String.prototype, "repeat", function (n) { return String(this).length * n; });
  bounded(String.prototype, "padStart", function (n) { return +n; });
  bounded(String.prototype, "padEnd", function (n) { return +n; });
  bounded(Array.prototype, "fill", function () { return this.length; });
  bounded(Array.prototype, "join", function () { return this.length; });
  bounded(Array, "from", function (items) { return items == null ? 0 : items.length || 0; });

  var nativeJSON = global.JSON.parse;
  define(global.JSON, "parse", function parse(text, reviver) {
    text = String(text);
    if (jsonDepth(text)) throw new SyntaxError("JSON.parse: the text nests too deeply");
    return nativeJSON(text, reviver);
  });

  var nativeStringify = global.JSON.stringify;
  define(global.JSON, "stringify", function (value, replacer, space) {
    var text = typeof value === "object" && replacer === undefined && space === undefined ? stringify(value) : undefined;
    return text === undefined ? nativeStringify(value, replacer, space) : text;
  });
})
