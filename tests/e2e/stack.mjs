// The deployment under test: one that `./quickstart` makes here and that is ended here, or one that is there already.

import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { note, until } from "./tap.mjs";

const TOP = join(dirname(fileURLToPath(import.meta.url)), "../..");
const run = promisify(execFile);
const BUFFER = { maxBuffer: 64 * 1024 * 1024 };

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Stack {
  /** `stateDir` of one that runs already; else one is made, with `template`. */
  constructor({ stateDir, template }) {
    this.owned = !stateDir;
    this.stateDir = stateDir;
    this.template = template;
  }

  async start() {
    if (this.owned) {
      this.stateDir = mkdtempSync(join(process.env.TMPDIR ?? "/tmp", "usher-e2e-"));
      this.port = await freePort();
      await this.quickstart(["--port", String(this.port), ...(this.template ? ["--template", this.template] : [])]);
    }
    await this.readStatus();
  }

  /** Starts what does not run; tells its progress as notes. */
  async quickstart(more = []) {
    const child = spawn(join(TOP, "quickstart"), ["--state-dir", this.stateDir, ...more], { cwd: TOP, stdio: ["ignore", "pipe", "pipe"] });
    this.starting = child;
    let last = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => { last = (last + data).slice(-4000); note(data); });
    }
    const [status] = await once(child, "close");
    if (status !== 0) throw new Error(`quickstart ended with ${status}: ${last}`);
  }

  async command(...words) {
    const { stdout } = await run(join(TOP, "quickstart"), [...words, "--state-dir", this.stateDir], { cwd: TOP, ...BUFFER });
    return stdout;
  }

  async readStatus() {
    this.status = JSON.parse(await this.command("status", "--json"));
    this.origin = new URL(this.status.portal).origin;
    return this.status;
  }

  account(user) {
    const found = this.status.accounts.find((account) => account.user === user);
    if (!found) throw new Error(`quickstart made no account ${user}`);
    return found;
  }

  /** quickstart keeps «PID START-TIME» of each daemon. */
  pidOf(daemon) {
    return Number(readFileSync(join(this.stateDir, "pids", daemon), "utf8").split(" ")[0]);
  }

  /** kill -9, and not before it is gone does this end. */
  async kill(daemon) {
    const pid = this.pidOf(daemon);
    process.kill(pid, "SIGKILL");
    await until(`${daemon} is gone`, 10, () => {
      try {
        return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
      } catch {
        return true;
      }
    });
  }

  async stop() {
    if (this.starting?.exitCode === null) this.starting.kill("SIGTERM");
    if (!this.owned || !this.stateDir) return;
    if (existsSync(join(TOP, "quickstart"))) await this.command("stop").catch((error) => note(error.message));
    await this.command("reset", "--yes").catch((error) => note(error.message));
    rmSync(this.stateDir, { recursive: true, force: true });
  }

  // -- the guests, past Usher ---------------------------------------------------------------------

  async virsh(...words) {
    const { stdout } = await run("virsh", ["-q", "-c", "qemu:///system", ...words], BUFFER);
    return stdout;
  }

  domain(desktopId) {
    return `usher-${desktopId}`;
  }

  /** What the machine itself has on its screen. */
  async screenshot(desktopId) {
    const path = join(mkdtempSync(join(process.env.TMPDIR ?? "/tmp", "usher-shot-")), "screen");
    try {
      await this.virsh("screenshot", this.domain(desktopId), path);
      return readFileSync(path);
    } finally {
      rmSync(dirname(path), { recursive: true, force: true });
    }
  }

  async agent(desktopId, execute, parameters = {}) {
    const answer = await this.virsh("qemu-agent-command", "--timeout", "20", this.domain(desktopId),
      JSON.stringify({ execute, arguments: parameters }));
    return JSON.parse(answer).return;
  }

  /** What templates/seal/check says of two desktops: which things they do not share. It fails when they share one they may not. */
  async compareClones(one, two) {
    const { stdout } = await run(join(TOP, "templates/seal/check"), ["clones", this.domain(one), this.domain(two), "--connect", "qemu:///system"])
      .catch((error) => Promise.reject(new Error(`${error.message}\n${error.stdout}`)));
    return stdout;
  }

  /** A command in the guest, by its agent; its output. */
  async inGuest(desktopId, ...words) {
    const [path, ...arg] = words;
    const { pid } = await this.agent(desktopId, "guest-exec", { path, arg, "capture-output": true });
    const done = await until(`${words.join(" ")} in the guest`, 30, async () => {
      const status = await this.agent(desktopId, "guest-exec-status", { pid });
      return status.exited && status;
    });
    return Buffer.from(done["out-data"] ?? "", "base64").toString();
  }
}
