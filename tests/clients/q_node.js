// node-q 2.7.0 against `qmesh q -p`.
"use strict";
const nodeq = require("node-q");

const where = { host: process.env.QMESH_HOST, port: Number(process.env.QMESH_QIPC_PORT), user: "user", password: "pass" };
const connect = () => new Promise((resolve, reject) => nodeq.connect(where, (error, q) => (error ? reject(error) : resolve(q))));
const ask = (q, ...message) => new Promise((resolve, reject) => q.k(...message, (error, answer) => (error ? reject(error) : resolve(answer))));

function equal(got, expected, what) {
  if (JSON.stringify(got) !== JSON.stringify(expected)) {
    throw new Error(`${what} is ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
  }
}

const checks = {
  async "text is evaluated"(q) {
    equal(await ask(q, "2+3*4"), 14, "2+3*4");
  },
  async "a function is called by name"(q) {
    equal(await ask(q, "add", 2, 40), 42, "add");
  },
  async "a table arrives"(q) {
    const rows = await ask(q, "0!select sum size by sym from trade");
    equal(rows, [{ sym: "a", size: 900 }, { sym: "b", size: 600 }, { sym: "c", size: 600 }], "rows");
  },
  async "an error has its text"(q) {
    const text = await ask(q, "1+`a").then(() => "an answer", (error) => String(error.message));
    equal(text, "type", "text");
  },
};

(async () => {
  const q = await connect();
  let failures = 0;
  for (const [name, run] of Object.entries(checks)) {
    try {
      await run(q);
      console.log(`ok ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL ${name}: ${error.message}`);
    }
  }
  q.close(() => process.exit(failures ? 1 : 0));
})();
