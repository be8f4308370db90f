// The portal's entry: shows the sign-in or the desktops, whichever the service says.

import { ApiError, createApi } from "./api.js";
import { announceSignOut, onSignOutElsewhere, takeNotice } from "./signout.js";
import { createDesktopsView } from "./desktops.js";
import { createSignInView } from "./signin.js";
import { confirmWith } from "./confirm.js";
import { byId, setText } from "./dom.js";
import { describeSignOut } from "./texts.js";
import { sleep, backOffMs } from "./watch.js";

const api = createApi();
const signInView = createSignInView({ api, onSignedIn: showDesktops });
const desktopsView = createDesktopsView({ api, onSignedOut: () => showSignIn("You were signed out. Sign in to go on.") });

function show(id) {
  for (const view of ["signin-view", "desktops-view"]) byId(view).hidden = view !== id;
  byId("top").hidden = id !== "desktops-view";
}

function showSignIn(notice = "") {
  desktopsView.stop();
  document.title = "Sign in · Usher";
  show("signin-view");
  signInView.start(notice);
}

function showDesktops(user) {
  document.title = "Your desktops · Usher";
  setText(byId("who"), user.display_name || user.name);
  show("desktops-view");
  desktopsView.start();
  byId("main").focus({ preventScroll: true });
}

async function signOut() {
  const button = byId("sign-out");
  button.disabled = true;
  try {
    const { items: desktops } = await api.desktops();
    const { items, question, notice } = describeSignOut(desktops);
    if (items.length > 0 && !await confirmWith({ title: "Sign out?", text: question, items, yes: "Sign out" })) return;
    await api.signOut();
    announceSignOut();
    showSignIn(notice);
  } catch (error) {
    if (error instanceof ApiError && error.kind === "signed-out") showSignIn("You are signed out.");
    else desktopsView.say({ tone: "bad", text: "You could not be signed out: the service does not answer. Try again." });
  } finally {
    button.disabled = false;
  }
}

/** Asks who is signed in until the service gives an answer. */
async function begin() {
  for (let attempt = 0; ; attempt++) {
    try {
      const { user } = await api.me();
      return showDesktops(user);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.kind === "signed-out") return showSignIn(takeNotice());
      show("signin-view");
      signInView.unreachable();
      await sleep(backOffMs(attempt));
    }
  }
}

byId("sign-out").addEventListener("click", signOut);
onSignOutElsewhere(() => showSignIn("You signed out in another window."));
// A page that comes back from the back-forward cache may show what is no longer so.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
begin();
