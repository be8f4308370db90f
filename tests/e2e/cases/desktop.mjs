// The whole, with nothing faked: people of the directory, desktops that are cloned for them, the clients people use.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { newPage } from "../browser.mjs";
import { canvasPng, connected, noOddities, openHere, pool, poolState, signIn, signInMessage, signInWell, signOut, typeLine, waitForText } from "../portal.mjs";
import { colours, cropLike, difference, size, trimmed } from "../picture.mjs";
import { note, testCase, until } from "../tap.mjs";
import { CONTENT, Viewer } from "../viewer.mjs";

/** Two pictures of one screen differ by a cursor or a clock; two different screens by much more. */
const SAME = 12;
/** The first desktop may still be booting, on a machine without hardware virtualisation. */
const BOOT_S = 300;
const TYPE_ATTEMPTS = 3;

class People {
  constructor(browser, stack) {
    Object.assign(this, { browser, stack, pages: [] });
  }

  async page(options) {
    const page = await newPage(this.browser, options);
    this.pages.push(page);
    return page;
  }

  async done(...pages) {
    for (const page of pages) {
      noOddities(page);
      await page.context().close();
    }
    this.pages = this.pages.filter((page) => !pages.includes(page));
  }

  async signedIn(user, options) {
    const page = await this.page(options);
    await signInWell(page, this.stack.origin, user, this.stack.account(user).password);
    return page;
  }

  async signInAgain(page, user) {
    await signInWell(page, this.stack.origin, user, this.stack.account(user).password);
  }
}

/** The person's desktop as the portal knows it. */
async function desktopOf(page) {
  const answer = await page.evaluate(async () => (await fetch("/api/v1/desktops")).json());
  assert.equal(answer.items.length, 1, JSON.stringify(answer));
  return answer.items[0];
}

async function sameAsGuest(stack, id, png) {
  const distance = await difference(png, await stack.screenshot(id));
  return distance < SAME || Promise.reject(new Error(`the pictures differ by ${distance.toFixed(1)}`));
}

/**
 * Types a command that leaves a mark, and reads the mark in the guest. A starved guest's keyboard loses keys, so a line
 * that did not arrive whole is given up (`again`) and typed anew.
 */
async function typedArrives(stack, id, type, again) {
  for (let attempt = 1; ; attempt++) {
    const mark = `usher-${randomBytes(4).toString("hex")}`;
    await type(`echo ${mark} > /tmp/${mark}`);
    try {
      await until("what was typed is in the guest", 20, async () => (await stack.inGuest(id, "/bin/cat", `/tmp/${mark}`)).trim() === mark, 1000);
      return;
    } catch (error) {
      if (attempt === TYPE_ATTEMPTS) throw error;
      note(`typing, attempt ${attempt}: ${error.message}`);
      await again();
    }
  }
}

/** In the browser: once the picture has come to rest. */
async function typedInBrowser(page, stack, id) {
  let before = null;
  await until("the picture is at rest", 30, async () => {
    const now = await canvasPng(page);
    const still = before !== null && (await difference(before, now)) < 0.5;
    before = now;
    return still;
  }, 1500);
  await page.locator("#screen").click({ position: { x: 300, y: 200 } });
  await typedArrives(stack, id, (text) => typeLine(page, text), () => page.keyboard.press("Control+KeyC"));
}

function refusals(people) {
  const { stack } = people;
  const ofPages = () => people.pages;
  return [
    () => testCase("a wrong password is told as one", 60, async () => {
      const page = await people.page();
      await signIn(page, stack.origin, "alice", "not-her-password");
      assert.match(await signInMessage(page), /password is not right/);
      await people.done(page);
    }, ofPages),
    () => testCase("carol has no desktop and reads why", 60, async () => {
      const page = await people.signedIn("carol");
      await waitForText(page, "#empty-reasons", /\w{3,}.*\w{3,}/);
      note(`carol reads: ${await page.textContent("#empty-reasons")}`);
      assert.equal(await page.locator(".pool").count(), 0);
      await people.done(page);
    }, ofPages),
  ];
}

function browserCases(people, seen, keep) {
  const { stack } = people;
  const ofPages = () => people.pages;
  let page;
  return [
    () => testCase("alice signs in and sees her pool", 60, async () => {
      page = await people.signedIn("alice");
      await page.waitForSelector(".pool");
      await keep("portal", page);
    }, ofPages),
    () => testCase("she opens the desktop in the browser and sees the machine's own picture", BOOT_S + 60, async () => {
      await openHere(page, { seconds: BOOT_S });
      seen.alice = (await desktopOf(page)).id;
      await until("a picture of more than one colour", 60, async () => (await colours(await canvasPng(page))) > 1, 1000);
      await until("the machine's own picture", 60, async () => sameAsGuest(stack, seen.alice, await canvasPng(page)), 1000);
    }, ofPages),
    () => testCase("what she types arrives in the guest", 120, async () => {
      await typedInBrowser(page, stack, seen.alice);
      await keep("desktop", page);
    }, ofPages),
    ...(stack.status.template === "tiny" ? [] : [() => testCase("the desktop's screen follows the window", 90, async () => {
      await page.setViewportSize({ width: 1200, height: 776 });
      await until("a screen as wide as the window", 60, async () => (await size(await canvasPng(page))).width === 1200, 1000);
      await until("the machine's own picture", 30, async () => sameAsGuest(stack, seen.alice, await canvasPng(page)), 1000);
    }, ofPages)]),
    () => testCase("the gateway is killed: the page says so and comes back by itself", 400, async () => {
      await stack.kill("gateway");
      await page.waitForSelector('body[data-state="lost"]', { timeout: 20000 });
      assert.match(await page.textContent("#overlay-title"), /lost/);
      await stack.quickstart();
      await connected(page, 90);
      await typedInBrowser(page, stack, seen.alice);
    }, ofPages),
    () => testCase("signed out and in again: the same desktop", 120, async () => {
      await page.click("#leave");
      await page.waitForSelector("#desktops-view:not([hidden])");
      await signOut(page);
      await people.signInAgain(page, "alice");
      await openHere(page, { seconds: 90 });
      assert.equal((await desktopOf(page)).id, seen.alice);
      await people.done(page);
    }, ofPages),
  ];
}

function viewerCases(people, seen, keep) {
  const { stack } = people;
  const viewer = new Viewer();
  return [
    () => testCase("the portal's file opens the desktop in remote-viewer", BOOT_S, async () => {
      const page = await people.signedIn("alice");
      const download = page.waitForEvent("download", { timeout: BOOT_S * 1000 });
      await pool(page).locator(".viewer").click();
      const text = readFileSync(await (await download).path(), "utf8");
      await people.done(page);
      assert.match(text, /^\[virt-viewer\]$/m);
      await viewer.open(text);
      await until("remote-viewer shows the machine's own picture", 60, async () => {
        const guest = await stack.screenshot(seen.alice);
        const shown = await cropLike(await viewer.screenshot(), CONTENT, guest);
        const distance = await difference(shown, guest);
        return distance < SAME || Promise.reject(new Error(`the pictures differ by ${distance.toFixed(1)}`));
      }, 1000);
    }, () => people.pages),
    () => testCase("what is typed in remote-viewer arrives in the guest", 90, async () => {
      await typedArrives(stack, seen.alice, (text) => viewer.type(text), () => viewer.key("ctrl+c"));
      await keep.png("remote-viewer", await trimmed(await viewer.screenshot()));
    }),
    () => viewer.close(),
  ];
}

function twoPeople(people, seen) {
  return [
    () => testCase("bob gets a desktop of his own", BOOT_S + 60, async () => {
      const page = await people.signedIn("bob");
      await openHere(page, { seconds: BOOT_S });
      const { id } = await desktopOf(page);
      seen.bob = id;
      assert.notEqual(id, seen.alice);
      await until("the machine's own picture", 60, async () => sameAsGuest(people.stack, id, await canvasPng(page)), 1000);
      await typedInBrowser(page, people.stack, id);
      await people.done(page);
    }, () => people.pages),
    () => testCase("the two desktops share nothing that two machines may not", 90, async () => {
      const differ = ["hostname", "ip", "mac", "machine-id", ...(people.stack.status.template === "tiny" ? [] : ["ssh-key"]), "urandom"];
      await until("both have an address and keys of their own", 60, async () => {
        const answer = await people.stack.compareClones(seen.alice, seen.bob);
        return answer === `different: ${differ.join(" ")}\n` || Promise.reject(new Error(answer));
      }, 2000);
    }),
  ];
}

function restart(people, seen) {
  return [
    () => testCase("bob restarts his desktop: it is another start of the same machine", BOOT_S + 60, async () => {
      const { stack } = people;
      const page = await people.signedIn("bob");
      const booted = async () => (await stack.inGuest(seen.bob, "/bin/cat", "/proc/sys/kernel/random/boot_id")).trim();
      const before = await booted();
      await pool(page).locator(".restart").click();
      await page.click("#confirm-yes");
      await until("another start", BOOT_S, async () => (await booted()) !== before, 2000);
      await until("ready again", BOOT_S, async () => (await poolState(page)) === "ready", 1000);
      await openHere(page, { seconds: BOOT_S });
      assert.equal((await desktopOf(page)).id, seen.bob);
      await people.done(page);
    }, () => people.pages),
  ];
}

/** `keep(name, page)` and `keep.png(name, png)` are given the pictures for the documents. */
export async function desktopCases(browser, stack, keep) {
  const people = new People(browser, stack);
  const seen = {};
  const steps = [...refusals(people), ...browserCases(people, seen, keep), ...viewerCases(people, seen, keep), ...twoPeople(people, seen), ...restart(people, seen)];
  for (const step of steps) await step();
}
