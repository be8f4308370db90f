// A bare QEMU with a SPICE server of its own: no guest, only the firmware's screen. For the browser client alone.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { until } from "./tap.mjs";

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class BareQemu {
  constructor(ticket) {
    this.ticket = ticket;
    this.events = [];
    this.replies = [];
  }

  async start() {
    this.directory = mkdtempSync(join(process.env.TMPDIR ?? "/tmp", "usher-qemu-"));
    this.port = await freePort();
    const qmp = join(this.directory, "qmp");
    this.process = spawn("qemu-system-x86_64", ["-machine", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none", "-vga", "qxl",
      "-object", `secret,id=ticket,data=${this.ticket}`, "-spice", `port=${this.port},addr=127.0.0.1,password-secret=ticket`,
      "-device", "qemu-xhci", "-device", "usb-tablet", "-qmp", `unix:${qmp},server=on,wait=off`], { stdio: ["ignore", "ignore", "pipe"] });
    this.process.stderr.on("data", (data) => { this.said = `${this.said ?? ""}${data}`; });
    this.socket = await until("QEMU's monitor", 20, () => new Promise((resolve, reject) => {
      if (this.process.exitCode !== null) reject(new Error(this.said));
      const socket = connect(qmp, () => resolve(socket)).on("error", reject);
    }));
    let rest = "";
    this.socket.on("data", (data) => {
      const lines = (rest + data).split("\n");
      rest = lines.pop();
      for (const line of lines.filter((text) => text.trim())) {
        const message = JSON.parse(line);
        if (message.event) this.events.push(message.event);
        else this.replies.push(message);
      }
    });
    this.command("qmp_capabilities");
    return this;
  }

  command(execute, parameters) {
    this.socket.write(`${JSON.stringify({ execute, arguments: parameters })}\n`);
  }

  async stop() {
    this.socket?.destroy();
    if (this.process && this.process.exitCode === null) {
      const ended = once(this.process, "exit");
      this.process.kill("SIGKILL");
      await ended;
    }
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}
