import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { createApi, ApiError, retryAfterSeconds } from "../../../web/js/api.js";
import { FakeUsher } from "../../fakes/usher-fake.mjs";

let fake;
let api;

/** fetch of one person's browser: relative addresses and the cookie. */
function browserFetch(origin) {
  let cookie = "";
  return async (path, options) => {
    const response = await fetch(origin + path, { ...options, headers: { ...options.headers, ...(cookie ? { Cookie: cookie } : {}) } });
    cookie = response.headers.get("Set-Cookie")?.split(";")[0] ?? cookie;
    return response;
  };
}

before(async () => { fake = await new FakeUsher({ startMs: 80 }).listen(); });
after(() => fake.close());
beforeEach(() => {
  Object.assign(fake, { directory: "ok", throttleS: 0, broken: false });
  api = createApi({ fetcher: browserFetch(fake.origin) });
});

const kindOf = (promise) => promise.then(() => "ok", (error) => (error instanceof ApiError ? error.kind : error));
const answering = (status, body, headers = {}) => createApi({ fetcher: async () => new Response(body, { status, headers }) });
const JSON_TYPE = { "Content-Type": "application/json" };

test("sign-in has a yes and three different other answers", async () => {
  assert.equal((await api.signIn("alice", "alice")).user.display_name, "Alice Archer");
  assert.equal(await kindOf(api.signIn("alice", "wrong")), "signed-out");
  fake.directory = "unknown";
  assert.equal(await kindOf(api.signIn("alice", "alice")), "unknown");
  fake.throttleS = 17;
  await assert.rejects(api.signIn("alice", "alice"), (error) => error.kind === "slow-down" && error.retryAfterS === 17);
});

test("a line that is down is «could not find out», never «no»", async () => {
  const down = createApi({ fetcher: async () => { throw new TypeError("Failed to fetch"); } });
  assert.equal(await kindOf(down.signIn("alice", "alice")), "unknown");
});

test("a password goes into the body and nowhere else", async () => {
  fake.calls.length = 0;
  await api.signIn("alice", "alice");
  const [{ path, headers, body }] = fake.calls;
  assert.equal(path, "/api/v1/signin");
  assert.equal(headers["content-type"], "application/json");
  assert.deepEqual(JSON.parse(body), { user: "alice", password: "alice" });
});

test("without a sign-in everything is «signed-out»", async () => {
  for (const call of [api.me, api.pools, api.desktops, api.signOut]) assert.equal(await kindOf(call()), "signed-out");
  assert.equal(await kindOf(api.connect("office")), "signed-out");
});

test("connect: not ready, then ready with ticket and address", async () => {
  await api.signIn("alice", "alice");
  const first = await api.connect("office");
  assert.equal(first.ready, false);
  assert.ok(first.retry_after_ms > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const second = await api.connect("office");
  assert.equal(second.ready, true);
  assert.equal(second.ticket, "ticket");
  assert.equal(second.desktop.id, first.desktop.id);
  assert.match(second.url, /^ws:\/\/.*\/spice$/);
});

test("connect: refused, missing room with reasons", async () => {
  await api.signIn("bob", "bob");
  assert.equal(await kindOf(api.connect("office/../lab")), "refused");
  await assert.rejects(api.connect("lab"), (error) => error.kind === "exhausted" && error.reasons[0].rule === "memory");
});

test("the viewer's file, and asking again while it starts", async () => {
  await api.signIn("bob", "bob");
  await assert.rejects(api.viewerFile("office"), (error) => error.kind === "unknown" && error.retryAfterS === 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.match(await api.viewerFile("office"), /^\[virt-viewer\]\ntype=spice\n/);
});

test("watch answers at a change, and when aborted throws the abort", async () => {
  await api.signIn("alice", "alice");
  const { resource_version: version } = await api.desktops();
  const watched = api.watchDesktops(version);
  setTimeout(() => fake.changed(), 30);
  assert.equal((await watched).resource_version, version + 1);
  const stop = new AbortController();
  const waiting = api.watchDesktops(version + 1, { signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  await assert.rejects(waiting, { name: "AbortError" });
});

test("sign-out", async () => {
  await api.signIn("alice", "alice");
  await api.signOut();
  assert.equal(await kindOf(api.me()), "signed-out");
});

test("answers that make no sense are «unknown»", async () => {
  assert.equal(await kindOf(answering(200, "<html>a proxy's page</html>", { "Content-Type": "text/html" }).me()), "unknown");
  assert.equal(await kindOf(answering(200, "{", JSON_TYPE).me()), "unknown");
  assert.equal(await kindOf(answering(502, "bad gateway", { "Content-Type": "text/plain" }).me()), "unknown");
  assert.equal(await kindOf(answering(500, '{"error": null}', JSON_TYPE).me()), "unknown");
  assert.equal(await kindOf(answering(401, "", {}).me()), "signed-out");
});

test("an error keeps code, reasons and request for who asks", async () => {
  const body = JSON.stringify({ error: { code: "conflict", message: "no", reasons: "not a list", request: "r-1" } });
  await assert.rejects(answering(409, body, JSON_TYPE).restart("x"), (error) => {
    assert.deepEqual([error.kind, error.code, error.reasons, error.request, error.status], ["invalid", "conflict", [], "r-1", 409]);
    return true;
  });
});

test("Retry-After in seconds only", () => {
  const of = (value) => retryAfterSeconds(new Headers(value === null ? {} : { "Retry-After": value }), 7);
  assert.equal(of("12"), 12);
  assert.equal(of(null), 7);
  assert.equal(of("Wed, 21 Oct 2026 07:28:00 GMT"), 7);
  assert.equal(of("-3"), 7);
});
