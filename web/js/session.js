// The life of one session page, without a screen: asks for a ticket, connects, and when the line is lost asks again.
//
//   asking → starting (the desktop is made) → connecting → connected → lost → asking …       any → ended
//
// A ticket lives in memory between the answer and the connection; it is used once and never shown.

import { ApiError } from "./api.js";
import { describeFailure, reasonTexts } from "./texts.js";
import { backOffMs, sleep } from "./watch.js";

/** After this long a connection counts as a good one, and the next loss starts with a short wait again. */
const STEADY_MS = 10000;
const clampMs = (ms) => Math.min(Math.max(ms ?? 1000, 100), 10000);
/** How long the service is let wait in one question, once it said that the desktop starts. */
const ASK_WAIT_S = 20;
/** A question that was to wait and came back sooner was not waited for: then the page waits. */
const WAITED_MS = 1000;

/**
 * `connect` is the client's (client.js). `onstate({state, …})` hears:
 *   asking, connecting {again}; starting {etaS, desktop}; connected {desktop};
 *   lost {text, retryInMs}; ended {why: "signed-out"|"refused"|"left", text, reasons, canRetry}
 */
export function createSession({ api, pool, connect, element, onstate, wait = sleep, random = Math.random, now = Date.now }) {
  let ended = false;
  let connection = null;
  let hangUp = null;
  let attempt = 0;
  let starting = false;
  let nudge = () => {};
  const stop = new AbortController();

  function end(why, text, { reasons = [], canRetry = false } = {}) {
    if (ended) return;
    ended = true;
    connection?.disconnect();
    connection = null;
    stop.abort();
    onstate({ state: "ended", why, text, reasons, canRetry });
  }

  /** Waits, or goes on at once when hurry() is called. */
  async function pause(ms) {
    const cut = new AbortController();
    const both = () => cut.abort();
    stop.signal.addEventListener("abort", both, { once: true });
    nudge = both;
    try {
      await wait(ms, cut.signal);
    } catch {
      // Hurried or ended; the caller looks which.
    }
    stop.signal.removeEventListener("abort", both);
    nudge = () => {};
  }

  /** Tells that there is no connection, and waits longer each time until one was steady. */
  async function lost(text) {
    const retryInMs = backOffMs(attempt++, random);
    onstate({ state: "lost", text, retryInMs });
    await pause(retryInMs);
  }

  /** Resolves with `{reason, wasConnected}` when the connection is over. */
  function hold({ url, ticket, desktop }) {
    return new Promise((resolve) => {
      hangUp = (reason) => {
        connection?.disconnect();
        resolve({ reason, wasConnected: true });
      };
      try {
        connection = connect({
          url, ticket, element,
          onstate: (event) => {
            if (ended) return;
            if (event.state === "connected") onstate({ state: "connected", desktop });
            else resolve(event);
          },
        });
      } catch {
        resolve({ reason: "unreachable", wasConnected: false });
      }
    });
  }

  /** A ticket, or null when it is not to be had now and the loop has to come again. */
  async function ask() {
    try {
      const askedMs = now();
      const waitS = starting ? ASK_WAIT_S : 0;
      const answer = await api.connect(pool, { waitS, signal: stop.signal });
      starting = !answer.ready;
      if (answer.ready) return answer;
      onstate({ state: "starting", etaS: answer.eta_s, desktop: answer.desktop });
      if (waitS > 0 && now() - askedMs < WAITED_MS) await pause(clampMs(answer.retry_after_ms));
    } catch (error) {
      starting = false;
      if (ended || error?.name === "AbortError") return null;
      if (!(error instanceof ApiError)) throw error;
      if (error.kind === "signed-out") end("signed-out", "You are signed out.");
      else if (error.kind === "unknown" || error.kind === "slow-down") await lost(describeFailure(error));
      else end("refused", describeFailure(error), { reasons: reasonTexts(error.reasons), canRetry: error.kind === "exhausted" });
    }
    return null;
  }

  async function run() {
    let again = false;
    while (!ended) {
      if (!starting) onstate({ state: "asking", again });
      const answer = await ask();
      if (ended) return;
      if (!answer) continue;
      onstate({ state: "connecting", again });
      const since = now();
      const over = await hold(answer);
      connection = null;
      if (ended) return;
      again = true;
      if (over.wasConnected && now() - since > STEADY_MS) attempt = 0;
      await lost(over.wasConnected ? "The line to your desktop was lost." : "Your desktop did not answer.");
    }
  }

  return {
    run,
    /** The person leaves. */
    leave: () => end("left", ""),
    /** The sign-in session is over. */
    signedOut: () => end("signed-out", "You are signed out."),
    /** Does not wait any longer for the next attempt. */
    hurry: () => nudge(),
    /** The browser says that the line is down: no use in waiting for the connection to notice. */
    lineDown: () => hangUp?.("offline"),
    connection: () => connection,
  };
}
