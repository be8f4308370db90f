// The page's one question: a dialog with a title, a text, sentences one by one, and yes or no.

import { byId, element, setText } from "./dom.js";

/** Asks in the page's dialog; true for yes. */
export function confirmWith({ title, text, items = [], yes }) {
  const dialog = byId("confirm");
  setText(byId("confirm-title"), title);
  setText(byId("confirm-text"), text);
  byId("confirm-items").replaceChildren(...items.map((item) => element("li", {}, item)));
  byId("confirm-items").hidden = items.length === 0;
  setText(byId("confirm-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
