// node-q 2.7.0 (what KX's own VS Code extension uses) against a running mesh.
"use strict";
const fs = require("fs");
const nodeq = require("node-q");
const Long = require("long");

const host = process.env.QMESH_HOST || "127.0.0.1";
const port = Number(process.env.QMESH_QIPC_PORT);
const trade = JSON.parse(fs.readFileSync(process.env.QMESH_TRUTH, "utf8")).trade;
const gallery = JSON.parse(fs.readFileSync(process.env.QMESH_GALLERY, "utf8"));
const days = Object.keys(trade);
const agg = [
  ["n", "count", "price"], ["size", "sum", "size"], ["high", "max", "price"], ["low", "min", "price"],
  ["mean", "avg", "price"], ["vwap", "wavg", "size", "price"], ["open", "first", "price"], ["close", "last", "price"],
];
const DAY = 86400000;
// Milliseconds from 1970 to 2000, where q's clocks begin.
const EPOCH = 10957 * DAY;

function connect(params) {
  return new Promise((resolve, reject) => {
    nodeq.connect({ host, port, user: "user", password: "pass", ...params }, (error, connection) =>
      error ? reject(error) : resolve(connection));
  });
}

// The answer of a call as it comes: [header, payload].
function ask(connection, api, args, opts) {
  return new Promise((resolve, reject) => {
    connection.k("`" + api, args, "`", opts || {}, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function call(connection, api, args, opts) {
  const [header, payload] = await ask(connection, api, args, opts);
  equal([header.rc, header.ac], [0, 0], `rc and ac (${header.ai})`);
  return [header, payload];
}

function close(got, expected) {
  return Math.abs(got - expected) <= 1e-9 * Math.max(Math.abs(got), Math.abs(expected)) + 1e-12;
}

function equal(got, expected, what) {
  const shown = (value) => JSON.stringify(value, (_, v) => (typeof v === "number" && !Number.isFinite(v) ? String(v) : v));
  const bothNumbers = Number.isFinite(got) && Number.isFinite(expected);
  if (bothNumbers ? !close(got, expected) : shown(got) !== shown(expected)) {
    throw new Error(`${what} is ${shown(got)}, expected ${shown(expected)}`);
  }
}

function dayArgs(n, more) {
  const start = Date.parse(days[n].replace(/\./g, "-") + "T00:00:00Z");
  return { table: "`trade", startTS: nodeq.timestamp(new Date(start)), endTS: nodeq.timestamp(new Date(start + DAY)), ...more };
}

const sum = (items) => items.reduce((total, item) => total + item, 0);

const checks = {
  async "ping"(q) {
    const [header, payload] = await call(q, ".kxi.ping", {});
    equal(payload.length > 0 && payload.every((reached) => reached === true), true, "every target was reached");
    equal(["rcvTS", "corr", "logCorr", "api", "agg"].filter((key) => !(key in header)), [], "missing keys of the header");
  },

  async "one day of trades"(q) {
    const [, payload] = await call(q, ".kxi.getData", dayArgs(0));
    equal(payload.length, trade[days[0]].rows, "rows");
    equal(sum(payload.map((row) => row.size)), trade[days[0]].size, "sum of size");
    equal(sum(payload.map((row) => row.price)), trade[days[0]].price, "sum of price");
  },

  async "filter and columns to select"(q) {
    const args = dayArgs(1, { filter: [["`>=", "`size", nodeq.int(90)]], agg: nodeq.symbols(["time", "size"]) });
    const [, payload] = await call(q, ".kxi.getData", args);
    equal(payload.length, trade[days[1]].size90, "rows");
    equal(Object.keys(payload[0]), ["time", "size"], "columns");
  },

  async "group by over all days"(q) {
    const args = { table: "`trade", groupBy: "`sym", agg: agg.map((one) => nodeq.symbols(one)) };
    const [, payload] = await call(q, ".kxi.getData", args);
    const names = [...new Set(days.flatMap((day) => Object.keys(trade[day].bySym)))].sort();
    equal(payload.map((row) => row.sym), names, "groups");
    for (const row of payload) {
      const parts = days.map((day) => trade[day].bySym[row.sym]).filter(Boolean);
      const total = (key) => sum(parts.map((part) => part[key]));
      const expected = {
        sym: row.sym, n: total("count"), size: total("size"),
        high: Math.max(...parts.map((part) => part.max)), low: Math.min(...parts.map((part) => part.min)),
        mean: total("price") / total("count"), vwap: total("turnover") / total("size"),
        open: parts[0].first, close: parts[parts.length - 1].last,
      };
      equal(Object.keys(row), Object.keys(expected), "columns");
      for (const name of Object.keys(expected)) equal(row[name], expected[name], `${name} of ${row.sym}`);
    }
  },

  async "errors name what was wrong"(q) {
    const [header, payload] = await ask(q, ".kxi.getData", { table: "`no_such_table" });
    equal([header.rc, header.ac, payload.length], [56, 27, 0], "rc, ac and payload");
    equal(header.ai.includes("no_such_table"), true, "ai names the table");
    const [bad] = await ask(q, ".kxi.getData", { table: "`trade", startTS: "`yesterday" });
    equal([bad.rc, bad.ac], [5, 23], "rc and ac of bad arguments");
  },

  async "what is no request is a q error"(q) {
    const refused = await new Promise((resolve) => q.k("1+1", (error) => resolve(error)));
    equal(refused instanceof Error, true, "a text query is refused");
    await call(q, ".kxi.ping", {});
  },

  async "asynchronous call with callback"() {
    // node-q makes an event of an asynchronous message only where its name is upd.
    const other = await connect();
    const came = new Promise((resolve, reject) => {
      other.on("upd", (header, payload) => resolve([header, payload]));
      other.on("error", reject);
    });
    other.ks("`.kxi.ping", {}, "`upd", { appCorr: nodeq.int(7) }, (error) => error && other.emit("error", error));
    const [header, payload] = await came;
    equal([header.rc, header.appCorr], [0, 7], "rc and appCorr");
    equal(payload.length > 0, true, "payload");
    other.close();
  },

  async "several outstanding requests"(q) {
    const asked = Array.from({ length: 50 }, (_, n) =>
      call(q, ".kxi.getData", { table: "`trade", limit: nodeq.int(n + 1) }, { appN: nodeq.int(n) }));
    for (const [n, [header, payload]] of (await Promise.all(asked)).entries()) {
      equal([header.appN, payload.length], [n, n + 1], "appN and rows");
    }
  },

  async "every type in a table"(q) {
    const [, payload] = await call(q, ".kxi.getData", { table: "`gallery", sortCols: "`time" });
    for (const { name, type, values } of gallery.columns) {
      equal(payload.length, values.length, "rows");
      values.forEach((raw, row) => {
        const expected = clientValue(type, raw);
        // What no Date can hold has nothing to be compared with.
        if (expected === undefined) return;
        const got = payload[row][name];
        equal(got instanceof Date ? got.getTime() : got, expected, `${name}[${row}] (${type} ${raw})`);
      });
    }
  },

  async "every type comes back in the header"(q) {
    const noon = new Date(Date.UTC(2024, 0, 1, 12, 30, 15));
    // Clocks without a date are put on 2000.01.01, months on their first day, dates on their midnight.
    const clock = (ms) => new Date(EPOCH + ms);
    const time = (noon.getTime() - EPOCH) % DAY;
    const sent = {
      Boolean: [nodeq.boolean(true), true], Guid: [nodeq.guid("8c680a01-5a49-5aab-5a65-d4bfddb6a661"), "8c680a01-5a49-5aab-5a65-d4bfddb6a661"],
      Byte: [nodeq.byte(100), 100], Short: [nodeq.short(-5), -5], Int: [nodeq.int(-5), -5], Long: [nodeq.long(Long.fromNumber(2 ** 40)), 2 ** 40],
      Real: [nodeq.real(1.5), 1.5], Float: [nodeq.float(0.1), 0.1], Infinity: [Infinity, Infinity], Minus: [-Infinity, -Infinity],
      Char: [nodeq.char("a"), "a"], Text: ["some text", "some text"], Symbol: [nodeq.symbol("a symbol"), "a symbol"],
      Timestamp: [nodeq.timestamp(noon), noon], Datetime: [nodeq.datetime(noon), noon], Date: [nodeq.date(noon), new Date(Date.UTC(2024, 0, 1))],
      Month: [nodeq.month(noon), new Date(Date.UTC(2024, 0, 1))], Timespan: [nodeq.timespan(clock(time)), clock(time)],
      Minute: [nodeq.minute(clock(time)), clock(time - (time % 60000))], Second: [nodeq.second(clock(time)), clock(time - (time % 1000))],
      Time: [nodeq.time(clock(time)), clock(time)], Booleans: [nodeq.booleans([true, false]), [true, false]],
      Shorts: [nodeq.shorts([1, -2]), [1, -2]], Ints: [nodeq.ints([1, -2]), [1, -2]], Longs: [nodeq.longs([Long.fromNumber(1)]), [1]],
      Reals: [nodeq.reals([1.5, -0.25]), [1.5, -0.25]], Floats: [[1.5, 0.1], [1.5, 0.1]], Symbols: [nodeq.symbols(["a", "b c"]), ["a", "b c"]],
      Dates: [nodeq.dates([noon]), [new Date(Date.UTC(2024, 0, 1))]], Timestamps: [nodeq.timestamps([noon]), [noon]],
      Times: [nodeq.times([clock(time)]), [clock(time)]], Dict: [{ a: 1, b: "text" }, { a: 1, b: "text" }],
      List: [[nodeq.int(1), "text", nodeq.symbol("s")], [1, "text", "s"]],
    };
    const opts = Object.fromEntries(Object.entries(sent).map(([name, [value]]) => ["app" + name, value]));
    const [header] = await call(q, ".kxi.ping", {}, opts);
    for (const [name, [, expected]] of Object.entries(sent)) equal(header["app" + name], expected, "app" + name);
  },

  async "hundred megabytes"() {
    // Columns instead of a million row objects.
    const other = await connect({ flipTables: false });
    const [, payload] = await call(other, ".kxi.getData", { table: "`big" });
    const rows = gallery.big.rows;
    const rest = rows % 1000;
    for (let k = 0; k < 10; k++) {
      equal(payload["f" + k].length, rows, "rows");
      const expected = Math.floor(rows / 1000) * 499500 + (rest * (rest - 1)) / 2 + k * rows;
      equal(sum(payload["f" + k]), expected, "sum of f" + k);
    }
    other.close();
  },
};

// What node-q makes of a value; undefined where JavaScript has nothing for it.
function clientValue(type, raw) {
  const unit = { timestamp: 1e-6, date: DAY, datetime: DAY, timespan: 1e-6, minute: 60000, second: 1000, time: 1 }[type];
  if (raw === "null") return null;
  if (unit !== undefined) {
    if (typeof raw === "string") return undefined;
    // A negative fraction of a millisecond has two roundings; the gallery has whole ones where it matters.
    return EPOCH + (type === "timestamp" ? Math.floor(raw / 1e6) : Math.round(raw * unit));
  }
  // node-q puts months before 2000 a year too early.
  if (type === "month") return typeof raw === "string" || raw < 0 ? undefined : Date.UTC(2000, raw, 1);
  if (type === "boolean") return raw === 1;
  if (type === "guid" && /^[0-]*$/.test(raw)) return null;
  if (type === "symbol" && raw === "") return null;
  if (raw === "inf") return Infinity;
  return raw === "-inf" ? -Infinity : raw;
}

async function main() {
  // A lost connection leaves nothing to wait for and node ends: that is a failure until all checks are done.
  process.exitCode = 1;
  let failures = 0;
  const q = await connect();
  for (const [name, run] of Object.entries(checks)) {
    try {
      await run(q);
      console.log(`ok ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL ${name}: ${error.message}`);
    }
  }
  q.close();
  process.exitCode = failures > 0 ? 1 : 0;
}

main().catch((error) => {
  console.log(`FAIL start: ${error.message}`);
  process.exitCode = 1;
});
