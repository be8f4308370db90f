// The pictures of the documents, made while the tests run.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { newPage } from "./browser.mjs";
import { smallPng } from "./picture.mjs";
import { signInWell } from "./portal.mjs";
import { note } from "./tap.mjs";

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../docs/pictures");
const WIDTH = 1280;
const PHONE = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

/** A keeper that writes to docs/pictures when `refresh`, and otherwise does nothing. */
export function createKeeper(refresh) {
  const keep = async (name, page) => { if (refresh) await write(name, await page.screenshot()); };
  keep.png = async (name, png) => { if (refresh) await write(name, png); };
  return keep;
}

async function write(name, png, width = WIDTH) {
  mkdirSync(FOLDER, { recursive: true });
  const small = await smallPng(png, width);
  writeFileSync(join(FOLDER, `${name}.png`), small);
  note(`docs/pictures/${name}.png: ${small.length} bytes`);
}

/** The pictures that no test comes by: the sign-in, and the portal on a phone. */
export async function takeRest(browser, stack) {
  const page = await newPage(browser);
  await page.goto(`${stack.origin}/`);
  await page.waitForSelector("#signin-view:not([hidden])");
  await write("sign-in", await page.screenshot());
  await page.context().close();
  const phone = await newPage(browser, PHONE);
  await signInWell(phone, stack.origin, "alice", stack.account("alice").password);
  await phone.waitForSelector(".pool");
  await write("portal-phone", await phone.screenshot(), 780);
  await phone.context().close();
}
