// The list of a person's pools and desktops, kept live by the long poll.

import { ApiError } from "./api.js";
import { confirmWith } from "./confirm.js";
import { byId, element, setMessage, setText } from "./dom.js";
import { assignmentHint, describeFailure, describePool, reasonTexts } from "./texts.js";
import { fetchViewerFile, saveFile, viewerFileName } from "./viewer.js";
import { watchDesktops } from "./watch.js";

export const desktopPage = (poolName) => `/desktop.html#pool=${encodeURIComponent(poolName)}`;

/** One entry of the list; made once for a pool and then updated in place, so that focus and screen readers stay. */
class PoolItem {
  constructor(pool, actions) {
    this.actions = actions;
    this.waiting = null;
    const id = `pool-${encodeURIComponent(pool.name)}`;
    this.title = element("h2", { id });
    this.description = element("p", { className: "description" });
    this.dot = element("span", { className: "dot", attrs: { "aria-hidden": "true" } });
    this.state = element("span", { className: "state-text" });
    this.machine = element("span", { className: "machine" });
    this.detail = element("p", { className: "detail" });
    this.hint = element("p", { className: "hint" });
    this.open = element("a", { className: "button primary open", textContent: "Open here", attrs: { "aria-describedby": id } });
    this.viewer = element("button", { type: "button", className: "viewer", textContent: "Open in my viewer", attrs: { "aria-describedby": id } });
    this.restart = element("button", { type: "button", className: "quiet restart", textContent: "Restart", attrs: { "aria-describedby": id } });
    this.node = element("li", { className: "pool", attrs: { "data-pool": pool.name } },
      element("div", { className: "about" }, this.title, this.description,
        element("p", { className: "state" }, this.dot, this.state, this.machine), this.detail, this.hint),
      element("div", { className: "actions" }, this.open, this.viewer, this.restart));
    this.viewer.addEventListener("click", () => (this.waiting ? this.waiting.abort() : actions.openViewer(this)));
    this.restart.addEventListener("click", () => actions.restart(this));
    this.update(pool);
  }

  update(pool) {
    this.pool = pool;
    this.atMs = Date.now();
    setText(this.title, pool.display_name || pool.name);
    setText(this.description, pool.description ?? "");
    this.description.hidden = !pool.description;
    setText(this.hint, assignmentHint(pool.desktop?.assignment ?? pool.assignment));
    this.hint.hidden = this.hint.textContent === "";
    setText(this.machine, pool.desktop ? pool.desktop.name : "");
    this.node.dataset.desktop = pool.desktop?.id ?? "";
    this.node.dataset.state = pool.state;
    this.tick();
  }

  /** Shows the state with what is left of the estimate. */
  tick() {
    const shown = describePool(this.pool, Date.now() - this.atMs);
    setText(this.state, shown.state);
    this.node.dataset.tone = shown.tone;
    setText(this.detail, shown.detail);
    this.detail.hidden = shown.detail === "";
    if (shown.canOpen) this.open.href = desktopPage(this.pool.name);
    else this.open.removeAttribute("href");
    this.open.setAttribute("aria-disabled", String(!shown.canOpen));
    this.viewer.disabled = !shown.canOpen && !this.waiting;
    this.restart.hidden = !shown.canRestart;
  }

  setWaiting(controller) {
    this.waiting = controller;
    setText(this.viewer, controller ? "Cancel" : "Open in my viewer");
    this.tick();
  }
}

export function createDesktopsView({ api, onSignedOut }) {
  const list = byId("pools");
  const items = new Map();
  let controller = null;
  let ticker = 0;

  const say = (message) => setMessage(byId("action-message"), message);

  function failed(error, title) {
    if (error?.name === "AbortError") return;
    if (!(error instanceof ApiError)) throw error;
    if (error.kind === "signed-out") return onSignedOut();
    say({ tone: "bad", text: [`${title}: ${describeFailure(error)}`, ...reasonTexts(error.reasons)].join(" ") });
  }

  const actions = {
    async openViewer(item) {
      const { name } = item.pool;
      const waiting = new AbortController();
      item.setWaiting(waiting);
      try {
        const text = await fetchViewerFile({
          api, pool: name, signal: waiting.signal,
          onWaiting: () => say({ tone: "busy", text: `${item.title.textContent} is starting. Its file downloads as soon as it is ready.` }),
        });
        saveFile(viewerFileName(name), text);
        say({ tone: "good", text: "The file was downloaded. Open it now: it works once, and only for a short time." });
      } catch (error) {
        if (waiting.signal.aborted) say({});
        else failed(error, "The file could not be made");
      } finally {
        item.setWaiting(null);
      }
    },

    async restart(item) {
      const { desktop } = item.pool;
      const yes = await confirmWith({
        title: `Restart ${desktop.name}?`,
        text: "Everything that is open on it is closed. What was not saved is lost.",
        yes: "Restart",
      });
      if (!yes) return;
      item.restart.disabled = true;
      try {
        await api.restart(desktop.id);
        say({ tone: "busy", text: `${desktop.name} is restarting.` });
        await refresh();
      } catch (error) {
        failed(error, `${desktop.name} could not be restarted`);
      } finally {
        item.restart.disabled = false;
      }
    },
  };

  function showPools({ items: pools = [], reasons = [] }) {
    byId("loading").hidden = true;
    const names = new Set(pools.map((pool) => pool.name));
    for (const [name, item] of items) {
      if (names.has(name)) continue;
      item.waiting?.abort();
      item.node.remove();
      items.delete(name);
    }
    for (const pool of pools) {
      const item = items.get(pool.name);
      if (item) announce(item, pool);
      else items.set(pool.name, new PoolItem(pool, actions));
    }
    placeInOrder(pools.map((pool) => items.get(pool.name).node));
    showEmpty(pools.length === 0, reasons);
  }

  /** Moves only what is out of place: moving a node takes its focus away. */
  function placeInOrder(nodes) {
    nodes.forEach((node, index) => {
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
  }

  function showEmpty(empty, reasons) {
    byId("empty").hidden = !empty;
    const texts = reasonTexts(reasons);
    byId("empty-reasons").replaceChildren(...texts.map((text) => element("li", {}, text)));
  }

  /** Updates an item; a change of its state is told once, the countdown is not. */
  function announce(item, pool) {
    const before = item.pool.state;
    item.update(pool);
    if (before !== pool.state) setText(byId("live"), `${item.title.textContent}: ${item.state.textContent}`);
  }

  async function refresh() {
    showPools(await api.pools({ signal: controller?.signal }));
  }

  function showLine(online) {
    setMessage(byId("line-message"), online ? {} : { tone: "wait", text: "The service does not answer just now. What you see may be old." });
  }

  function run() {
    controller = new AbortController();
    const { signal } = controller;
    watchDesktops({ api, signal, onChange: refresh, onLine: showLine, onSignedOut });
    ticker = setInterval(() => { for (const item of items.values()) item.tick(); }, 1000);
  }

  function pause() {
    controller?.abort();
    controller = null;
    clearInterval(ticker);
  }

  let started = false;
  document.addEventListener("visibilitychange", () => {
    if (!started) return;
    pause();
    if (document.visibilityState === "visible") run();
  });

  return {
    say,
    start() {
      if (started) return;
      started = true;
      say({});
      byId("loading").hidden = false;
      run();
    },
    stop() {
      started = false;
      pause();
      for (const item of items.values()) {
        item.waiting?.abort();
        item.node.remove();
      }
      items.clear();
      byId("empty").hidden = true;
    },
  };
}
