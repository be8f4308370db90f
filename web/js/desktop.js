// The session page: shows what session.js says, and carries the toolbar, the window's size and the keyboard's way out.

import { createApi } from "./api.js";
import { connect } from "./client.js";
import { byId, element, setText } from "./dom.js";
import { createSession } from "./session.js";
import { leaveNotice, onSignOutElsewhere } from "./signout.js";
import { aboutSeconds, describeLeft } from "./texts.js";
import { watchDesktops } from "./watch.js";

const RESIZE_SETTLE_MS = 250;
const SIGNED_OUT_SHOWN_MS = 2500;

const pool = new URLSearchParams(location.hash.slice(1)).get("pool");
const screen = byId("screen");
const api = createApi();
let session = null;
let countdown = 0;

// -- The panel over the desktop ---------------------------------------------------------------------

function showPanel({ title, text = "", reasons = [], busy = true, again = "" }) {
  clearInterval(countdown);
  byId("overlay").hidden = false;
  setText(byId("overlay-title"), title);
  setText(byId("overlay-text"), text);
  byId("overlay-reasons").replaceChildren(...reasons.map((reason) => element("li", {}, reason)));
  byId("spinner").hidden = !busy;
  byId("again").hidden = again === "";
  setText(byId("again"), again);
}

/** Writes `textOf(seconds left)` now and each second. */
function countDown(fromS, textOf) {
  const started = Date.now();
  const write = () => setText(byId("overlay-text"), textOf(fromS - (Date.now() - started) / 1000));
  write();
  countdown = setInterval(write, 1000);
}

let startingShown = null;
let opened = null; // the desktop, once it was shown

const SHOW = {
  asking: ({ again }) => { if (!again && !startingShown) showPanel({ title: "Opening your desktop …" }); },
  starting: ({ etaS, desktop }) => {
    // Asked again every second or so: the estimate counts down by itself unless the service names a later time.
    const endsAt = Date.now() + (etaS ?? 0) * 1000;
    if (startingShown !== null && Math.abs(endsAt - startingShown) < 5000) return;
    startingShown = endsAt;
    if (desktop?.name) nameIt(desktop.name);
    showPanel({ title: "Your desktop is starting" });
    if (typeof etaS === "number") countDown(etaS, (left) => `It will be here in ${aboutSeconds(left)}.`.replace("in any moment now", "any moment now"));
  },
  connecting: ({ again }) => { startingShown = null; if (!again) showPanel({ title: "Connecting to your desktop …" }); },
  connected: ({ desktop }) => {
    opened = desktop;
    clearInterval(countdown);
    nameIt(desktop?.name ?? pool);
    byId("overlay").hidden = true;
    sizeToWindow();
    session.connection()?.focus();
  },
  lost: ({ text, retryInMs }) => {
    startingShown = null;
    showPanel({ title: text, again: "Try now" });
    countDown(retryInMs / 1000, (left) => (left > 0 ? `Trying again in ${Math.ceil(left)} s …` : "Trying again …"));
  },
  ended: ({ why, text, reasons, canRetry }) => {
    if (why === "left") return;
    showPanel({ title: text, reasons, busy: false, again: canRetry ? "Try again" : "" });
    if (why === "signed-out") {
      const left = describeLeft(opened);
      setText(byId("overlay-text"), left.text);
      leaveNotice(left.notice);
      setTimeout(() => location.assign("/"), SIGNED_OUT_SHOWN_MS);
    }
  },
};

function nameIt(name) {
  setText(byId("name"), name);
  document.title = `${name} · Usher`;
}

// -- The session ------------------------------------------------------------------------------------

function open() {
  session = createSession({
    api, pool, connect, element: screen,
    onstate: (state) => {
      document.body.dataset.state = state.state;
      byId("cad").disabled = state.state !== "connected";
      SHOW[state.state](state);
    },
  });
  session.run();
}

/**
 * Notices a sign-in session that was ended elsewhere (another window, an administrator, its time). Not while the page is
 * hidden: a browser opens few connections to one place, and every long poll holds one.
 */
function watchSignIn() {
  let stop = null;
  const follow = () => {
    stop?.abort();
    stop = null;
    if (document.visibilityState !== "visible") return;
    stop = new AbortController();
    watchDesktops({ api, signal: stop.signal, onChange: () => {}, onSignedOut: () => session.signedOut() });
  };
  document.addEventListener("visibilitychange", follow);
  follow();
}

function sizeToWindow() {
  session?.connection()?.resize(screen.clientWidth, screen.clientHeight);
}

let settle = 0;
new ResizeObserver(() => {
  clearTimeout(settle);
  settle = setTimeout(sizeToWindow, RESIZE_SETTLE_MS);
}).observe(screen);

// -- The toolbar ------------------------------------------------------------------------------------

async function toggleFullScreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  await document.documentElement.requestFullscreen({ navigationUI: "hide" });
  // Where the browser allows it, Alt+Tab and the like go to the desktop too.
  await navigator.keyboard?.lock?.().catch(() => {});
  screen.focus();
}

byId("fullscreen").hidden = !document.fullscreenEnabled;
byId("fullscreen").addEventListener("click", () => toggleFullScreen().catch(() => {}));
document.addEventListener("fullscreenchange", () => setText(byId("fullscreen"), document.fullscreenElement ? "Leave full screen" : "Full screen"));
byId("cad").addEventListener("click", () => {
  session.connection()?.sendCtrlAltDel();
  screen.focus();
});
byId("again").addEventListener("click", () => (document.body.dataset.state === "ended" ? open() : session.hurry()));

// Keys go to the desktop; this one chord brings the focus out of it.
screen.addEventListener("keydown", (event) => {
  if (event.code !== "F12" || !event.shiftKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  byId("leave").focus();
}, { capture: true });

// On-screen keyboards name no keys, only text.
const soft = byId("soft-keys");
byId("keyboard").addEventListener("click", () => soft.focus());
soft.addEventListener("input", () => {
  session.connection()?.typeText(soft.value);
  soft.value = "";
});
soft.addEventListener("keydown", (event) => {
  if (event.key !== "Backspace" && event.key !== "Enter") return;
  event.preventDefault();
  session.connection()?.pressKey(event.key);
});

window.addEventListener("online", () => session?.hurry());
window.addEventListener("offline", () => session?.lineDown());
window.addEventListener("hashchange", () => location.reload());
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
window.addEventListener("pagehide", () => session?.leave());
onSignOutElsewhere(() => session?.signedOut());

if (pool) {
  nameIt(pool);
  open();
  watchSignIn();
} else {
  location.replace("/");
}
