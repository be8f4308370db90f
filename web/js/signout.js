// Telling the person's other windows that they signed out, and the next page why it shows the sign-in.

const CHANNEL = "usher-signout";
const NOTICE = "usher-notice";

export function announceSignOut() {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage("signed-out");
  channel.close();
}

export function onSignOutElsewhere(handler) {
  const channel = new BroadcastChannel(CHANNEL);
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
