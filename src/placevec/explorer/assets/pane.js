// One view of the places: three canvases (background, dots, marks), its own camera, hovering, selecting, keys.
// Subclasses project the places, draw the background, and move the camera.

const PICK_RADIUS = 14; // CSS pixels around the pointer within which a place is picked
const WORD = { light: "#1b2024", dark: "#f2f4f5" };

class Pane {
  constructor(id) {
    this.id = id;
    this.stage = document.querySelector(`#${id} .stage`);
    [this.ground, this.points, this.marks] = ["ground", "points", "marks"].map((name) => {
      const canvas = element("canvas", { className: name });
      this.stage.append(canvas);
      return canvas;
    });
    this.splatter = new Splatter(this.points);
    this.x = new Float32Array(slots).fill(NaN); // device pixels
    this.y = new Float32Array(slots).fill(NaN);
    this.size = null; // Float32Array of relative disc sizes, or null for all the same
    this.order = null; // back to front, or null
    this.lit = []; // places highlighted by the last drawing
    this.drawMs = 0;
    this.stale = { camera: true, points: true, marks: true };
    this.brush = null;
    this.scatter = shuffled(slots);
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.gestures = new Gestures(this);
    for (const button of document.querySelectorAll(`#${id} [data-zoom]`)) {
      button.addEventListener("click", () => this.press(button.dataset.zoom));
    }
    onChange((kind) => this.follow(kind));
  }

  press(what) {
    if (what === "fit") this.fit();
    else this.zoomAt(this.width / 2, this.height / 2, what === "in" ? 1.6 : 1 / 1.6);
  }

  follow(kind) {
    if (kind === "hover") this.redraw("marks");
    else if (kind === "emphasis" || kind === "brush" || kind === "color" || kind === "dots") this.redraw("points");
  }

  resize() {
    const box = this.stage.getBoundingClientRect();
    if (!box.width || !box.height) return;
    this.ratio = Math.min(3, window.devicePixelRatio || 1);
    const first = !this.width;
    this.width = box.width;
    this.height = box.height;
    for (const canvas of [this.ground, this.points, this.marks]) {
      canvas.width = Math.round(box.width * this.ratio);
      canvas.height = Math.round(box.height * this.ratio);
    }
    this.splatter.resize();
    this.resized(first);
    this.redraw("camera");
    this.draw(); // at once: a cleared canvas must not be shown
  }

  /** Schedule a redraw in the next frame; `camera` redraws everything, `points` dots and marks, `marks` the marks. */
  redraw(what) {
    this.stale[what] = true;
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.draw(); });
  }

  draw() {
    if (!this.width) return;
    const began = performance.now();
    const { camera, points } = this.stale;
    this.stale = { camera: false, points: false, marks: false };
    if (camera) {
      this.project();
      const context = this.ground.getContext("2d");
      context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      context.clearRect(0, 0, this.width, this.height);
      this.drawGround(context);
    }
    if (camera || points) this.drawPoints();
    const context = this.marks.getContext("2d", { willReadFrequently: true });
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.drawMarks(context);
    this.drawMs = performance.now() - began;
  }

  /** Dot radius in CSS pixels, depending on the spacing of the places. */
  radius() {
    return Math.min(6, Math.max(this.leastRadius, 0.25 * this.spacing()));
  }

  /** Whether only highlighted places are drawn. */
  hidesPlain() { return false; }

  /** Draw the places of some levels as cells where their dots would touch; returns whether a level is drawn so. */
  drawCells() { return () => false; }

  /** Whether a place is drawn as a dot. */
  isDot() { return true; }

  drawPoints() {
    const level = emphasis(), color = shared.colors(), dark = isDark();
    const edge = dark ? 0xff1a1614 : 0xffffffff;
    const radius = this.radius() * this.ratio, casing = this.radius() < 1.8 ? 0 : 0.9 * this.ratio;
    const order = this.order ?? this.scatter;
    const dimOpacity = dark ? 0.22 : 0.2;
    this.lit = [];
    this.splatter.begin();
    const inCells = this.drawCells(level, color);
    for (const pass of this.hidesPlain() ? [LIT] : [DIM, PLAIN, LIT]) {
      if (inCells(pass)) continue;
      for (const i of order) {
        if (level[i] !== pass || !(this.x[i] === this.x[i]) || !this.isDot(i)) continue; // NaN: not in this pane
        const size = radius * (this.size ? this.size[i] : 1);
        if (pass === DIM) this.splatter.disc(this.x[i], this.y[i], size * 0.8, 0, color[i], edge, dimOpacity);
        else if (pass === PLAIN) this.splatter.disc(this.x[i], this.y[i], size, casing, color[i], edge, 1);
        else {
          const grown = state.focus >= 0 ? Math.max(size * 1.4, 3.4 * this.ratio) : size;
          this.splatter.disc(this.x[i], this.y[i], grown, casing, color[i], edge, 1);
          this.lit.push(i);
        }
      }
    }
    const f = state.focus;
    if (f >= 0 && this.x[f] === this.x[f] && this.isDot(f)) {
      this.splatter.disc(this.x[f], this.y[f], Math.max(radius * 1.6, 5 * this.ratio), this.ratio, color[f], edge, 1);
    }
    this.splatter.end();
  }

  /** Rings, links to neighbors, the selection shape and the crosshair, in CSS pixels. */
  drawMarks(context) {
    const accent = css("--accent"), ink = WORD[isDark() ? "dark" : "light"];
    this.drawFootprints?.(context, accent);
    const at = (i) => [this.x[i] / this.ratio, this.y[i] / this.ratio];
    if (state.focus >= 0 && Number.isFinite(this.x[state.focus])) {
      const [fx, fy] = at(state.focus);
      context.strokeStyle = accent;
      context.globalAlpha = state.neighbors.length > 30 ? 0.16 : 0.4;
      context.lineWidth = 1;
      context.beginPath();
      for (const i of state.neighbors) {
        const [x, y] = at(i);
        if (Number.isFinite(x)) { context.moveTo(fx, fy); context.lineTo(x, y); }
      }
      context.stroke();
      context.globalAlpha = 1;
      if (state.neighbors.length <= 30) this.ranks(context, at, ink);
      if (this.isDot(state.focus)) ring(context, fx, fy, Math.max(8.5, this.radius() * 1.6 + 3.5), accent, 2.5);
    }
    if (state.hover >= 0 && Number.isFinite(this.x[state.hover]) && this.isDot(state.hover)) {
      ring(context, ...at(state.hover), Math.max(7, this.radius() + 3.5), ink, 2);
    }
    if (this.brush) drawBrush(context, this.brush, accent);
    if (this.crossed) cross(context, this.width / 2, this.height / 2, ink);
  }

  /** The rank next to each neighbor, as in the list; overlapping labels are skipped. */
  ranks(context, at, ink) {
    context.font = "600 10.5px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = isDark() ? "#121517" : "#ffffff";
    context.fillStyle = ink;
    const taken = [];
    state.neighbors.forEach((i, rank) => {
      const [x, y] = at(i);
      if (!Number.isFinite(x) || taken.some(([a, b]) => Math.abs(a - x) < 15 && Math.abs(b - y) < 11)) return;
      taken.push([x, y]);
      context.strokeText(rank + 1, x + 7.5, y - 6.5);
      context.fillText(rank + 1, x + 7.5, y - 6.5);
    });
  }

  /** The nearest place to a point of the pane (CSS pixels) that passes the legend's filter, or -1. */
  pick(x, y, within = PICK_RADIUS) {
    let best = -1, least = (within * this.ratio) ** 2;
    const dx = x * this.ratio, dy = y * this.ratio;
    for (let i = 0; i < slots; i++) {
      const d = (this.x[i] - dx) ** 2 + (this.y[i] - dy) ** 2;
      if (d < least && passes(i)) { least = d; best = i; }
    }
    return best;
  }

  /** Select the places inside the selection shape; `add` keeps the previous selection. */
  applyBrush(add) {
    const inside = this.brush.kind === "box" ? inBox(this.brush.path, this.ratio) : inPolygon(this.brush.path, this.ratio);
    const mask = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      mask[i] = (add && add[i]) || (inside(this.x[i], this.y[i]) && passes(i)) ? 1 : 0;
    }
    setSelected(mask, "brush");
  }

  /** Position of a place in the window, CSS pixels; null if it is not in this pane. */
  position(i) {
    if (!Number.isFinite(this.x[i])) return null;
    const box = this.stage.getBoundingClientRect();
    return [box.left + this.x[i] / this.ratio, box.top + this.y[i] / this.ratio];
  }
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A fixed random permutation of 0 to n - 1, so that no category covers the others because of its order in the file. */
function shuffled(n) {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  let seed = 1;
  for (let i = n - 1; i > 0; i--) {
    seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    const j = seed % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function ring(context, x, y, radius, color, width) {
  for (const [line, stroke] of [[width + 2.5, isDark() ? "#121517" : "#ffffff"], [width, color]]) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.lineWidth = line;
    context.strokeStyle = stroke;
    context.stroke();
  }
}

function cross(context, x, y, color) {
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 5 * dx, y + 5 * dy);
    context.lineTo(x + 13 * dx, y + 13 * dy);
  }
  context.stroke();
}

// Computed once per change and shared by all drawings.
const shared = {
  cache: null,
  colors() { return this.cache ??= placeColors(); },
};
onChange((kind) => { if (kind === "color") shared.cache = null; });
