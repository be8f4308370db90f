// What people read: every state, refusal and duration in words. Pure: values in, text out.

/** "about 20 s", "about 2 min"; "any moment now" once the estimate has passed; "" when there is none. */
export function aboutSeconds(etaS) {
  if (typeof etaS !== "number" || !Number.isFinite(etaS)) return "";
  if (etaS <= 0) return "any moment now";
  if (etaS <= 2) return "a second or two";
  if (etaS <= 5) return "a few seconds";
  if (etaS < 90) return `about ${Math.ceil(etaS / 5) * 5} s`;
  return `about ${Math.round(etaS / 60)} min`;
}

/** What is left of an estimate that was made at `atMs`. */
export function remainingEta(etaS, atMs, nowMs) {
  return typeof etaS === "number" ? etaS - (nowMs - atMs) / 1000 : undefined;
}

function withEta(word, etaS) {
  const about = aboutSeconds(etaS);
  return about === "" ? word : `${word}, ${about}`;
}

const POOL_STATES = {
  ready: { tone: "good", text: () => "Ready", canOpen: true },
  starting: { tone: "busy", text: (eta) => withEta("Starting", eta), canOpen: true },
  available: { tone: "calm", text: (eta) => {
    const about = aboutSeconds(eta);
    return about === "" || eta <= 0 ? "Made when you open it" : `Made when you open it, ${about}`;
  }, canOpen: true },
  unavailable: { tone: "bad", text: () => "Not available", canOpen: false },
};

/**
 * How a pool is shown: `{tone, state, detail, canOpen, canRestart}`. A state this page does not know yet is shown by
 * its name and stays usable: the service decides, not the page.
 */
export function describePool(pool, ageMs = 0) {
  const kind = POOL_STATES[pool.state] ?? { tone: "calm", text: () => String(pool.state), canOpen: true };
  const eta = remainingEta(pool.desktop?.eta_s ?? pool.eta_s, 0, ageMs);
  return {
    tone: kind.tone,
    state: kind.text(eta),
    detail: pool.reason || pool.desktop?.reason || "",
    canOpen: kind.canOpen,
    canRestart: Boolean(pool.desktop),
  };
}

// What becomes of a desktop when its person signs out: a hint beside it, and what is said of one by its name.
const ASSIGNMENTS = {
  floating: {
    hint: "Wiped when you sign out: keep nothing on it that you need again.",
    leaving: (name) => `${name} is wiped. Everything on it is lost.`,
    left: "It is wiped when you sign out.",
  },
  "fresh-system": {
    hint: "Its system is made new when you sign out. Your data disk stays.",
    leaving: (name) => `${name} gets a new system. Your data disk stays; everything else on it is lost.`,
    left: "Its system is made new when you sign out. Your data disk stays.",
  },
};
const KEPT = "Your desktop keeps running for you.";

/** A sentence for the list; "" for a desktop that is kept as it is. */
export function assignmentHint(assignment) {
  return ASSIGNMENTS[assignment]?.hint ?? "";
}

/**
 * What signing out does to a person's desktops (of the API): `{question, items, notice}`. `items` has a sentence for each that
 * does not stay as it is; without any nothing need be asked. `notice` is for the sign-in page afterwards.
 */
export function describeSignOut(desktops) {
  const items = (desktops ?? []).filter((desktop) => ASSIGNMENTS[desktop.assignment])
    .map((desktop) => ASSIGNMENTS[desktop.assignment].leaving(desktop.name));
  return {
    items,
    question: items.length === 0 ? "" : "Signing out here ends your work on it, also where it is open now. Only if you are signed in elsewhere too, it stays until you sign out there.",
    notice: items.length === 0 ? `You are signed out. ${KEPT}` : "You are signed out.",
  };
}

/** What a session page says of the desktop whose person has signed out, and the sign-in page after it: `{text, notice}`. */
export function describeLeft(desktop) {
  const left = ASSIGNMENTS[desktop?.assignment]?.left;
  return left ? { text: left, notice: "You are signed out." }
    : { text: KEPT, notice: "You are signed out. Sign in to go back to your desktop." };
}

/** One sentence per reason of a refusal or of an empty list. */
export function reasonTexts(reasons) {
  return (reasons ?? []).map((reason) => (typeof reason === "string" ? reason : reason?.message)).filter(Boolean);
}

/** `{tone, text}` for a sign-in that failed. */
export function describeSignInFailure(error) {
  switch (error.kind) {
    case "signed-out":
      return { tone: "bad", text: "The user name or the password is not right. Check both and try again." };
    case "refused":
      return { tone: "bad", text: `You can't sign in: ${error.message}` };
    case "slow-down":
      return { tone: "wait", text: `Too many attempts. Try again in ${Math.max(1, error.retryAfterS)} s.` };
    case "invalid":
      return { tone: "bad", text: `This was not accepted: ${error.message}` };
    default:
      return {
        tone: "wait",
        text: "Your password could not be checked: the directory does not answer. It is not your fault; try again in a moment.",
      };
  }
}

/** One sentence for any other failed request. */
export function describeFailure(error) {
  switch (error.kind) {
    case "signed-out": return "You are signed out.";
    case "refused": return `You may not do this: ${error.message}`;
    case "missing": return "This desktop is no longer there.";
    case "slow-down": return `Too many requests. Try again in ${Math.max(1, error.retryAfterS)} s.`;
    case "exhausted": return error.message || "There is no room for another desktop just now.";
    case "unknown": return error.message || "The service does not answer.";
    default: return error.message || "Something went wrong.";
  }
}
