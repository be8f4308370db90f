// Runs the cases and tells them as TAP.

import { parseArgs } from "node:util";
import { launchBrowser } from "./browser.mjs";
import { desktopCases } from "./cases/desktop.mjs";
import { pagesCases } from "./cases/pages.mjs";
import { createKeeper, takeRest } from "./pictures.mjs";
import { Stack } from "./stack.mjs";
import { finish, only, testCase } from "./tap.mjs";

const START_S = 1000;
const HELP = `tests/e2e/run [--part pages|desktop] [--only REGEX] [--state-dir DIR] [--template NAME] [--pictures]

  --part       only the pages on fakes, or only the whole on a real deployment
  --only       only the cases whose name matches
  --state-dir  use the deployment that ./quickstart keeps there; else one is made and ended
  --template   what ./quickstart clones: tiny is quick, the default is the real desktop
  --pictures   refresh docs/pictures`;

const { values } = parseArgs({ options: {
  part: { type: "string" }, only: { type: "string" }, "state-dir": { type: "string" }, template: { type: "string" },
  pictures: { type: "boolean" }, help: { type: "boolean" },
} });
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

async function onDeployment(browser) {
  const stack = new Stack({ stateDir: values["state-dir"], template: values.template });
  try {
    let up = false;
    only(null);
    await testCase("./quickstart makes a deployment that is ready", START_S, async () => {
      await stack.start();
      if (stack.status.ready !== true) throw new Error(`not ready: ${JSON.stringify(stack.status)}`);
      up = true;
    });
    only(values.only);
    if (!up) return;
    await desktopCases(browser, stack, createKeeper(values.pictures));
    if (values.pictures) await takeRest(browser, stack);
  } finally {
    await stack.stop();
  }
}

only(values.only);
const browser = await launchBrowser();
try {
  if (values.part !== "desktop") await pagesCases(browser);
  if (values.part !== "pages") await onDeployment(browser);
} finally {
  await browser.close();
}
process.exit(finish());
