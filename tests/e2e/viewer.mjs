// remote-viewer on a screen of its own (Xvfb).

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const SCREEN = "1600x1100x24";
/** Where the desktop begins in remote-viewer's window: behind GTK's frame and title bar, on a screen without a window manager. */
export const CONTENT = { x: 5, y: 50 };

export class Viewer {
  constructor() {
    this.processes = [];
    this.directory = mkdtempSync(join(process.env.TMPDIR ?? "/tmp", "usher-viewer-"));
    this.said = "";
  }

  #spawn(command, args, options = {}) {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe", "pipe"], ...options });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { this.said = (this.said + data).slice(-3000); });
    this.processes.push(child);
    return child;
  }

  /** Opens the text of a .vv file. */
  async open(text) {
    const screen = this.#spawn("Xvfb", ["-displayfd", "3", "-screen", "0", SCREEN, "-nolisten", "tcp"]);
    const [number] = await once(screen.stdio[3], "data");
    this.env = { ...process.env, DISPLAY: `:${String(number).trim()}`, HOME: this.directory, XDG_RUNTIME_DIR: this.directory, GDK_BACKEND: "x11",
      GSETTINGS_BACKEND: "memory", LIBGL_ALWAYS_SOFTWARE: "1", NO_AT_BRIDGE: "1", DBUS_SESSION_BUS_ADDRESS: "disabled:" };
    const file = join(this.directory, "desktop.vv");
    writeFileSync(file, text, { mode: 0o600 });
    this.viewer = this.#spawn("remote-viewer", ["--debug", file], { env: this.env });
    this.file = file;
  }

  running() {
    return this.viewer.exitCode === null;
  }

  async screenshot() {
    if (!this.running()) throw new Error(`remote-viewer ended: ${this.said}`);
    const { stdout } = await run("import", ["-window", "root", "png:-"], { env: this.env, encoding: "buffer", maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }

  /** Types into the window that has the pointer. */
  async type(text) {
    await run("xdotool", ["mousemove", "400", "300", "click", "1", "sleep", "1", "type", "--delay", "90", text], { env: this.env });
    await run("xdotool", ["key", "Return"], { env: this.env });
  }

  async key(name) {
    await run("xdotool", ["key", name], { env: this.env });
  }

  async close() {
    for (const child of this.processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 5000);
      await ended;
      clearTimeout(late);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}
