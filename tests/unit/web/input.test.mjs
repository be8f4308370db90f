import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyboard, keyOfCharacter, scanCodes } from "../../../web/js/keyboard.js";
import { createWheel, spiceButtons } from "../../../web/js/pointer.js";
import { desktopSize, fitScale, pictureXY } from "../../../web/js/geometry.js";

test("scan codes of set 1, one from each row", () => {
  const cases = { Escape: 0x01, Digit1: 0x02, Backspace: 0x0e, Tab: 0x0f, KeyQ: 0x10, Enter: 0x1c, ControlLeft: 0x1d, KeyA: 0x1e, Backquote: 0x29,
    ShiftLeft: 0x2a, Backslash: 0x2b, KeyZ: 0x2c, Slash: 0x35, ShiftRight: 0x36, NumpadMultiply: 0x37, AltLeft: 0x38, Space: 0x39, CapsLock: 0x3a,
    F1: 0x3b, F10: 0x44, NumLock: 0x45, ScrollLock: 0x46, Numpad7: 0x47, NumpadAdd: 0x4e, Numpad0: 0x52, NumpadDecimal: 0x53, IntlBackslash: 0x56,
    F11: 0x57, F12: 0x58, IntlRo: 0x73, IntlYen: 0x7d };
  for (const [code, scan] of Object.entries(cases)) assert.deepEqual(scanCodes(code), { down: scan, up: scan | 0x80 }, code);
});

test("prefixed keys: the prefix is the lowest byte", () => {
  assert.deepEqual(scanCodes("ArrowUp"), { down: 0x48e0, up: 0xc8e0 });
  assert.deepEqual(scanCodes("AltRight"), { down: 0x38e0, up: 0xb8e0 });
  assert.equal(scanCodes("Pause").down, 0x451de1);
  assert.equal(scanCodes("Eject"), undefined);
});

test("no two keys share a scan code", () => {
  const names = "Escape F1 F12 KeyA KeyZ ArrowUp Numpad8 Delete NumpadDecimal Enter NumpadEnter ControlLeft ControlRight Slash NumpadDivide".split(" ");
  assert.equal(new Set(names.map((name) => scanCodes(name).down)).size, names.length);
});

function keyboard() {
  const sent = [];
  return { sent, keys: createKeyboard((code) => sent.push(code)) };
}

test("a key that is unknown is left to the browser and sends nothing", () => {
  const { sent, keys } = keyboard();
  assert.equal(keys.keyDown({ code: "Eject" }), false);
  assert.equal(keys.keyDown({ code: "" }), false);
  assert.equal(keys.keyDown({ code: "KeyA", isComposing: true }), false);
  assert.deepEqual(sent, []);
});

test("held keys are let go when the focus goes, once", () => {
  const { sent, keys } = keyboard();
  keys.keyDown({ code: "ControlLeft" });
  keys.keyDown({ code: "KeyC" });
  keys.keyDown({ code: "KeyC" });
  keys.releaseAll();
  keys.releaseAll();
  assert.deepEqual(sent, [0x1d, 0x2e, 0x2e, 0x9d, 0xae]);
});

test("a release that had no press is not sent", () => {
  const { sent, keys } = keyboard();
  assert.equal(keys.keyUp({ code: "KeyA" }), true);
  assert.deepEqual(sent, []);
});

test("Command swallows releases: letting it go lets all go", () => {
  const { sent, keys } = keyboard();
  keys.keyDown({ code: "MetaLeft" });
  keys.keyDown({ code: "KeyC" });
  keys.keyUp({ code: "MetaLeft" });
  assert.deepEqual(sent, [0x5be0, 0x2e, 0xdbe0, 0xae]);
});

test("AltGr of Windows takes back the Control it invented", () => {
  const { sent, keys } = keyboard();
  keys.keyDown({ code: "ControlLeft", key: "Control" });
  keys.keyDown({ code: "AltRight", key: "AltGraph" });
  assert.deepEqual(sent, [0x1d, 0x9d, 0x38e0]);
});

test("Ctrl+Alt+Del in order and back", () => {
  const { sent, keys } = keyboard();
  keys.chord(["ControlLeft", "AltLeft", "Delete"]);
  assert.deepEqual(sent, [0x1d, 0x38, 0x53e0, 0xd3e0, 0xb8, 0x9d]);
});

test("every printable ASCII character has a key", () => {
  for (let code = 0x20; code < 0x7f; code++) {
    const character = String.fromCharCode(code);
    const key = keyOfCharacter(character);
    assert.ok(key && scanCodes(key.code), character);
  }
  assert.equal(keyOfCharacter("é"), undefined);
});

test("typing a capital holds shift", () => {
  const { sent, keys } = keyboard();
  keys.typeCharacter("A");
  assert.deepEqual(sent, [0x2a, 0x1e, 0x9e, 0xaa]);
  assert.equal(keys.typeCharacter("→"), false);
});

test("buttons: the DOM has right and middle the other way round", () => {
  assert.deepEqual([0, 1, 2, 4, 7].map(spiceButtons), [0, 1, 4, 2, 7]);
});

test("the wheel collects small movement and knows lines and pages", () => {
  const wheel = createWheel();
  assert.deepEqual([20, 20, 20, -120].map((deltaY) => wheel({ deltaY, deltaMode: 0 })), [0, 0, 1, -2]);
  assert.equal(createWheel()({ deltaY: 3, deltaMode: 1 }), 1);
  assert.equal(createWheel()({ deltaY: 1, deltaMode: 2 }), 5);
});

test("a point on a scaled picture, kept inside it", () => {
  const rect = { left: 100, top: 50, width: 400, height: 300 };
  assert.deepEqual(pictureXY(rect, 800, 600, 300, 200), { x: 400, y: 300 });
  assert.deepEqual(pictureXY(rect, 800, 600, 0, 0), { x: 0, y: 0 });
  assert.deepEqual(pictureXY(rect, 800, 600, 999, 999), { x: 799, y: 599 });
});

test("pictures shrink to fit and never grow", () => {
  assert.equal(fitScale(500, 500, 1000, 500), 0.5);
  assert.equal(fitScale(5000, 5000, 1000, 500), 1);
  assert.equal(fitScale(0, 0, 1000, 500), 1);
  assert.equal(fitScale(10, 10, 0, 0), 1);
});

test("sizes asked of the guest", () => {
  assert.deepEqual(desktopSize(1283, 757), { width: 1280, height: 752 });
  assert.deepEqual(desktopSize(10, 10), { width: 320, height: 240 });
});
