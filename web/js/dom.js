// Small helpers around the DOM. Text always goes in as text, never as markup.

/** An element with properties, attributes (`attrs`) and children: strings or nodes; null is left out. */
export function element(name, properties = {}, ...children) {
  const { attrs = {}, ...rest } = properties;
  const node = Object.assign(document.createElement(name), rest);
  for (const [key, value] of Object.entries(attrs)) if (value !== null) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Sets text only when it differs, so that a live region does not speak twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets a message and its tone ("good", "busy", "wait", "bad", "calm"); an empty text hides it. */
export function setMessage(node, { text = "", tone = "calm" } = {}) {
  setText(node, text);
  node.dataset.tone = tone;
  node.hidden = text === "";
}
