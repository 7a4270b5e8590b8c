// Dots drawn directly into pixels: without WebGL, antialiased, with a thin outline, 20,000 in milliseconds.

const SUBPIXELS = 4;
const MARGIN = 24; // margin of the buffer around the canvas, so that no dot is clipped
const STAMPS = new Map();

/** One dot at a sub-pixel offset: pixel offsets with opacity (0..255) and share of fill versus outline (0..255). */
function stampOf(radius, casing, fx, fy) {
  const key = `${radius}|${casing}|${fx}|${fy}`;
  let stamp = STAMPS.get(key);
  if (stamp) return stamp;
  const reach = Math.ceil(radius + 1), dx = [], dy = [], alpha = [], fill = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const distance = Math.hypot(x + 0.5 - (fx + 0.5) / SUBPIXELS, y + 0.5 - (fy + 0.5) / SUBPIXELS);
      const a = Math.min(1, Math.max(0, radius - distance + 0.5));
      if (a <= 0.02) continue;
      dx.push(x); dy.push(y); alpha.push(Math.round(a * 255));
      fill.push(Math.round(255 * Math.min(1, Math.max(0, radius - casing - distance + 0.5))));
    }
  }
  stamp = { dx: Int8Array.from(dx), dy: Int8Array.from(dy), alpha: Uint8Array.from(alpha), fill: Uint8Array.from(fill) };
  STAMPS.set(key, stamp);
  return stamp;
}

class Splatter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.stamps = new Map();
  }

  resize() {
    this.width = this.canvas.width + 2 * MARGIN;
    this.height = this.canvas.height + 2 * MARGIN;
    this.image = new ImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.stamps.clear();
  }

  begin() { this.pixels.fill(0); }

  end() { this.context.putImageData(this.image, -MARGIN, -MARGIN); }

  /** The 4 x 4 sub-pixel stamps of a radius, with offsets into this buffer. */
  stampsFor(radius, casing) {
    const key = radius * 1000 + casing;
    let set = this.stamps.get(key);
    if (!set) {
      set = Array.from({ length: SUBPIXELS ** 2 }, (_, i) => {
        const stamp = stampOf(radius, casing, i % SUBPIXELS, Math.floor(i / SUBPIXELS));
        return { ...stamp, offset: Int32Array.from(stamp.dx, (x, j) => stamp.dy[j] * this.width + x) };
      });
      this.stamps.set(key, set);
    }
    return set;
  }

  /** Fill a box of device pixels (left, top to right, bottom, excluded) with one color, opacity 0..1. */
  box(left, top, right, bottom, color, opacity) {
    const paint = (color & 0xffffff | Math.round(opacity * 255) << 24) >>> 0;
    const [x0, x1] = [left, right].map((x) => Math.max(0, Math.min(this.width, Math.round(x) + MARGIN)));
    const [y0, y1] = [top, bottom].map((y) => Math.max(0, Math.min(this.height, Math.round(y) + MARGIN)));
    for (let y = y0; y < y1; y++) this.pixels.fill(paint, y * this.width + x0, y * this.width + x1);
  }

  /** Draw one dot at device pixels (x, y); colors packed, opacity 0..1. Dots outside are skipped. */
  disc(x, y, radius, casing, color, edge, opacity) {
    radius = Math.min(MARGIN - 3, Math.round(radius * 4) / 4);
    const left = x + MARGIN, top = y + MARGIN;
    const reach = radius + 2;
    if (!(left >= reach && top >= reach && left < this.width - reach && top < this.height - reach)) return;
    const ix = Math.floor(left), iy = Math.floor(top);
    const set = this.stampsFor(radius, casing);
    const stamp = set[Math.floor((left - ix) * SUBPIXELS) + SUBPIXELS * Math.floor((top - iy) * SUBPIXELS)];
    const { offset, alpha, fill } = stamp;
    const at = iy * this.width + ix;
    for (let i = 0; i < offset.length; i++) {
      const share = fill[i];
      const paint = share === 255 ? color : share === 0 ? edge : mix(edge, color, share);
      const a = alpha[i] * opacity;
      const pixel = at + offset[i];
      this.pixels[pixel] = a >= 254.5 ? paint : over(this.pixels[pixel], paint, a);
    }
  }
}

/** Interpolate two packed opaque colors, `share` 0..255 of the second. */
function mix(a, b, share) {
  const rest = 255 - share;
  const red = ((a & 255) * rest + (b & 255) * share) / 255;
  const green = ((a >>> 8 & 255) * rest + (b >>> 8 & 255) * share) / 255;
  const blue = ((a >>> 16 & 255) * rest + (b >>> 16 & 255) * share) / 255;
  return (0xff000000 | blue << 16 | green << 8 | red) >>> 0;
}

/** Blend a packed color with opacity `a` (0..255) over a packed pixel, not premultiplied. */
function over(below, paint, a) {
  const belowAlpha = below >>> 24;
  if (belowAlpha === 0) return (paint & 0xffffff | Math.round(a) << 24) >>> 0;
  const kept = belowAlpha * (1 - a / 255), total = a + kept, w = a / total, v = 1 - w;
  const red = (paint & 255) * w + (below & 255) * v;
  const green = (paint >>> 8 & 255) * w + (below >>> 8 & 255) * v;
  const blue = (paint >>> 16 & 255) * w + (below >>> 16 & 255) * v;
  return (Math.round(total) << 24 | blue << 16 | green << 8 | red) >>> 0;
}
