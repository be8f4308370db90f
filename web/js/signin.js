// The sign-in form: one attempt at a time, and a different sentence for "no", "slow down" and "could not find out".

import { ApiError } from "./api.js";
import { byId, setMessage } from "./dom.js";
import { describeSignInFailure } from "./texts.js";

export function createSignInView({ api, onSignedIn }) {
  const form = byId("signin-form");
  const user = byId("user");
  const password = byId("password");
  const submit = byId("signin-submit");
  const message = byId("signin-message");
  let pause = 0;

  function setBusy(busy) {
    submit.disabled = busy || pause > 0;
    submit.textContent = busy ? "Signing in …" : pause > 0 ? `Wait ${pause} s` : "Sign in";
    form.setAttribute("aria-busy", String(busy));
  }

  /** Holds the button for `seconds` and counts them down on it. */
  function holdFor(seconds) {
    pause = seconds;
    setBusy(false);
    const timer = setInterval(() => {
      pause -= 1;
      setBusy(false);
      if (pause > 0) return;
      clearInterval(timer);
      setMessage(message, { tone: "calm", text: "You can try again now." });
    }, 1000);
  }

  function fail(error) {
    if (!(error instanceof ApiError)) throw error;
    setMessage(message, describeSignInFailure(error));
    setBusy(false);
    if (error.kind === "slow-down") return holdFor(Math.max(1, error.retryAfterS));
    if (error.kind !== "unknown") password.value = "";
    password.focus();
  }

  /** The first empty field and what to say about it; null when both are filled. */
  function firstEmpty() {
    if (user.value.trim() === "") return { field: user, text: "Type your user name." };
    if (password.value === "") return { field: password, text: "Type your password." };
    return null;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    const empty = firstEmpty();
    if (empty) {
      setMessage(message, { tone: "bad", text: empty.text });
      return empty.field.focus();
    }
    setMessage(message, {});
    setMessage(byId("signin-notice"), {});
    setBusy(true);
    try {
      const answer = await api.signIn(user.value.trim(), password.value);
      password.value = "";
      setBusy(false);
      onSignedIn(answer.user);
    } catch (error) {
      fail(error);
    }
  });

  return {
    start(notice) {
      setMessage(message, {});
      setMessage(byId("signin-notice"), { tone: "calm", text: notice });
      setBusy(false);
      (user.value === "" ? user : password).focus();
    },
    unreachable() {
      setMessage(byId("signin-notice"), { tone: "wait", text: "The service does not answer just now. This page goes on trying." });
    },
  };
}
