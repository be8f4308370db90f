// Keys as PC scan codes (set 1), from where the key is on the keyboard (KeyboardEvent.code) rather than from what
// is printed on it: the desktop's own keyboard layout decides what it means. Pure but for the listeners.

// An array is the row of keys as their codes follow each other from its first number.
const ROWS = [
  [0x01, "Escape Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal Backspace"],
  [0x0f, "Tab KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight Enter"],
  [0x1d, "ControlLeft KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote"],
  [0x2a, "ShiftLeft Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight"],
  [0x37, "NumpadMultiply AltLeft Space CapsLock F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NumLock ScrollLock"],
  [0x47, "Numpad7 Numpad8 Numpad9 NumpadSubtract Numpad4 Numpad5 Numpad6 NumpadAdd Numpad1 Numpad2 Numpad3 Numpad0 NumpadDecimal"],
  [0x56, "IntlBackslash F11 F12 NumpadEqual"],
  [0x64, "F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23"],
  [0x70, "KanaMode"],
  [0x73, "IntlRo"],
  [0x79, "Convert"],
  [0x7b, "NonConvert"],
  [0x7d, "IntlYen"],
  [0x7e, "NumpadComma"],
];

// Keys that came later carry a prefix: E0, then this code.
const EXTENDED = {
  NumpadEnter: 0x1c, ControlRight: 0x1d, NumpadDivide: 0x35, PrintScreen: 0x37, AltRight: 0x38, Home: 0x47, ArrowUp: 0x48,
  PageUp: 0x49, ArrowLeft: 0x4b, ArrowRight: 0x4d, End: 0x4f, ArrowDown: 0x50, PageDown: 0x51, Insert: 0x52, Delete: 0x53,
  MetaLeft: 0x5b, MetaRight: 0x5c, ContextMenu: 0x5d, AudioVolumeMute: 0x20, AudioVolumeDown: 0x2e, AudioVolumeUp: 0x30,
  MediaPlayPause: 0x22, MediaStop: 0x24, MediaTrackPrevious: 0x10, MediaTrackNext: 0x19, BrowserHome: 0x32, BrowserBack: 0x6a,
  BrowserForward: 0x69,
};

/** Bytes of a press and a release as SPICE wants them: a number whose lowest byte goes first. */
function table() {
  const codes = new Map();
  for (const [first, names] of ROWS) {
    names.split(" ").forEach((name, index) => codes.set(name, { down: first + index, up: (first + index) | 0x80 }));
  }
  for (const [name, code] of Object.entries(EXTENDED)) {
    codes.set(name, { down: 0xe0 | (code << 8), up: 0xe0 | ((code | 0x80) << 8) });
  }
  codes.set("Pause", { down: 0x451de1, up: 0xc59de1 });
  return codes;
}

const SCAN_CODES = table();

/** `{down, up}` of a key, or undefined for one that a PC keyboard does not have. */
export const scanCodes = (code) => SCAN_CODES.get(code);

const US_PLAIN = {
  " ": "Space", "\n": "Enter", "\t": "Tab", "-": "Minus", "=": "Equal", "[": "BracketLeft", "]": "BracketRight", "\\": "Backslash",
  ";": "Semicolon", "'": "Quote", "`": "Backquote", ",": "Comma", ".": "Period", "/": "Slash",
};
const US_SHIFTED = {
  "!": "Digit1", "@": "Digit2", "#": "Digit3", "$": "Digit4", "%": "Digit5", "^": "Digit6", "&": "Digit7", "*": "Digit8", "(": "Digit9",
  ")": "Digit0", _: "Minus", "+": "Equal", "{": "BracketLeft", "}": "BracketRight", "|": "Backslash", ":": "Semicolon", "\"": "Quote",
  "~": "Backquote", "<": "Comma", ">": "Period", "?": "Slash",
};

/** The key of a character on a US keyboard, for on-screen keyboards that name no keys: `{code, shift}` or undefined. */
export function keyOfCharacter(character) {
  if (/^[a-z]$/.test(character)) return { code: `Key${character.toUpperCase()}`, shift: false };
  if (/^[A-Z]$/.test(character)) return { code: `Key${character}`, shift: true };
  if (/^[0-9]$/.test(character)) return { code: `Digit${character}`, shift: false };
  if (character in US_PLAIN) return { code: US_PLAIN[character], shift: false };
  if (character in US_SHIFTED) return { code: US_SHIFTED[character], shift: true };
  return undefined;
}

/**
 * Turns key events into scan codes for `send(code)`. It remembers what is held, so that a window that loses the
 * focus, or a Mac that swallows releases while Command is held, leaves no key stuck in the desktop.
 */
export function createKeyboard(send) {
  const held = new Set();

  function press(code) {
    const scan = scanCodes(code);
    if (!scan) return false;
    held.add(code);
    send(scan.down);
    return true;
  }

  function release(code) {
    if (!held.delete(code)) return false;
    send(scanCodes(code).up);
    return true;
  }

  function releaseAll() {
    for (const code of [...held]) release(code);
  }

  return {
    /** True when the event was a key of the desktop's. */
    keyDown(event) {
      if (event.isComposing || !event.code) return false;
      // Windows sends a Control it never pressed in front of AltGr.
      if (event.code === "AltRight" && event.key === "AltGraph") release("ControlLeft");
      return press(event.code);
    },
    keyUp(event) {
      const known = release(event.code);
      if (event.code === "MetaLeft" || event.code === "MetaRight") releaseAll();
      return known || scanCodes(event.code) !== undefined;
    },
    releaseAll,
    /** Presses the keys in order, releases them in the opposite order. */
    chord(codes) {
      for (const code of codes) send(scanCodes(code).down);
      for (const code of [...codes].reverse()) send(scanCodes(code).up);
    },
    typeCharacter(character) {
      const key = keyOfCharacter(character);
      if (!key) return false;
      this.chord(key.shift ? ["ShiftLeft", key.code] : [key.code]);
      return true;
    },
  };
}
