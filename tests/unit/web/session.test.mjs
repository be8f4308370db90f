import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../../web/js/api.js";
import { createSession } from "../../../web/js/session.js";

const DESKTOP = { id: "d1", name: "office-1" };
const ready = (n) => ({ ready: true, ticket: `ticket-${n}`, url: "wss://usher/spice", desktop: DESKTOP });
const notReady = (eta) => ({ ready: false, desktop: DESKTOP, eta_s: eta, retry_after_ms: 400 });
const tick = () => new Promise((resolve) => setImmediate(resolve));
const settle = async () => { for (let i = 0; i < 10; i++) await tick(); };

/** A session over a script of connect answers and a client that the test drives. */
function stage(answers) {
  const states = [];
  const clients = [];
  const waits = [];
  const asked = [];
  const world = { nowMs: 0, states, clients, waits, asked };
  const api = { connect: async (pool, { waitS }) => {
    asked.push(waitS);
    if (world.serviceWaits && waitS > 0) world.nowMs += waitS * 1000;
    const answer = answers.length > 0 ? answers.shift() : new Promise(() => {});
    if (answer instanceof Error) throw answer;
    return answer;
  } };
  const connect = (options) => {
    const client = { ...options, disconnected: 0, disconnect() { client.disconnected += 1; } };
    clients.push(client);
    return client;
  };
  // Waits are held until the test lets them go, unless it says otherwise.
  const wait = (ms, signal) => new Promise((resolve, reject) => {
    waits.push({ ms, go: resolve });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  world.session = createSession({
    api, pool: "office", connect, element: {}, onstate: (state) => states.push(state), wait, random: () => 0, now: () => world.nowMs,
  });
  world.names = () => states.map(({ state }) => state);
  world.last = () => states[states.length - 1];
  world.letGo = async () => { waits.shift().go(); await settle(); };
  return world;
}

async function started(answers) {
  const world = stage(answers);
  world.session.run();
  await settle();
  return world;
}

test("asks, waits while it starts, connects with the ticket in memory", async () => {
  const world = await started([notReady(20), ready(1)]);
  assert.deepEqual(world.names(), ["asking", "starting", "connecting"]);
  assert.equal(world.states[1].etaS, 20);
  assert.deepEqual(world.asked, [0, 20]); // the second question is answered when the desktop is there
  assert.equal(world.waits.length, 0);
  assert.equal(world.clients[0].ticket, "ticket-1");
  assert.equal(world.clients[0].url, "wss://usher/spice");
  world.clients[0].onstate({ state: "connected" });
  assert.deepEqual(world.last(), { state: "connected", desktop: DESKTOP });
});

test("a service that does not let it wait is asked after the time it names", async () => {
  const world = await started([notReady(20), notReady(20), notReady(19), ready(1)]);
  assert.equal(world.waits[0].ms, 400);
  world.serviceWaits = true;
  await world.letGo();
  assert.deepEqual(world.asked, [0, 20, 20, 20]);
  assert.equal(world.waits.length, 0);
  assert.equal(world.clients[0].ticket, "ticket-1");
});

test("a lost line asks for a fresh ticket after a wait", async () => {
  const world = await started([ready(1), ready(2)]);
  world.clients[0].onstate({ state: "connected" });
  world.clients[0].onstate({ state: "closed", reason: "lost", wasConnected: true });
  await settle();
  assert.equal(world.last().state, "lost");
  assert.equal(world.last().retryInMs, 1000);
  await world.letGo();
  assert.equal(world.clients[1].ticket, "ticket-2");
});

test("waits grow while nothing holds, and start anew after a steady connection", async () => {
  const world = await started([ready(1), ready(2), ready(3), ready(4)]);
  const drop = async (n, wasConnected) => {
    world.clients[n].onstate({ state: "closed", reason: "x", wasConnected });
    await settle();
    return world.last().retryInMs;
  };
  assert.equal(await drop(0, false), 1000);
  await world.letGo();
  assert.equal(await drop(1, false), 2000);
  await world.letGo();
  world.nowMs = 60000;
  assert.equal(await drop(2, true), 1000);
});

test("the service that does not answer is asked again; the wait can be hurried", async () => {
  const world = await started([new ApiError("unknown", "down"), ready(1)]);
  assert.equal(world.last().state, "lost");
  world.session.hurry();
  await settle();
  assert.equal(world.clients.length, 1);
});

test("a refusal ends it with its reasons; no room can be tried again", async () => {
  const reasons = [{ rule: "memory", message: "No host has room." }];
  const full = await started([new ApiError("exhausted", "No room.", { reasons })]);
  assert.deepEqual(full.last(), { state: "ended", why: "refused", text: "No room.", reasons: ["No host has room."], canRetry: true });
  const no = await started([new ApiError("refused", "not yours")]);
  assert.equal(no.last().canRetry, false);
});

test("signed out while asking, and while connected: it ends politely, once, and hangs up", async () => {
  const asking = await started([new ApiError("signed-out", "")]);
  assert.equal(asking.last().why, "signed-out");
  const world = await started([ready(1)]);
  world.clients[0].onstate({ state: "connected" });
  world.session.signedOut();
  world.session.leave();
  world.clients[0].onstate({ state: "closed", reason: "lost", wasConnected: true });
  await settle();
  assert.equal(world.clients[0].disconnected, 1);
  assert.deepEqual(world.names().filter((name) => name === "ended"), ["ended"]);
  assert.equal(world.last().why, "signed-out");
});

test("leaving while it waits ends the loop", async () => {
  const world = await started([notReady(20)]);
  world.session.leave();
  await settle();
  assert.equal(world.clients.length, 0);
  assert.equal(world.last().why, "left");
});

test("the browser says the line is down: hang up at once and come back", async () => {
  const world = await started([ready(1), ready(2)]);
  world.clients[0].onstate({ state: "connected" });
  world.session.lineDown();
  await settle();
  assert.equal(world.clients[0].disconnected, 1);
  assert.equal(world.last().state, "lost");
});

test("a client that can't even begin counts as unreachable", async () => {
  const states = [];
  const session = createSession({
    api: { connect: async () => ready(1) }, pool: "office", connect: () => { throw new Error("no WebSocket"); }, element: {},
    onstate: (state) => states.push(state.state), wait: () => new Promise(() => {}),
  });
  session.run();
  await settle();
  assert.equal(states.at(-1), "lost");
});
