// Mouse, touch and pen as positions and buttons of the desktop.

import { pictureXY } from "./geometry.js";

const BUTTON_UP = 4;
const BUTTON_DOWN = 5;
/** One turn of a wheel in CSS pixels; browsers report about 100, touchpads many small ones. */
const NOTCH_PX = 60;
const LINE_PX = 20;

/** SPICE's mask (left 1, middle 2, right 4) of the DOM's (left 1, right 2, middle 4). */
export const spiceButtons = (buttons) => (buttons & 1) | ((buttons & 4) >> 1) | ((buttons & 2) << 1);

/** Collects wheel movement into whole notches: a function of the event that gives +n (down) or -n (up). */
export function createWheel() {
  let collected = 0;
  return (event) => {
    const unit = event.deltaMode === 1 ? LINE_PX : event.deltaMode === 2 ? NOTCH_PX * 5 : 1;
    collected += event.deltaY * unit;
    const notches = Math.trunc(collected / NOTCH_PX);
    collected -= notches * NOTCH_PX;
    return notches;
  };
}

/**
 * Listens on `surface` and speaks through `sink`: `{picture() -> canvas or null, move(x, y, buttons), press(button, buttons),
 * release(button, buttons)}`. Returns a function that stops listening.
 */
export function attachPointer(surface, sink) {
  const wheel = createWheel();
  const stop = new AbortController();
  const on = (type, handler) => surface.addEventListener(type, handler, { capture: true, passive: false, signal: stop.signal });

  function move(event) {
    const canvas = sink.picture();
    if (!canvas) return false;
    const { x, y } = pictureXY(canvas.getBoundingClientRect(), canvas.width, canvas.height, event.clientX, event.clientY);
    sink.move(x, y, spiceButtons(event.buttons));
    return true;
  }

  on("pointermove", (event) => { if (move(event)) event.preventDefault(); });
  on("pointerdown", (event) => {
    if (event.button < 0 || event.button > 2 || !move(event)) return;
    // The desktop goes on getting the movement when the pointer leaves the picture with a button held.
    surface.setPointerCapture?.(event.pointerId);
    sink.press(event.button + 1, spiceButtons(event.buttons));
    event.preventDefault();
    surface.focus({ preventScroll: true });
  });
  for (const type of ["pointerup", "pointercancel"]) {
    on(type, (event) => {
      const button = type === "pointercancel" ? 0 : event.button;
      if (button >= 0 && button <= 2) sink.release(button + 1, spiceButtons(event.buttons));
    });
  }
  on("wheel", (event) => {
    event.preventDefault();
    const notches = wheel(event);
    const button = notches > 0 ? BUTTON_DOWN : BUTTON_UP;
    for (let i = 0; i < Math.abs(notches); i++) {
      sink.press(button, 0);
      sink.release(button, 0);
    }
  });
  on("contextmenu", (event) => event.preventDefault());
  return () => stop.abort();
}
