// The people's API (docs/protocols.md) as functions. Every failure is an ApiError whose `kind` says what the
// person can do about it; "no", "slow down" and "could not find out" stay three different answers.

/**
 * kind:
 *   "signed-out"  the sign-in session is over (or the password was wrong, at signIn)
 *   "refused"     no: not entitled, or not allowed
 *   "missing"     there is no such thing
 *   "slow-down"   too many attempts; try again after retryAfterS
 *   "exhausted"   nothing can be given just now; reasons say what stands in the way
 *   "unknown"     could not find out: a part of the service, or the line to it, does not answer
 *   "invalid"     the request was not understood
 */
export class ApiError extends Error {
  constructor(kind, message, { status = 0, code = "", reasons = [], retryAfterS = 0, request = "" } = {}) {
    super(message);
    this.name = "ApiError";
    Object.assign(this, { kind, status, code, reasons, retryAfterS, request });
  }
}

const KIND_OF_CODE = {
  unauthenticated: "signed-out",
  refused: "refused",
  missing: "missing",
  throttled: "slow-down",
  exhausted: "exhausted",
  invalid: "invalid",
  too_large: "invalid",
  conflict: "invalid",
};

const KIND_OF_STATUS = { 400: "invalid", 401: "signed-out", 403: "refused", 404: "missing", 429: "slow-down" };

/** Seconds of a Retry-After header given in seconds; `otherwise` when it is absent or a date. */
export function retryAfterSeconds(headers, otherwise = 0) {
  const value = headers.get("Retry-After");
  return value !== null && /^\d{1,6}$/.test(value.trim()) ? Number(value) : otherwise;
}

async function jsonOf(response) {
  if (!(response.headers.get("Content-Type") ?? "").startsWith("application/json")) return null;
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function errorOf(response, body) {
  const error = body?.error ?? {};
  const kind = KIND_OF_CODE[error.code] ?? KIND_OF_STATUS[response.status] ?? "unknown";
  const message = typeof error.message === "string" ? error.message : `The service answered ${response.status}.`;
  return new ApiError(kind, message, {
    status: response.status,
    code: error.code ?? "",
    reasons: Array.isArray(error.reasons) ? error.reasons : [],
    retryAfterS: retryAfterSeconds(response.headers),
    request: error.request ?? "",
  });
}

/** The API behind `base`; `fetcher` stands in for fetch in tests. */
export function createApi({ base = "/api/v1", fetcher = (...args) => fetch(...args) } = {}) {
  async function send(method, path, { body, signal } = {}) {
    const options = { method, signal, credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json" } };
    if (method !== "GET") {
      options.headers["Content-Type"] = "application/json";
      options.body = body === undefined ? "" : JSON.stringify(body);
    }
    try {
      return await fetcher(base + path, options);
    } catch (error) {
      if (error?.name === "AbortError") throw error;
      throw new ApiError("unknown", "The service can't be reached.");
    }
  }

  async function call(method, path, options) {
    const response = await send(method, path, options);
    const body = response.status === 204 ? null : await jsonOf(response);
    if (!response.ok) throw errorOf(response, body);
    if (response.status !== 204 && body === null) throw new ApiError("unknown", "The service gave no readable answer.");
    return { status: response.status, body };
  }

  const pool = (name) => `/pools/${encodeURIComponent(name)}`;

  return {
    signIn: async (user, password) => (await call("POST", "/signin", { body: { user, password } })).body,
    signOut: async () => { await call("POST", "/signout"); },
    me: async () => (await call("GET", "/me")).body,
    pools: async (options) => (await call("GET", "/pools", options)).body,
    desktops: async (options) => (await call("GET", "/desktops", options)).body,

    /** Answers at the first change after `after`, or after `timeoutS` with `changed: false`. */
    watchDesktops: async (after, { timeoutS = 25, signal } = {}) =>
      (await call("GET", `/desktops?watch=1&after=${encodeURIComponent(after)}&timeout_s=${timeoutS}`, { signal })).body,

    /** `{ready: true, desktop, session, ticket, url, …}`, or `{ready: false, desktop, eta_s, retry_after_ms}`: ask again. With
     *  `waitS` it answers the moment the desktop is ready, at the latest after that. */
    connect: async (poolName, { waitS = 0, signal } = {}) => {
      const wish = waitS > 0 ? { client: "browser", wait_s: waitS } : { client: "browser" };
      const { status, body } = await call("POST", `${pool(poolName)}/connect`, { body: wish, signal });
      return { ...body, ready: status === 200 };
    },

    /** The text of a .vv file; an ApiError of kind "unknown" with retryAfterS while the desktop starts. */
    viewerFile: async (poolName, { waitS = 0, signal } = {}) => {
      const response = await send("GET", `${pool(poolName)}/connect.vv${waitS > 0 ? `?wait_s=${waitS}` : ""}`, { signal });
      if (!response.ok) throw errorOf(response, await jsonOf(response));
      return response.text();
    },

    restart: async (desktopId) => (await call("POST", `/desktops/${encodeURIComponent(desktopId)}/restart`)).body,
  };
}
