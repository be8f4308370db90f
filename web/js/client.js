// The browser client behind one interface, so that a later client can take its place:
//
//   const connection = connect({ url, ticket, element, onstate });
//   onstate({state: "connected"}), later once onstate({state: "closed", reason})
//   connection.disconnect()  .sendCtrlAltDel()  .resize(width, height)  .focus()  .typeText(text)  .pressKey(code)  .picture()
//
// This one wraps spice-html5 (LGPL; served from where it is installed, see spice.js for what is adapted).

import { desktopSize, fitScale } from "./geometry.js";
import { createKeyboard } from "./keyboard.js";
import { attachPointer } from "./pointer.js";
import { openSpice } from "./spice.js";

/**
 * Connects `element` to the desktop at `url` with a one-time ticket. `onstate` is called with "connected" once there
 * is a picture and with "closed" once, whatever ended it (not after disconnect()).
 */
export function connect({ url, ticket, element, onstate }) {
  const screen = document.createElement("div");
  screen.className = "spice-screen";
  element.replaceChildren(screen);

  let open = true;
  let shown = false;
  let wanted = null;
  const spice = openSpice({ url, ticket, screen, onAgent: applySize, onClosed: (reason) => close(reason) });
  const keyboard = createKeyboard((code) => spice.key(code));
  const listening = new AbortController();
  const stopPointer = attachPointer(element, { picture, move: spice.move, press: spice.press, release: spice.release });

  function picture() {
    return screen.querySelector("canvas");
  }

  function fit() {
    const canvas = picture();
    if (!canvas) return;
    const scale = fitScale(element.clientWidth, element.clientHeight, canvas.width, canvas.height);
    screen.style.width = `${canvas.width}px`;
    screen.style.height = `${canvas.height}px`;
    screen.style.transform = scale === 1 ? "none" : `scale(${scale})`;
    screen.style.left = `${Math.max(0, (element.clientWidth - canvas.width * scale) / 2)}px`;
    screen.style.top = `${Math.max(0, (element.clientHeight - canvas.height * scale) / 2)}px`;
  }

  function applySize() {
    if (wanted) spice.resize(wanted.width, wanted.height);
  }

  const pictures = new MutationObserver(() => {
    fit();
    const canvas = picture();
    if (!canvas) return;
    canvas.tabIndex = -1;
    canvas.setAttribute("aria-hidden", "true");
    if (shown) return;
    shown = true;
    onstate({ state: "connected" });
  });
  pictures.observe(screen, { childList: true });

  function cleanUp() {
    open = false;
    listening.abort();
    stopPointer();
    pictures.disconnect();
    spice.close();
  }

  function close(reason) {
    if (!open) return;
    cleanUp();
    onstate({ state: "closed", reason, wasConnected: shown });
  }

  const on = (target, type, handler) => target.addEventListener(type, handler, { capture: true, signal: listening.signal });
  on(element, "keydown", (event) => { if (!event.defaultPrevented && keyboard.keyDown(event)) event.preventDefault(); });
  on(element, "keyup", (event) => { if (keyboard.keyUp(event)) event.preventDefault(); });
  on(element, "blur", keyboard.releaseAll);
  on(window, "blur", keyboard.releaseAll);

  return {
    disconnect() {
      if (!open) return;
      keyboard.releaseAll();
      cleanUp();
    },
    sendCtrlAltDel: () => keyboard.chord(["ControlLeft", "AltLeft", "Delete"]),
    resize(width, height) {
      wanted = desktopSize(width, height);
      fit();
      applySize();
    },
    focus: () => element.focus({ preventScroll: true }),
    typeText(text) {
      for (const character of text) keyboard.typeCharacter(character);
    },
    pressKey: (code) => keyboard.chord([code]),
    picture,
  };
}
