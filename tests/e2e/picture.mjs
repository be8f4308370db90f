// Pictures compared by ImageMagick: is there something on it, and do two show the same.

import { spawn } from "node:child_process";
import { once } from "node:events";

const GRID = { columns: 64, rows: 48 };

async function run(command, args, input) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  const out = [];
  const err = [];
  child.stdout.on("data", (data) => out.push(data));
  child.stderr.on("data", (data) => err.push(data));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`${command}: ${Buffer.concat(err)}`);
  return Buffer.concat(out);
}

/** Any picture as 64 x 48 pixels, three bytes each. */
export const grid = (png) => run("convert", ["-", "-resize", `${GRID.columns}x${GRID.rows}!`, "-depth", "8", "rgb:-"], png);

export async function colours(png) {
  return Number((await run("convert", ["-", "-format", "%k", "info:"], png)).toString().split("\n")[0]);
}

export async function size(png) {
  const [width, height] = (await run("convert", ["-", "-format", "%w %h\n", "info:"], png)).toString().split(/\s/).map(Number);
  return { width, height };
}

/** Mean difference of two pictures, 0 (the same) to 255, whatever their sizes. */
export async function difference(a, b) {
  const [x, y] = [await grid(a), await grid(b)];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.abs(x[i] - y[i]);
  return sum / x.length;
}

/** The part of a picture that begins at `x`, `y` and is as big as `like`. */
export async function cropLike(png, { x, y }, like) {
  const { width, height } = await size(like);
  return run("convert", ["-", "-crop", `${width}x${height}+${x}+${y}`, "+repage", "png:-"], png);
}

/** Without the margin of one colour around it. */
export const trimmed = (png) => run("convert", ["-", "-trim", "+repage", "png:-"], png);

/** A small PNG for the documents: no more than `maxBytes`. */
export async function smallPng(png, width, maxBytes = 200 * 1024) {
  for (const count of [256, 64, 32]) {
    const small = await run("convert", ["-", "-resize", `${width}x>`, "-strip", "-colors", String(count), "png8:-"], png);
    if (small.length <= maxBytes) return small;
  }
  throw new Error(`a picture can't be made smaller than ${maxBytes} bytes`);
}
