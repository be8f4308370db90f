// Runs the cases and tells them as TAP.

import { parseArgs } from "node:util";
import { launchBrowser } from "./browser.mjs";
import { pagesCases } from "./cases/pages.mjs";
import { finish, only } from "./tap.mjs";

const HELP = `tests/e2e/run [--part pages|desktop] [--only REGEX]

  --part       only the pages on fakes, or only the whole on a real deployment
  --only       only the cases whose name matches`;

const { values } = parseArgs({ options: { part: { type: "string" }, only: { type: "string" }, help: { type: "boolean" } } });
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
only(values.only);
const browser = await launchBrowser();
try {
  if (values.part !== "desktop") await pagesCases(browser);
} finally {
  await browser.close();
}
process.exit(finish());
