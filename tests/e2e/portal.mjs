// What a person does in the pages, as steps.

import { keyOfCharacter } from "../../web/js/keyboard.js";
import { until } from "./tap.mjs";

/** A PC's keyboard holds 16 bytes: a guest that gets no processor for a moment loses what is typed faster. */
const KEY_PAUSE_MS = 60;

export async function signIn(page, origin, user, password) {
  if (!page.url().startsWith(origin)) await page.goto(`${origin}/`);
  await page.waitForSelector("#signin-view:not([hidden])");
  await page.fill("#user", user);
  await page.fill("#password", password);
  await page.click("#signin-submit");
}

export async function signInWell(page, origin, user, password) {
  await signIn(page, origin, user, password);
  await page.waitForSelector("#desktops-view:not([hidden])");
}

export async function signOut(page) {
  await page.click("#sign-out");
  await page.waitForSelector("#signin-view:not([hidden])");
}

/** The message under the form once it is there. */
export async function signInMessage(page) {
  await page.waitForSelector("#signin-message:not([hidden])");
  return page.textContent("#signin-message");
}

export const pool = (page, name) => page.locator(name ? `.pool[data-pool="${name}"]` : ".pool").first();

export async function poolState(page, name) {
  return pool(page, name).getAttribute("data-state");
}

/** "Open here", and the desktop's picture. */
export async function openHere(page, { name, seconds = 60 } = {}) {
  await pool(page, name).locator("a.open").click();
  await connected(page, seconds);
}

export async function connected(page, seconds = 60) {
  await page.waitForSelector('body[data-state="connected"]', { timeout: seconds * 1000 });
  await page.waitForSelector("#screen canvas");
}

/** The desktop's picture as a PNG, from the canvas itself. */
export async function canvasPng(page) {
  const url = await page.evaluate(() => document.querySelector("#screen canvas").toDataURL("image/png"));
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

/** The page's complaints must be none: errors, dialogs, violations of the content policy. */
export function noOddities(page) {
  if (page.oddities.length > 0) throw new Error(`the page complained: ${page.oddities.join("; ")}`);
}

/** Presses the keys of a US keyboard one by one, with Shift where it takes one, as fingers would. */
export async function typeLine(page, text) {
  for (const character of `${text}\n`) {
    const { code, shift } = keyOfCharacter(character);
    await page.keyboard.press(shift ? `Shift+${code}` : code, { delay: 30 });
    await page.waitForTimeout(KEY_PAUSE_MS);
  }
}

export async function focusedId(page) {
  return page.evaluate(() => document.activeElement?.id || document.activeElement?.className || document.activeElement?.tagName);
}

export const waitForText = (page, selector, pattern, seconds = 10) =>
  until(`${selector} to read ${pattern}`, seconds, async () => pattern.test((await page.textContent(selector)) ?? ""));
