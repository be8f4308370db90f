import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../../web/js/api.js";
import { fetchViewerFile, viewerFileName } from "../../../web/js/viewer.js";

const starting = (retryAfterS) => new ApiError("unknown", "starting", { retryAfterS });

function scripted(answers) {
  const waits = [];
  let nowMs = 0;
  const run = () => fetchViewerFile({
    api: { viewerFile: async () => {
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof Error) throw answer;
      return answer;
    } },
    pool: "office", onWaiting: () => {}, wait: async (ms) => { waits.push(ms); nowMs += ms; }, now: () => nowMs,
  });
  return { run, waits };
}

test("asks again after the time the service names, within limits", async () => {
  const { run, waits } = scripted([starting(3), starting(0), starting(600), "[virt-viewer]"]);
  assert.equal(await run(), "[virt-viewer]");
  assert.deepEqual(waits, [1000, 10000]); // the second question is answered when the desktop is there
});

test("a refusal is told at once", async () => {
  const { run, waits } = scripted([new ApiError("refused", "no")]);
  await assert.rejects(run(), { kind: "refused" });
  assert.deepEqual(waits, []);
});

test("it does not wait for ever", async () => {
  const { run, waits } = scripted([starting(10)]);
  await assert.rejects(run(), { kind: "unknown" });
  assert.equal(waits.length, 60);
});

test("file names that every system takes", () => {
  assert.equal(viewerFileName("office"), "office.vv");
  assert.equal(viewerFileName("../a b/ü"), "a-b-.vv");
  assert.equal(viewerFileName("///"), "desktop.vv");
});
