// Telling the person's other windows that they signed out, and the next page why it shows the sign-in.

const CHANNEL = "usher-signout";
const NOTICE = "usher-notice";

// One for the page: a second one would hear what this one says, and take it for another window's word.
const channel = new BroadcastChannel(CHANNEL);

export function announceSignOut() {
  channel.postMessage("signed-out");
}

export function onSignOutElsewhere(handler) {
  channel.addEventListener("message", () => handler());
}

/** Leaves one sentence for the sign-in page of this tab. */
export function leaveNotice(text) {
  sessionStorage.setItem(NOTICE, text);
}

export function takeNotice() {
  const text = sessionStorage.getItem(NOTICE) ?? "";
  sessionStorage.removeItem(NOTICE);
  return text;
}
