// The pages on a fake service, and the browser client on a bare QEMU's own SPICE server: what is quick to see
// without a deployment, above all the answers that a healthy one does not give.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { FakeUsher } from "../../fakes/usher-fake.mjs";
import { newPage } from "../browser.mjs";
import { canvasPng, connected, focusedId, noOddities, openHere, pool, poolState, signIn, signInMessage, signInWell, waitForText } from "../portal.mjs";
import { colours } from "../picture.mjs";
import { BareQemu } from "../qemu.mjs";
import { testCase, until } from "../tap.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const TICKET = "one-time-ticket";

/** Runs a case with a fake service and a page of its own. */
function onFake(browser, name, body, { seconds = 40, fake: options = {}, page: pageOptions } = {}) {
  const pages = [];
  return testCase(`pages: ${name}`, seconds, async () => {
    const fake = await new FakeUsher({ startMs: 1500, ticket: TICKET, ...options }).listen();
    try {
      const open = async (more) => {
        const page = await newPage(browser, more ?? pageOptions);
        pages.push(page);
        return page;
      };
      await body({ fake, open, page: await open() });
      for (const page of pages) noOddities(page);
      for (const page of pages) await page.context().close();
    } finally {
      await fake.close();
    }
  }, () => pages);
}

async function signInAnswers(browser) {
  await onFake(browser, "no, slow down and could not find out read differently", async ({ fake, page }) => {
    await signIn(page, fake.origin, "alice", "wrong");
    assert.match(await signInMessage(page), /password is not right/);
    assert.equal(await page.inputValue("#password"), "");
    assert.equal(await focusedId(page), "password");
    fake.directory = "unknown";
    await signIn(page, fake.origin, "alice", "alice");
    await waitForText(page, "#signin-message", /could not be checked/);
    fake.directory = "ok";
    fake.throttleS = 2;
    await signIn(page, fake.origin, "alice", "alice");
    await waitForText(page, "#signin-message", /Too many attempts. Try again in 2 s/);
    assert.equal(await page.isDisabled("#signin-submit"), true);
    fake.throttleS = 0;
    await waitForText(page, "#signin-message", /try again now/);
    await page.fill("#password", "alice");
    await page.click("#signin-submit");
    await page.waitForSelector("#desktops-view:not([hidden])");
  });
  await onFake(browser, "empty fields are asked for and nothing is sent", async ({ fake, page }) => {
    await signIn(page, fake.origin, "", "");
    assert.match(await signInMessage(page), /user name/);
    assert.equal(await focusedId(page), "user");
    assert.ok(!fake.calls.some(({ path }) => path.endsWith("/signin")));
  });
}

async function list(browser) {
  await onFake(browser, "the state changes by itself, with the time that is left", async ({ fake, page }) => {
    await signInWell(page, fake.origin, "alice", "alice");
    await until("available", 5, async () => (await poolState(page)) === "available");
    fake.desktopOf("alice", "office", true);
    await until("starting", 5, async () => (await poolState(page)) === "starting");
    await waitForText(page, ".state-text", /Starting, (a second or two|a few seconds|about)/);
    await until("ready", 8, async () => (await poolState(page)) === "ready");
  });
  await onFake(browser, "a pool that can't be had says why and can't be opened", async ({ fake, page }) => {
    await signInWell(page, fake.origin, "bob", "bob");
    await waitForText(page, '.pool[data-pool="lab"] .detail', /4096 MiB/);
    assert.equal(await pool(page, "lab").locator("a.open").getAttribute("href"), null);
  });
  await onFake(browser, "who has none reads why", async ({ fake, page }) => {
    await signInWell(page, fake.origin, "carol", "carol");
    await waitForText(page, "#empty-reasons", /None of your groups/);
  });
  await onFake(browser, "restart asks first", async ({ fake, page }) => {
    fake.desktopOf("alice", "office", true);
    await signInWell(page, fake.origin, "alice", "alice");
    const restarts = () => fake.calls.filter(({ path }) => path.endsWith("/restart")).length;
    await pool(page).locator(".restart").click();
    await page.keyboard.press("Escape");
    assert.equal(restarts(), 0);
    await pool(page).locator(".restart").click();
    await page.click("#confirm-yes");
    await until("the restart", 5, () => restarts() === 1);
    await waitForText(page, "#action-message", /restarting/);
  });
  await onFake(browser, "signing out asks first when a desktop is lost with it, and names it", async ({ fake, page }) => {
    const outs = () => fake.calls.filter(({ path }) => path.endsWith("/signout")).length;
    fake.pools.office.assignment = "floating";
    await signInWell(page, fake.origin, "alice", "alice");
    await waitForText(page, ".pool .hint", /Wiped when you sign out/);
    fake.desktopOf("alice", "office", true);
    await page.click("#sign-out");
    await waitForText(page, "#confirm-items", /office-1 is wiped/);
    await page.keyboard.press("Escape");
    assert.equal(outs(), 0);
    await page.click("#sign-out");
    await page.click("#confirm-yes");
    await page.waitForSelector("#signin-view:not([hidden])");
    await waitForText(page, "#signin-notice", /^You are signed out\.$/);
    assert.equal(outs(), 1);
  });
  await onFake(browser, "opening asks twice: is it there, and tell me when it is", async ({ fake, page }) => {
    await signInWell(page, fake.origin, "alice", "alice");
    await pool(page, "office").locator("a.open").click();
    const asked = () => fake.calls.filter(({ path }) => path.endsWith("/connect")).map(({ body }) => JSON.parse(body).wait_s ?? 0);
    await until("the second question", 5, () => asked().length === 2);
    assert.deepEqual(asked(), [0, 20]);
    await waitForText(page, "#overlay-title", /is starting/);
  }, { fake: { startMs: 60000 } });
  await onFake(browser, "my viewer's file comes when the desktop is ready", async ({ fake, page }) => {
    await signInWell(page, fake.origin, "alice", "alice");
    const download = page.waitForEvent("download");
    await pool(page).locator(".viewer").click();
    await waitForText(page, "#action-message", /is starting/);
    const file = await download;
    assert.equal(file.suggestedFilename(), "office.vv");
    assert.match(readFileSync(await file.path(), "utf8"), /^\[virt-viewer\]\n/);
  });
  await onFake(browser, "a service that goes away is told, and its return too", async ({ fake, page }) => {
    await signInWell(page, fake.origin, "alice", "alice");
    await page.waitForSelector(".pool");
    fake.broken = true;
    fake.changed();
    await page.waitForSelector("#line-message:not([hidden])");
    fake.broken = false;
    await page.waitForSelector("#line-message", { state: "hidden" });
  });
}

async function access(browser) {
  await onFake(browser, "by keyboard alone", async ({ fake, page }) => {
    await page.goto(fake.origin);
    await page.waitForSelector("#signin-view:not([hidden])");
    assert.equal(await focusedId(page), "user");
    await page.keyboard.type("alice");
    await page.keyboard.press("Tab");
    await page.keyboard.type("alice");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".pool");
    const order = [];
    for (let i = 0; i < 2; i++) {
      await page.keyboard.press("Tab");
      order.push(await focusedId(page));
    }
    assert.deepEqual(order, ["button primary open", "viewer"]);
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    await page.waitForSelector('body[data-state="starting"]');
  });
  await onFake(browser, "nothing is cut off on a phone", async ({ fake, page }) => {
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await signInWell(page, fake.origin, "bob", "bob");
    await page.waitForSelector(".pool");
    assert.equal(await overflow(), 0);
    await pool(page, "office").locator("a.open").click();
    await page.waitForSelector('body[data-state="starting"]');
    assert.equal(await overflow(), 0);
    const bar = await page.locator(".tools").boundingBox();
    assert.ok(bar.x >= 0 && bar.x + bar.width <= PHONE.viewport.width, JSON.stringify(bar));
  }, { page: PHONE });
}

async function client(browser) {
  const qemu = new BareQemu(TICKET);
  let up = false;
  await testCase("pages: a bare QEMU with a SPICE server", 30, async () => { await qemu.start(); up = true; });
  if (!up) return qemu.stop();
  const fake = { spicePort: qemu.port };
  await onFake(browser, "the firmware's screen is seen, Ctrl+Alt+Del arrives, the ticket is in no address", async (stage) => {
    const { page } = stage;
    await signInWell(page, stage.fake.origin, "alice", "alice");
    await openHere(page);
    await until("text on the screen", 15, async () => (await colours(await canvasPng(page))) >= 2);
    await page.click("#cad");
    await until("the machine's reset", 10, () => qemu.events.includes("RESET"));
    assert.ok(!page.url().includes(TICKET));
    assert.ok(!stage.fake.calls.some(({ path }) => path.includes(TICKET)));
  }, { fake });
  await onFake(browser, "a lost line comes back by itself with a fresh ticket", async (stage) => {
    const { page } = stage;
    await signInWell(page, stage.fake.origin, "alice", "alice");
    await openHere(page);
    const before = stage.fake.tickets;
    await page.evaluate(() => {
      window.attempts = 0;
      new MutationObserver(() => { if (document.body.dataset.state === "connecting") window.attempts++; })
        .observe(document.body, { attributes: true, attributeFilter: ["data-state"] });
    });
    stage.fake.cut();
    await page.waitForSelector('body[data-state="lost"]');
    await waitForText(page, "#overlay-title", /line to your desktop was lost/);
    await connected(page);
    // A SPICE server that is still ending the old session may drop the new one: then there is a second attempt, with its own ticket.
    const attempts = await page.evaluate(() => window.attempts);
    assert.ok(attempts >= 1 && attempts <= 2, `${attempts} attempts`);
    assert.equal(stage.fake.tickets, before + attempts);
    assert.equal(await page.locator("#screen canvas").count(), 1);
  }, { fake });
  await onFake(browser, "a big desktop is shrunk to a small window, and the keyboard finds the way out", async (stage) => {
    const { page } = stage;
    await signInWell(page, stage.fake.origin, "alice", "alice");
    await openHere(page);
    await page.setViewportSize({ width: 420, height: 500 });
    await until("a picture that fits", 5, async () => (await page.locator("#screen canvas").boundingBox()).width <= 420);
    await page.locator("#screen").focus();
    await page.keyboard.press("Tab");
    assert.equal(await focusedId(page), "screen");
    await page.keyboard.press("Shift+F12");
    assert.equal(await focusedId(page), "leave");
  }, { fake });
  await onFake(browser, "signed out elsewhere: the session ends politely", async (stage) => {
    const { page } = stage;
    await signInWell(page, stage.fake.origin, "alice", "alice");
    await openHere(page);
    stage.fake.revokeAll();
    await waitForText(page, "#overlay-title", /signed out/);
    await until("the line's end", 5, () => stage.fake.lines.size === 0);
    await page.waitForSelector("#signin-view:not([hidden])");
    await waitForText(page, "#signin-notice", /signed out/);
  }, { fake });
  await testCase("pages: the bare QEMU is gone", 10, () => qemu.stop());
}

export async function pagesCases(browser) {
  await signInAnswers(browser);
  await list(browser);
  await access(browser);
  await client(browser);
}
