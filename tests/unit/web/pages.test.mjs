// What the content policy and the contrast rules ask of the files themselves.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "../../../web");
const read = (name) => readFileSync(join(WEB, name), "utf8");
const PAGES = readdirSync(WEB).filter((name) => name.endsWith(".html"));
const MODULES = readdirSync(join(WEB, "js"));

test("pages have no inline script, style or handler, and load only from here", () => {
  for (const page of PAGES) {
    const text = read(page);
    assert.doesNotMatch(text, /<script(?![^>]*\bsrc=)/i, page);
    assert.doesNotMatch(text, /<style|\sstyle=|\son[a-z]+=/i, page);
    for (const [, address] of text.matchAll(/\b(?:src|href)="([^"]*)"/g)) assert.match(address, /^[/#](?!\/)/, `${page}: ${address}`);
  }
});

test("every field has a label and every page a language, a title and a heading", () => {
  for (const page of PAGES) {
    const text = read(page);
    for (const [field, id] of text.matchAll(/<(?:input|textarea)[^>]*\bid="([^"]+)"[^>]*>/g)) {
      assert.ok(text.includes(`for="${id}"`) || field.includes("aria-label="), `${page}: ${id}`);
    }
    assert.match(text, /<html lang="en">/);
    assert.match(text, /<title>[^<]+<\/title>/);
    assert.match(text, /<h1/);
  }
});

test("modules write no markup and evaluate no text", () => {
  for (const name of MODULES) {
    const code = read(`js/${name}`).replace(/\/\/.*$/gm, "");
    assert.doesNotMatch(code, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\balert\(/, name);
  }
});

test("every module is installed", () => {
  const list = read("local.mk");
  for (const name of MODULES) assert.ok(list.includes(`web/js/${name}`), name);
});

test("elements that modules look up are on a page", () => {
  const pages = PAGES.map(read).join("\n");
  for (const name of MODULES) {
    for (const [, id] of read(`js/${name}`).matchAll(/byId\("([^"]+)"\)/g)) assert.ok(pages.includes(`id="${id}"`), `${name}: ${id}`);
  }
});

// -- contrast (WCAG 2.1, 1.4.3 and 1.4.11) --

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

function colours(css) {
  return Object.fromEntries([...css.matchAll(/--([a-z-]+):\s*(#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]));
}

const css = read("style.css");
const light = colours(css.slice(css.indexOf(":root"), css.indexOf("@media (prefers-color-scheme: dark)")));
const dark = colours(css.slice(css.indexOf("@media (prefers-color-scheme: dark)"), css.indexOf("* { box-sizing")));

const TEXT = [["ink", "paper"], ["ink", "card"], ["soft", "card"], ["soft", "paper"], ["accent", "card"], ["on-accent", "accent"], ["on-accent", "accent-strong"],
  ["good", "card"], ["busy", "card"], ["bad", "card"], ["bad", "bad-wash"], ["ink", "bad-wash"], ["ink", "busy-wash"], ["ink", "good-wash"], ["ink", "calm-wash"],
  ["accent", "calm-wash"]];
const EDGES = [["control", "card"], ["control", "paper"], ["focus", "card"], ["focus", "paper"]];

for (const [scheme, palette] of [["light", light], ["dark", dark]]) {
  test(`contrast, ${scheme}`, () => {
    for (const [pairs, least] of [[TEXT, 4.5], [EDGES, 3]]) {
      for (const [front, back] of pairs) {
        const ratio = contrast(palette[front], palette[back]);
        assert.ok(ratio >= least, `${front} on ${back}: ${ratio.toFixed(2)}, wanted ${least}`);
      }
    }
  });
}
