// spice-html5 as we use it: its channels, pictures and agent; our own keyboard, pointer, errors and ending.
// Each thing we do differently says why. Nothing of it is copied: it is imported from where the system has it.

import { SpiceMainConn } from "/spice-html5/main.js";
import { SpiceDisplayConn } from "/spice-html5/display.js";
import { SpiceCursorConn } from "/spice-html5/cursor.js";
import { create_rgba_png } from "/spice-html5/png.js";
import { Constants } from "/spice-html5/enums.js";
import * as Messages from "/spice-html5/spicemsg.js";

const SCREEN_ID = "usher-spice-screen";
/** What this client can use; the others would only cost a connection each. */
const CHANNELS = [Constants.SPICE_CHANNEL_DISPLAY, Constants.SPICE_CHANNEL_INPUTS, Constants.SPICE_CHANNEL_CURSOR, Constants.SPICE_CHANNEL_PLAYBACK];
const MOVE_RETRY_MS = 15;

// -- Pictures ---------------------------------------------------------------------------------------

/** The rectangles of the surface that a draw may touch. */
function clippedRects(base) {
  if (base.clip.type !== Constants.SPICE_CLIP_TYPE_RECTS) return [base.box];
  const { box } = base;
  return base.clip.rects.rects
    .map((r) => ({ left: Math.max(r.left, box.left), top: Math.max(r.top, box.top), right: Math.min(r.right, box.right), bottom: Math.min(r.bottom, box.bottom) }))
    .filter((r) => r.left < r.right && r.top < r.bottom);
}

function makeOpaque(image) {
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
}

const originalDrawCopy = SpiceDisplayConn.prototype.draw_copy_helper;

// The original draws the whole source image at the box's corner: wrong where only a part of it is meant (a cached
// image) or where the draw is clipped (a window behind another).
SpiceDisplayConn.prototype.draw_copy_helper = function drawCopy(o) {
  const surface = this.surfaces[o.base.surface_id];
  if (surface.format !== Constants.SPICE_SURFACE_FMT_32_xRGB) return originalDrawCopy.call(this, o);
  if (o.has_alpha) makeOpaque(o.image_data);
  const x = o.base.box.left - o.src_area.left;
  const y = o.base.box.top - o.src_area.top;
  for (const r of clippedRects(o.base)) {
    surface.canvas.context.putImageData(o.image_data, x, y, r.left - x, r.top - y, r.right - r.left, r.bottom - r.top);
  }
  if (o.descriptor && o.descriptor.flags & Constants.SPICE_IMAGE_FLAGS_CACHE_ME) {
    this.cache ??= {};
    this.cache[o.descriptor.id] = o.image_data;
  }
  surface.draw_count++;
  return true;
};

// The original looks the canvas up in the document, where only the primary one is, and fails on others.
const originalDelete = SpiceDisplayConn.prototype.delete_surface;
SpiceDisplayConn.prototype.delete_surface = function deleteSurface(id) {
  if (this.primary_surface === id) originalDelete.call(this, id);
  else delete this.surfaces[id];
};

// Ours listen instead (pointer.js, keyboard.js): scaled pictures, touch, keys by their place, no alert() on an unknown key.
SpiceDisplayConn.prototype.hook_events = function hookNothing() {};
SpiceDisplayConn.prototype.unhook_events = function unhookNothing() {};

// The original falls back to simulated cursors with an alert().
SpiceCursorConn.prototype.set_cursor = function setCursor(cursor) {
  const { width, height, hot_spot_x: x, hot_spot_y: y } = cursor.header;
  const style = document.getElementById(SCREEN_ID)?.style;
  if (!style) return;
  style.cursor = "default";
  style.cursor = `url(data:image/png,${create_rgba_png(width, height, cursor.data)}) ${x} ${y}, default`;
};

/** spice-html5 positions video by an inline style attribute, which the content policy forbids: do it by properties. */
function placeVideo(video) {
  const dest = video.spice_stream?.dest;
  Object.assign(video.style, { position: "absolute", pointerEvents: "none", left: `${dest?.left ?? 0}px`, top: `${dest?.top ?? 0}px` });
}

// -- Channels ---------------------------------------------------------------------------------------

/** The CHANNELS_LIST message with only what this client can use. */
export function usableChannels(data) {
  const { channels } = new Messages.SpiceMsgChannels(data);
  const usable = channels.filter((c) => CHANNELS.includes(c.type) && (c.type !== Constants.SPICE_CHANNEL_DISPLAY || c.id === 0));
  const view = new DataView(new ArrayBuffer(4 + 2 * usable.length));
  view.setUint32(0, usable.length, true);
  usable.forEach((c, i) => {
    view.setUint8(4 + 2 * i, c.type);
    view.setUint8(5 + 2 * i, c.id);
  });
  return view.buffer;
}

/** One message that can't be handled is told once and must not end the channel. */
function guard(channel) {
  const told = new Set();
  const once = (text) => {
    if (told.has(text)) return;
    told.add(text);
    console.info(`spice ${channel.channel_type()}: ${text}`);
  };
  const original = channel.process_channel_message;
  Object.assign(channel, {
    log_info() {},
    log_warn: (...words) => once(words.join(" ")),
    log_err: (...words) => once(words.join(" ")),
    process_channel_message(msg) {
      try {
        return original.call(channel, msg);
      } catch (error) {
        once(`message ${msg.type}: ${error.message}`);
        return true;
      }
    },
  });
}

/** Why a connection ended, as one word: the texts are ours, not the library's. */
function reasonOf(error) {
  const text = String(error?.message ?? "");
  if (/password|permission/i.test(text)) return "refused";
  if (/timed out/i.test(text)) return "timeout";
  if (/refused|connecting/i.test(text) || error instanceof Event) return "unreachable";
  return "lost";
}

/**
 * A SPICE session in `screen`. `onAgent()` when the guest's agent is there, `onClosed(reason)` once when any channel fails.
 * Returns `{key(scancode), move(x, y, buttons), press(button, buttons), release(button, buttons), resize(w, h), close()}`.
 */
export function openSpice({ url, ticket, screen, onAgent, onClosed }) {
  let closed = false;
  let timer = 0;
  let pending = null;
  const children = [];
  screen.id = SCREEN_ID;

  const fail = (error) => {
    if (closed) return;
    close();
    onClosed(reasonOf(error));
  };

  const main = new SpiceMainConn({ uri: url, password: ticket, screen_id: SCREEN_ID, onerror: fail, onagent: () => onAgent() });
  watchChannels();
  const videos = new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeName === "VIDEO") placeVideo(node);
  });
  videos.observe(screen, { childList: true });

  function adopt(channel) {
    channel.onerror = fail;
    // The original looks into `streams` when a JPEG has been drawn, also before there was any stream.
    if (channel.type === Constants.SPICE_CHANNEL_DISPLAY) channel.streams = [];
    guard(channel);
    children.push(channel);
  }

  function watchChannels() {
    guard(main);
    const handle = main.process_channel_message;
    main.process_channel_message = (msg) => {
      if (msg.type === Constants.SPICE_MSG_MAIN_CHANNELS_LIST) msg.data = usableChannels(msg.data);
      return handle(msg);
    };
    // The sound channel is assigned to `cursor` too; keep the real one, and hold every channel so that all are ended.
    for (const name of ["display", "inputs", "cursor"]) {
      let kept;
      Object.defineProperty(main, name, {
        configurable: true,
        get: () => kept,
        set: (channel) => {
          if (channel) adopt(channel);
          if (!channel || channel.type !== Constants.SPICE_CHANNEL_PLAYBACK) kept = channel;
        },
      });
    }
  }

  function send(type, body) {
    const channel = main.inputs;
    if (closed || channel?.state !== "ready" || channel.ws?.readyState !== WebSocket.OPEN) return false;
    const message = new Messages.SpiceMiniData();
    message.build_msg(type, body);
    channel.send_msg(message);
    return true;
  }

  /** The server acknowledges movement in bunches; what comes too fast waits here, and only the last place is kept. */
  function flushMove() {
    clearTimeout(timer);
    timer = 0;
    if (!pending || closed) return;
    const inputs = main.inputs;
    if (inputs && inputs.waiting_for_ack >= 2 * Constants.SPICE_INPUT_MOTION_ACK_BUNCH) {
      timer = setTimeout(flushMove, MOVE_RETRY_MS);
      return;
    }
    const { x, y, buttons } = pending;
    const byPosition = main.mouse_mode === Constants.SPICE_MOUSE_MODE_CLIENT;
    const body = byPosition ? new Messages.SpiceMsgcMousePosition(main) : new Messages.SpiceMsgcMouseMotion(main);
    Object.assign(body, byPosition ? { x, y } : { x: x - (main.mousex ?? x), y: y - (main.mousey ?? y) }, { buttons_state: buttons });
    if (send(byPosition ? Constants.SPICE_MSGC_INPUTS_MOUSE_POSITION : Constants.SPICE_MSGC_INPUTS_MOUSE_MOTION, body)) inputs.waiting_for_ack++;
    main.mousex = x;
    main.mousey = y;
    pending = null;
  }

  function button(type, Body, number, buttons) {
    flushMove();
    const body = new Body();
    Object.assign(body, { button: number, buttons_state: buttons });
    send(type, body);
  }

  function close() {
    closed = true;
    clearTimeout(timer);
    videos.disconnect();
    for (const channel of children) channel.state = "closing";
    try {
      main.stop();
    } catch (error) {
      console.info(`spice: ${error.message}`);
    }
    for (const channel of [main, ...children]) channel.cleanup();
  }

  return {
    key(code) {
      const message = new Messages.SpiceMsgcKeyDown();
      message.code = code;
      // A release has its high bit set in the last byte that counts.
      const last = code > 0xffff ? code >> 16 : code > 0xff ? code >> 8 : code;
      send(last & 0x80 ? Constants.SPICE_MSGC_INPUTS_KEY_UP : Constants.SPICE_MSGC_INPUTS_KEY_DOWN, message);
    },
    move(x, y, buttons) {
      pending = { x, y, buttons };
      if (timer === 0) flushMove();
    },
    press: (number, buttons) => button(Constants.SPICE_MSGC_INPUTS_MOUSE_PRESS, Messages.SpiceMsgcMousePress, number, buttons),
    release: (number, buttons) => button(Constants.SPICE_MSGC_INPUTS_MOUSE_RELEASE, Messages.SpiceMsgcMouseRelease, number, buttons),
    resize(width, height) {
      if (!closed && main.agent_connected) main.resize_window(0, width, height, 32, 0, 0);
    },
    close,
  };
}
