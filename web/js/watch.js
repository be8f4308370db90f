// The long-poll loop: asks, hands over, asks again; backs off while the service does not answer.

import { ApiError } from "./api.js";

export const sleep = (ms, signal) => new Promise((resolve, reject) => {
  if (signal?.aborted) return reject(signal.reason);
  const timer = setTimeout(() => { signal?.removeEventListener("abort", abort); resolve(); }, ms);
  const abort = () => { clearTimeout(timer); reject(signal.reason); };
  signal?.addEventListener("abort", abort, { once: true });
});

/** 1, 2, 4, 8, 15, 15 … seconds, each up to a quarter less so that a crowd does not come back at once. */
export function backOffMs(attempt, random = Math.random) {
  return Math.min(1000 * 2 ** attempt, 15000) * (1 - random() / 4);
}

/** Between two polls, so that a burst of changes is one redraw and a server that answers at once is no storm. */
const PAUSE_MS = 250;

/**
 * Calls `onChange()` first and after every change of the person's desktops, and at least once per long poll, until
 * `signal` aborts. `onLine(true|false)` tells whether the service answers. A "signed-out" goes to `onSignedOut` and ends it.
 */
export async function watchDesktops({ api, onChange, onLine = () => {}, onSignedOut, signal, wait = sleep }) {
  let version;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const answer = version === undefined ? await api.desktops({ signal }) : await api.watchDesktops(version, { signal });
      await onChange();
      version = answer.resource_version;
      failures = 0;
      onLine(true);
      await wait(PAUSE_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.kind === "signed-out") return onSignedOut();
      onLine(false);
      version = undefined;
      try {
        await wait(Math.max(backOffMs(failures++), error.retryAfterS * 1000), signal);
      } catch {
        return;
      }
    }
  }
}
