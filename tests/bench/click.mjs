// One click in the portal by a real browser, timed in the page: from the click on a pool to the first picture of its desktop.
// node click.mjs ORIGIN USER PASSWORD POOL SECONDS prints {"ms": …, "picture_colours": …}.

import { launchBrowser, newPage } from "../e2e/browser.mjs";
import { pool, signInWell } from "../e2e/portal.mjs";

const [origin, user, password, name, seconds] = process.argv.slice(2);

/** Runs in the page at each frame: how many colours a coarse look at the desktop's picture has, once it has several. */
function picture() {
  const canvas = document.querySelector("#screen canvas");
  if (!canvas || canvas.width === 0) return 0;
  const small = new OffscreenCanvas(64, 48).getContext("2d");
  small.drawImage(canvas, 0, 0, 64, 48);
  const { data } = small.getImageData(0, 0, 64, 48);
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return colours.size > 1 ? colours.size : 0;
}

const browser = await launchBrowser();
try {
  const page = await newPage(browser);
  await signInWell(page, origin, user, password);
  const open = pool(page, name).locator("a.open");
  await open.waitFor();
  const begin = performance.now();
  await open.click();
  const seen = await page.waitForFunction(picture, undefined, { polling: "raf", timeout: Number(seconds) * 1000 });
  const ms = performance.now() - begin;
  console.log(JSON.stringify({ ms, picture_colours: await seen.jsonValue() }));
} finally {
  await browser.close();
}
