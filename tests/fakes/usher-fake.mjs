// A FAKE of Usher's people's API and gateway, for tests of the web pages alone: everything is in memory, nothing is
// checked. `node tests/fakes/usher-fake.mjs --port 8080 [--spice PORT --ticket PASSWORD] [--spice-html5 DIR]`
// passes /spice on to a SPICE server's own WebSocket when one is named.

import { createServer } from "node:http";
import { connect as connectTcp } from "node:net";
import { readFile } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const WEB = join(HERE, "..", "..", "web");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png" };
// As the broker sends it; see docs/protocols.md.
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "media-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const STATUS = { invalid: 400, unauthenticated: 401, refused: 403, missing: 404, throttled: 429, exhausted: 503, unavailable: 503, busy: 503 };

export class FakeUsher {
  constructor({ spicePort = 0, ticket = "ticket", startMs = 3000, spiceHtml5 = "/usr/share/spice-html5" } = {}) {
    Object.assign(this, { spicePort, ticket, startMs, spiceHtml5 });
    this.people = {
      alice: { password: "alice", display_name: "Alice Archer", pools: ["office"] },
      bob: { password: "bob", display_name: "Bob Baker", pools: ["office", "lab"] },
      carol: { password: "carol", display_name: "Carol Cook", pools: [] },
    };
    this.pools = {
      office: { display_name: "Office desktop", description: "Debian with a browser and an editor" },
      lab: { display_name: "Laboratory", description: "For experiments", unavailable: "No host has 4096 MiB of memory free." },
    };
    this.sessions = new Map();
    this.desktops = new Map();
    this.watchers = new Set();
    this.version = 1;
    this.directory = "ok";
    this.throttleS = 0;
    this.calls = [];
    this.tickets = 0;
    this.server = createServer((request, response) => this.#handle(request, response));
    this.server.on("upgrade", (request, socket) => this.#upgrade(request, socket));
    this.sockets = new Set();
    this.lines = new Set();
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, "localhost", resolve));
    this.origin = `http://localhost:${this.server.address().port}`;
    return this;
  }

  async close() {
    for (const { answer } of this.watchers) answer();
    for (const socket of this.sockets) socket.destroy();
    for (const line of this.lines) line.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Cuts every session's line. */
  cut() {
    for (const line of this.lines) line.destroy();
  }

  changed() {
    this.version += 1;
    for (const { answer } of this.watchers) answer();
    this.watchers.clear();
  }

  // -- records --

  desktopOf(user, pool, make) {
    const key = `${user}/${pool}`;
    if (!this.desktops.has(key) && make) {
      this.desktops.set(key, { id: randomUUID(), name: `${pool}-${this.desktops.size + 1}`, pool, startsAt: Date.now() });
      setTimeout(() => this.changed(), this.startMs + 20).unref();
      this.changed();
    }
    const row = this.desktops.get(key);
    return row ? this.#show(row) : null;
  }

  #assignment(pool) {
    return this.pools[pool].assignment ?? "dedicated";
  }

  #show({ id, name, pool, startsAt }) {
    const left = Math.ceil((startsAt + this.startMs - Date.now()) / 1000);
    const assignment = this.#assignment(pool);
    return { id, name, pool, assignment, state: left > 0 ? "provisioning" : "assigned", reason: "", eta_s: Math.max(left, 0), since: new Date(startsAt).toISOString() };
  }

  #poolsOf(user) {
    return this.people[user].pools.map((name) => {
      const { display_name, description, unavailable } = this.pools[name];
      const desktop = this.desktopOf(user, name, false);
      const starting = desktop?.state === "provisioning";
      const state = unavailable ? "unavailable" : starting ? "starting" : desktop ? "ready" : "available";
      return { name, display_name, description, assignment: this.#assignment(name), state, reason: unavailable ?? "", eta_s: this.startMs / 1000, desktop };
    });
  }

  // -- HTTP --

  #user(request) {
    const token = /(?:^|;\s*)usher_session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
    return this.sessions.get(token);
  }

  #json(response, status, body, headers = {}) {
    response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers });
    response.end(body === null ? undefined : JSON.stringify(body));
  }

  #error(response, code, message, { reasons = [], retryAfterS } = {}) {
    const retry = retryAfterS === undefined ? {} : { "Retry-After": String(retryAfterS) };
    this.#json(response, STATUS[code], { error: { code, message, reasons, request: randomUUID() } }, retry);
  }

  async #handle(request, response) {
    const url = new URL(request.url, this.origin);
    if (!url.pathname.startsWith("/api/v1/")) return this.#file(url.pathname, response);
    let body = "";
    for await (const chunk of request) body += chunk;
    this.calls.push({ method: request.method, path: url.pathname, headers: request.headers, body });
    if (this.broken) return this.#error(response, "unavailable", "The database does not answer.", { retryAfterS: 1 });
    this.#api(request, response, url, body);
  }

  #api(request, response, url, body) {
    const path = url.pathname.slice("/api/v1".length);
    if (path === "/signin") return this.#signIn(response, JSON.parse(body));
    const user = this.#user(request);
    if (!user) return this.#error(response, "unauthenticated", "Sign in first.");
    const pool = /^\/pools\/([^/]+)\/(connect|connect\.vv)$/.exec(path);
    const restart = /^\/desktops\/([^/]+)\/restart$/.exec(path);
    if (path === "/signout") return this.#signOut(request, response);
    if (path === "/me") return this.#json(response, 200, { user: this.#person(user), expires_in_s: 3600 });
    if (path === "/pools") {
      const items = this.#poolsOf(user);
      const reasons = items.length ? [] : [{ rule: "entitlement", message: "None of your groups (staff, visitors) has been given a pool." }];
      return this.#json(response, 200, { items, reasons });
    }
    if (path === "/desktops") return this.#listDesktops(response, url, user);
    const waitS = Number(pool && (url.searchParams.get("wait_s") ?? (body ? JSON.parse(body).wait_s : 0) ?? 0));
    if (pool) return this.#connect(response, user, decodeURIComponent(pool[1]), pool[2], Date.now() + waitS * 1000);
    if (restart) return this.#restart(response, user, restart[1]);
    return this.#error(response, "missing", "There is no such call.");
  }

  #person(user) {
    return { name: user, display_name: this.people[user].display_name, roles: ["user"] };
  }

  #signIn(response, { user, password }) {
    if (this.throttleS) return this.#error(response, "throttled", "Too many attempts.", { retryAfterS: this.throttleS });
    if (this.directory === "unknown") return this.#error(response, "unavailable", "The directory does not answer.", { retryAfterS: 5 });
    if (!this.people[user] || this.people[user].password !== password) return this.#error(response, "unauthenticated", "Not right.");
    const token = randomUUID();
    this.sessions.set(token, user);
    this.#json(response, 200, { user: this.#person(user), expires_in_s: 3600 }, { "Set-Cookie": `usher_session=${token}; Path=/; HttpOnly; SameSite=Strict` });
  }

  #signOut(request, response) {
    const token = /usher_session=([^;]+)/.exec(request.headers.cookie)[1];
    this.sessions.delete(token);
    this.changed();
    response.writeHead(204).end();
  }

  /** Ends every sign-in session, as an administrator could. */
  revokeAll() {
    this.sessions.clear();
    this.changed();
  }

  #listDesktops(response, url, user) {
    const items = () => [...this.desktops].filter(([key]) => key.startsWith(`${user}/`)).map(([, row]) => this.#show(row));
    const after = Number(url.searchParams.get("after") ?? -1);
    if (!url.searchParams.has("watch") || after < this.version) return this.#json(response, 200, { resource_version: this.version, items: items() });
    const watcher = {};
    const timer = setTimeout(() => watcher.answer(), Number(url.searchParams.get("timeout_s")) * 1000);
    watcher.answer = () => {
      clearTimeout(timer);
      this.watchers.delete(watcher);
      const signedIn = [...this.sessions.values()].includes(user);
      if (!signedIn) return this.#error(response, "unauthenticated", "Sign in first.");
      const changed = this.version > after;
      return this.#json(response, 200, { resource_version: this.version, items: items(), changed });
    };
    this.watchers.add(watcher);
    response.on("close", () => { clearTimeout(timer); this.watchers.delete(watcher); });
  }

  #connect(response, user, name, what, untilMs) {
    if (!this.people[user].pools.includes(name)) return this.#error(response, "refused", "This pool is not yours.");
    const { unavailable } = this.pools[name];
    if (unavailable) return this.#error(response, "exhausted", "No desktop can be made just now.", { reasons: [{ rule: "memory", message: unavailable }], retryAfterS: 30 });
    const desktop = this.desktopOf(user, name, true);
    if (desktop.state !== "assigned") {
      if (Date.now() < untilMs) return setTimeout(() => this.#connect(response, user, name, what, untilMs), 20).unref();
      if (what === "connect.vv") return this.#error(response, "busy", "The desktop is starting.", { retryAfterS: 1 });
      return this.#json(response, 202, { desktop, eta_s: desktop.eta_s, retry_after_ms: 500 });
    }
    this.tickets += 1;
    if (what === "connect.vv") {
      response.writeHead(200, { "Content-Type": "application/x-virt-viewer" });
      return response.end(`[virt-viewer]\ntype=spice\nhost=127.0.0.1\nport=${this.spicePort}\npassword=${this.ticket}\ndelete-this-file=1\n`);
    }
    const url = `${this.origin.replace("http", "ws")}/spice`;
    return this.#json(response, 200, { desktop, session: randomUUID(), ticket: this.ticket, expires_in_s: 30, url });
  }

  #restart(response, user, id) {
    const found = [...this.desktops].find(([key, row]) => key.startsWith(`${user}/`) && row.id === id);
    if (!found) return this.#error(response, "missing", "There is no such desktop.");
    found[1].startsAt = Date.now();
    setTimeout(() => this.changed(), this.startMs + 20).unref();
    this.changed();
    return this.#json(response, 202, this.#show(found[1]));
  }

  async #file(path, response) {
    const library = path.startsWith("/spice-html5/");
    const name = normalize(library ? path.slice("/spice-html5".length) : path === "/" ? "/index.html" : path);
    try {
      const data = await readFile(join(library ? this.spiceHtml5 : WEB, name));
      response.writeHead(200, {
        "Content-Type": TYPES[extname(name)] ?? "application/octet-stream", "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
      });
      response.end(data);
    } catch {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not found\n");
    }
  }

  /** Splices a browser's WebSocket to the SPICE server's own (which wants the whole request in one read). */
  #upgrade(request, socket) {
    if (new URL(request.url, this.origin).pathname !== "/spice" || !this.spicePort) return socket.destroy();
    const line = connectTcp(this.spicePort, "127.0.0.1", () => {
      line.write(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${request.headers["sec-websocket-key"]}\r\nSec-WebSocket-Protocol: binary\r\n\r\n`);
      line.pipe(socket).pipe(line);
    });
    this.lines.add(line);
    const end = () => { this.lines.delete(line); line.destroy(); socket.destroy(); };
    for (const stream of [line, socket]) stream.on("error", end).on("close", end);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: {
    port: { type: "string", default: "8080" }, spice: { type: "string", default: "0" }, ticket: { type: "string", default: "ticket" },
    "start-ms": { type: "string", default: "3000" }, "spice-html5": { type: "string", default: "/usr/share/spice-html5" },
  } });
  const fake = new FakeUsher({ spicePort: Number(values.spice), ticket: values.ticket, startMs: Number(values["start-ms"]), spiceHtml5: values["spice-html5"] });
  await fake.listen(Number(values.port));
  console.log(`FAKE Usher at ${fake.origin} (alice/alice, bob/bob, carol/carol)`);
}
