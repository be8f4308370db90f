import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../../web/js/api.js";
import { backOffMs, sleep, watchDesktops } from "../../../web/js/watch.js";

/** An api whose answers are a script; a function is called, an Error is thrown, and after the last the watch is stopped. */
function scripted(answers) {
  const stop = new AbortController();
  const asked = [];
  const next = async (what) => {
    asked.push(what);
    if (answers.length === 0) {
      stop.abort();
      throw stop.signal.reason;
    }
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { stop, asked, api: { desktops: () => next("list"), watchDesktops: (after) => next(after) } };
}

async function run(answers, extra = {}) {
  const { stop, asked, api } = scripted(answers);
  const heard = { changes: 0, line: [], signedOut: 0, waits: [] };
  await watchDesktops({
    api, signal: stop.signal, onChange: async () => { heard.changes += 1; }, onLine: (up) => heard.line.push(up),
    onSignedOut: () => { heard.signedOut += 1; }, wait: async (ms) => { heard.waits.push(ms); }, ...extra,
  });
  return { asked, ...heard };
}

const down = (retryAfterS = 0) => new ApiError("unknown", "down", { retryAfterS });

test("lists first, then watches from the version it saw", async () => {
  const seen = await run([{ resource_version: 4 }, { resource_version: 7 }, { resource_version: 7, changed: false }]);
  assert.deepEqual(seen.asked, ["list", 4, 7, 7]);
  assert.equal(seen.changes, 3);
});

test("after a failure it backs off longer each time, says so, and lists anew", async () => {
  const seen = await run([{ resource_version: 4 }, down(), down(), { resource_version: 9 }]);
  assert.deepEqual(seen.asked, ["list", 4, "list", "list", 9]);
  assert.deepEqual(seen.line, [true, false, false, true]);
  const [, first, second] = seen.waits;
  assert.ok(first >= 750 && first <= 1000 && second >= 1500 && second <= 2000, String(seen.waits));
});

test("a Retry-After is obeyed", async () => {
  const seen = await run([down(30)]);
  assert.equal(seen.waits[0], 30000);
});

test("signed out ends it", async () => {
  const seen = await run([{ resource_version: 1 }, new ApiError("signed-out", "")]);
  assert.equal(seen.signedOut, 1);
  assert.equal(seen.asked.length, 2);
});

test("a fault of ours is not hidden", async () => {
  await assert.rejects(run([{ resource_version: 1 }], { onChange: async () => { throw new TypeError("ours"); } }), TypeError);
});

test("back-off has an end and is spread", () => {
  assert.equal(backOffMs(0, () => 0), 1000);
  assert.equal(backOffMs(3, () => 0), 8000);
  assert.equal(backOffMs(50, () => 0), 15000);
  assert.equal(backOffMs(50, () => 1), 11250);
});

test("sleep can be cut short", async () => {
  const stop = new AbortController();
  const sleeping = sleep(60000, stop.signal);
  stop.abort();
  await assert.rejects(sleeping);
  await assert.rejects(sleep(1, stop.signal));
  await sleep(1, new AbortController().signal);
});
