// "Open in my viewer": waits until the desktop is ready and hands the .vv file to the browser as a download.

import { ApiError } from "./api.js";
import { sleep } from "./watch.js";

const LONGEST_WAIT_MS = 10 * 60 * 1000;
/** How long the service is let wait in one question, once it said that the desktop starts. */
const ASK_WAIT_S = 20;

/**
 * The text of the .vv file of a pool. While the desktop starts, or the service does not know, it asks again after the
 * time the service names; `onWaiting(error)` hears of each such answer. Every other refusal is thrown.
 */
export async function fetchViewerFile({ api, pool, onWaiting = () => {}, signal, wait = sleep, now = Date.now }) {
  const deadline = now() + LONGEST_WAIT_MS;
  for (let waitS = 0; ; waitS = ASK_WAIT_S) {
    const askedMs = now();
    try {
      return await api.viewerFile(pool, { waitS, signal });
    } catch (error) {
      const again = error instanceof ApiError && error.kind === "unknown" && now() < deadline;
      if (!again) throw error;
      onWaiting(error);
      const waited = waitS > 0 && now() - askedMs > 1000;
      if (waitS > 0 && !waited) await wait(Math.min(Math.max(error.retryAfterS, 1), 10) * 1000, signal);
    }
  }
}

/** A file name that every system takes. */
export function viewerFileName(pool) {
  return `${pool.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "") || "desktop"}.vv`;
}

export function saveFile(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-virt-viewer" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
