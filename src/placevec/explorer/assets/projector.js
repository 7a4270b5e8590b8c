// One embedding space: the vectors of a panel by PCA, t-SNE or UMAP, in 2D or 3D.
// Both use the same projection: `depth` runs from 0 (flat, no perspective) to 1.

const EYE = 3.4; // distance of the eye from the middle of the cloud, in radii of the cloud

const MORPH_MS = 900;
const MORPH_PLACES = 30000; // above this many, a change of projection is one step: each frame takes too long

class Projector extends Pane {
  constructor(id, panel) {
    super(id);
    this.panel = panel;
    this.component = Float32Array.from(panels[panel].spaces[0].component);
    this.leastRadius = count > 30000 ? 1.2 : 1.9;
    this.depth = 0;
    this.turn = { yaw: -0.6, pitch: 0.42 };
    this.zoom = 1;
    this.shift = [0, 0]; // CSS pixels
    this.describe(panels[panel].spaces[0]);
    this.measure();
  }

  describe({ axes, note }) {
    this.axisNames = axes;
    document.querySelector(`#${this.id} .note`).textContent = note;
  }

  /** Move every place to its position in another space. */
  show(space) {
    this.describe(space);
    const to = space.component, from = Float32Array.from(this.component), began = performance.now();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden || count > MORPH_PLACES;
    this.morphing = space.key;
    const step = () => {
      if (this.morphing !== space.key) return;
      const t = still ? 1 : Math.min(1, (performance.now() - began) / MORPH_MS), share = t * t * (3 - 2 * t);
      for (let i = 0; i < to.length; i++) this.component[i] = from[i] + (to[i] - from[i]) * share;
      this.measure();
      this.redraw("camera");
      if (t < 1) requestAnimationFrame(step);
      else this.morphing = null;
    };
    step();
  }

  /** The extent of the cloud. */
  measure() {
    this.span = [0, 1, 2].map((c) => {
      let [low, high] = [Infinity, -Infinity];
      for (let i = c; i < 3 * count; i += 3) {
        const value = this.component[i];
        if (value < low) low = value; // never true of NaN
        if (value > high) high = value;
      }
      return low <= high ? [low, high] : [0, 0];
    });
    this.middle = this.span.map(([low, high]) => (low + high) / 2);
    this.reach = 0; // distance of the farthest place from the middle
    const { component, middle: [ma, mb, mc] } = this;
    for (let i = 0; i < 3 * count; i += 3) {
      const far = (component[i] - ma) ** 2 + (component[i + 1] - mb) ** 2 + (component[i + 2] - mc) ** 2;
      if (far > this.reach) this.reach = far;
    }
    this.reach = Math.sqrt(this.reach);
  }

  follow(kind) {
    super.follow(kind);
    if (kind === "mode") this.animate(state.mode === "3d" ? 1 : 0);
    if (kind === "space") this.show(panels[this.panel].spaces.find((space) => space.key === state.space));
  }

  resized() {}

  spacing() { return 0.6 * Math.sqrt(this.width * this.height / count) * Math.sqrt(this.zoom); }

  fit() {
    this.zoom = 1;
    this.shift = [0, 0];
    if (state.mode === "3d") this.turn = { yaw: -0.6, pitch: 0.42 };
    this.redraw("camera");
  }

  animate(target) {
    const from = this.depth, began = performance.now();
    const duration = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 450;
    this.goal = target;
    const step = () => {
      if (this.goal !== target) return;
      const t = Math.min(1, (performance.now() - began) / duration);
      this.depth = from + (target - from) * t * t * (3 - 2 * t);
      this.redraw("camera");
      if (t < 1) requestAnimationFrame(step);
    };
    step();
  }

  drag(dx, dy, turns) {
    if (state.mode === "3d" && turns) {
      this.turn.yaw += dx * 0.008;
      this.turn.pitch = Math.max(-1.5, Math.min(1.5, this.turn.pitch + dy * 0.008));
    } else this.shift = [this.shift[0] + dx, this.shift[1] + dy];
    this.redraw("camera");
  }

  zoomAt(x, y, factor) {
    const zoom = Math.max(0.4, Math.min(200, this.zoom * factor)), rate = zoom / this.zoom;
    const [cx, cy] = [x - this.width / 2, y - this.height / 2];
    this.shift = [cx - (cx - this.shift[0]) * rate, cy - (cy - this.shift[1]) * rate];
    this.zoom = zoom;
    this.redraw("camera");
  }

  /** A function from a point of the space to [x, y, perspective scale, depth] in CSS pixels. */
  lens() {
    const t = this.depth;
    const yaw = this.turn.yaw * t, pitch = this.turn.pitch * t;
    const [cosYaw, sinYaw, cosPitch, sinPitch] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const [[left, right], [bottom, top]] = this.span, [ma, mb, mc] = this.middle;
    const flat = Math.min((this.width - 70) / (right - left || 1), (this.height - 120) / (top - bottom || 1));
    const solid = Math.min(this.width, this.height - 50) * 0.44 / (this.reach || 1);
    const scale = (flat * (1 - t) + solid * t) * this.zoom, eye = EYE * (this.reach || 1);
    const [ox, oy] = [this.width / 2 + this.shift[0], this.height / 2 + this.shift[1]];
    return (a, b, c) => {
      const p = a - ma, q = b - mb, r = c - mc;
      const x = p * cosYaw + r * sinYaw, away = r * cosYaw - p * sinYaw;
      const y = q * cosPitch - away * sinPitch, z = q * sinPitch + away * cosPitch;
      const near = 1 / (1 - t * z / eye);
      return [ox + x * scale * near, oy - y * scale * near, near, z];
    };
  }

  project() {
    const lens = this.lens(), { component } = this, solid = this.depth > 0.02;
    const depths = solid ? new Float32Array(slots) : null;
    this.size = solid ? this.size ?? new Float32Array(slots) : null;
    for (let i = 0; i < slots; i++) {
      const [x, y, near, z] = lens(component[3 * i], component[3 * i + 1], component[3 * i + 2]);
      this.x[i] = x * this.ratio;
      this.y[i] = y * this.ratio;
      if (solid) { depths[i] = z; this.size[i] = near; }
    }
    this.order = solid ? byDepth(depths) : null;
  }

  /** The axes through the mean. */
  drawGround(context) {
    context.strokeStyle = css("--line");
    context.lineWidth = 1;
    context.beginPath();
    for (const [from, to] of this.axes()) {
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
    }
    context.stroke();
  }

  /** Both ends of each axis, CSS pixels. */
  axes() {
    const lens = this.lens();
    return [[1, 0, 0], [0, 1, 0], [0, 0, 1]].slice(0, this.depth > 0.02 ? 3 : 2).map((axis, c) =>
      this.span[c].map((end) => lens(...axis.map((v) => v * end * 1.06))));
  }

  drawMarks(context) {
    this.drawAxisNames(context);
    super.drawMarks(context);
  }

  drawAxisNames(context) {
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 4;
    context.lineJoin = "round";
    context.strokeStyle = css("--stage");
    context.fillStyle = css("--quiet");
    this.axes().forEach(([, [x, y]], c) => {
      const words = this.axisNames[c] ?? "";
      const at = [Math.max(36, Math.min(this.width - 36, x)), c === 1 ? y - 10 : y + 12];
      context.strokeText(words, ...at);
      context.fillText(words, ...at);
    });
    context.textAlign = "left";
  }

  /** Bring a place into view if it is not. */
  reveal(i) {
    const [x, y] = [this.x[i] / this.ratio, this.y[i] / this.ratio];
    if (x > 20 && y > 20 && x < this.width - 20 && y < this.height - 20) return;
    this.shift = [this.shift[0] + this.width / 2 - x, this.shift[1] + this.height / 2 - y];
    this.redraw("camera");
  }
}

/** Indices from farthest to nearest: a counting sort, for speed. */
function byDepth(depths) {
  const BINS = 2048, slot = new Uint16Array(depths.length), starts = new Int32Array(BINS + 1);
  let low = Infinity, high = -Infinity;
  for (const z of depths) { if (z < low) low = z; if (z > high) high = z; }
  const scale = (BINS - 1) / (high - low || 1);
  for (let i = 0; i < depths.length; i++) { slot[i] = (depths[i] - low) * scale; starts[slot[i] + 1]++; }
  for (let b = 0; b < BINS; b++) starts[b + 1] += starts[b];
  const order = new Int32Array(depths.length);
  for (let i = 0; i < depths.length; i++) order[starts[slot[i]]++] = i;
  return order;
}
