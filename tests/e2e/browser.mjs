// One headless Chromium for the tests.

import { chromium } from "playwright-core";

export const CHROMIUM = "/usr/bin/chromium";
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

export async function launchBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
}

/** A page of its own person. Everything odd that the page says is kept in `page.oddities`. */
export async function newPage(browser, { viewport = { width: 1280, height: 800 }, ...options } = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.oddities = [];
  page.on("pageerror", (error) => page.oddities.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { page.oddities.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("console", (message) => {
    const text = message.text();
    if (/Content.Security.Policy/i.test(text)) page.oddities.push(`policy: ${text}`);
    if (process.env.USHER_E2E_VERBOSE) console.log(`# page: ${text}`);
  });
  return page;
}
