import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../../web/js/api.js";
import {
  aboutSeconds, assignmentHint, describeFailure, describeLeft, describePool, describeSignInFailure, describeSignOut, reasonTexts, remainingEta,
} from "../../../web/js/texts.js";

test("durations are rounded as people say them", () => {
  const cases = [[undefined, ""], [null, ""], [NaN, ""], [-3, "any moment now"], [0, "any moment now"], [1, "a second or two"],
    [3, "a few seconds"], [5, "a few seconds"],
    [17, "about 20 s"], [20, "about 20 s"], [89, "about 90 s"], [90, "about 2 min"], [300, "about 5 min"]];
  for (const [seconds, text] of cases) assert.equal(aboutSeconds(seconds), text, String(seconds));
});

test("an estimate runs down", () => {
  assert.equal(remainingEta(20, 1000, 6000), 15);
  assert.equal(remainingEta(undefined, 0, 0), undefined);
});

const POOL = { name: "office", display_name: "Office", state: "ready", reason: "", desktop: null };
const DESKTOP = { id: "1", name: "office-1", eta_s: 20, reason: "" };

test("each state of a pool", () => {
  assert.deepEqual(describePool(POOL), { tone: "good", state: "Ready", detail: "", canOpen: true, canRestart: false });
  const starting = { ...POOL, state: "starting", desktop: DESKTOP };
  assert.equal(describePool(starting).state, "Starting, about 20 s");
  assert.equal(describePool(starting, 12000).state, "Starting, about 10 s");
  assert.equal(describePool(starting, 30000).state, "Starting, any moment now");
  assert.equal(describePool(starting).canRestart, true);
  assert.equal(describePool({ ...POOL, state: "starting" }).state, "Starting");
  assert.equal(describePool({ ...POOL, state: "available", eta_s: 60 }).state, "Made when you open it, about 60 s");
  assert.equal(describePool({ ...POOL, state: "available" }).state, "Made when you open it");
  const none = describePool({ ...POOL, state: "unavailable", reason: "No host is there." });
  assert.deepEqual([none.canOpen, none.detail, none.tone], [false, "No host is there.", "bad"]);
});

test("signing out says what it ends, and asks only then", () => {
  const kept = { name: "office-1", assignment: "dedicated" };
  const none = describeSignOut([kept]);
  assert.deepEqual(none.items, []);
  assert.match(none.notice, /keeps running/);
  const some = describeSignOut([kept, { name: "lab-2", assignment: "floating" }, { name: "dev-3", assignment: "fresh-system" }]);
  assert.equal(some.items.length, 2);
  assert.match(some.items[0], /^lab-2 is wiped/);
  assert.match(some.items[1], /^dev-3 gets a new system\. Your data disk stays/);
  assert.match(some.question, /open now/);
  assert.doesNotMatch(some.notice, /keeps running/);
  assert.deepEqual(describeSignOut(undefined).items, []);
});

test("a desktop that is not kept says so beside it, and where it was open", () => {
  assert.equal(assignmentHint("dedicated"), "");
  assert.equal(assignmentHint("of a later service"), "");
  assert.match(assignmentHint("floating"), /Wiped when you sign out/);
  assert.match(assignmentHint("fresh-system"), /data disk stays/);
  assert.match(describeLeft(null).text, /keeps running/);
  assert.match(describeLeft({ assignment: "floating" }).text, /wiped/);
  assert.doesNotMatch(describeLeft({ assignment: "floating" }).notice, /go back/);
});

test("a state of a later service is shown and stays usable", () => {
  const shown = describePool({ ...POOL, state: "hibernated" });
  assert.deepEqual([shown.state, shown.canOpen], ["hibernated", true]);
});

test("the three refusals of a sign-in read differently, and slow down has its seconds", () => {
  const texts = ["signed-out", "slow-down", "unknown", "refused", "invalid"]
    .map((kind) => describeSignInFailure(new ApiError(kind, "because", { retryAfterS: 12 })).text);
  assert.equal(new Set(texts).size, texts.length);
  assert.match(texts[0], /password is not right/);
  assert.match(texts[1], /12 s/);
  assert.match(texts[2], /could not be checked/);
});

test("every failure has a sentence", () => {
  for (const kind of ["signed-out", "refused", "missing", "slow-down", "exhausted", "unknown", "invalid", "later"]) {
    assert.ok(describeFailure(new ApiError(kind, "")).length > 5, kind);
  }
});

test("reasons come as objects or as text", () => {
  assert.deepEqual(reasonTexts([{ rule: "a", message: "A" }, "B", null, {}]), ["A", "B"]);
  assert.deepEqual(reasonTexts(undefined), []);
});
