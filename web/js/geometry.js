// Where a picture is in its window, and how big a desktop should be. Pure.

/** A desktop that is bigger than its area is shrunk to fit; it is never blown up. */
export function fitScale(areaWidth, areaHeight, width, height) {
  if (!(width > 0 && height > 0 && areaWidth > 0 && areaHeight > 0)) return 1;
  return Math.min(areaWidth / width, areaHeight / height, 1);
}

/** The size to ask the guest for: X wants multiples of 8, and below 320 x 240 a desktop is of no use. */
export const desktopSize = (width, height) => ({
  width: Math.max(320, Math.floor(width / 8) * 8),
  height: Math.max(240, Math.floor(height / 8) * 8),
});

/** Where on a picture of `width` x `height` pixels a point of the window is, when the picture is shown in `rect`. */
export function pictureXY(rect, width, height, clientX, clientY) {
  const clamp = (value, limit) => Math.min(Math.max(Math.floor(value), 0), limit - 1);
  return {
    x: clamp(((clientX - rect.left) * width) / rect.width, width),
    y: clamp(((clientY - rect.top) * height) / rect.height, height),
  };
}
