// Cases in order, each with a time limit, told as TAP.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

const results = [];
let filter = null;

export const artifacts = process.env.USHER_E2E_ARTIFACTS ?? join(process.env.TMPDIR ?? "/tmp", "usher-e2e");

export function only(pattern) {
  filter = pattern ? new RegExp(pattern, "i") : null;
}

export function note(text) {
  for (const line of String(text).trimEnd().split("\n")) console.log(`# ${line}`);
}

function withLimit(promise, seconds) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** Runs `body` as one case; `pages()` are photographed when it fails. Returns whether it passed. */
export async function testCase(name, seconds, body, pages = () => []) {
  if (filter && !filter.test(name)) return true;
  const began = Date.now();
  let failure = null;
  try {
    await withLimit(Promise.resolve().then(body), seconds);
  } catch (error) {
    failure = error;
  }
  results.push(failure === null);
  console.log(`${failure ? "not ok" : "ok"} ${results.length} - ${name}`);
  note(`${((Date.now() - began) / 1000).toFixed(1)} s`);
  if (failure) {
    note(failure.stack ?? failure);
    await photograph(results.length, pages());
  }
  return failure === null;
}

async function photograph(number, pages) {
  mkdirSync(artifacts, { recursive: true });
  for (const [index, page] of pages.entries()) {
    const path = join(artifacts, `case-${number}-${index}.png`);
    await page.screenshot({ path, timeout: 5000 }).then(() => note(`picture: ${path}, page at ${page.url()}`), () => {});
    for (const oddity of page.oddities ?? []) note(`page: ${oddity}`);
  }
}

/** The plan and the count; the exit status. */
export function finish() {
  const passed = results.filter(Boolean).length;
  console.log(`1..${results.length}`);
  console.log(`# ${passed} passed, ${results.length - passed} failed`);
  return passed === results.length && passed > 0 ? 0 : 1;
}

/** Asks until `ask` gives something true; its value. */
export async function until(what, seconds, ask, everyMs = 250) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      const value = await ask();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}${last ? ` (${last.message})` : ""}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
