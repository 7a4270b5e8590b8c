// The embedding space: three principal components, seen flat (2D) or turned in space (3D).
// One projection serves both: `depth` runs from 0 (flat, no perspective) to 1.

const EYE = 3.4; // distance of the eye from the centre of the cloud of radius 1

class Projector extends Pane {
  constructor() {
    super("projector");
    this.depth = 0;
    this.turn = { yaw: -0.6, pitch: 0.42 };
    this.zoom = 1;
    this.shift = [0, 0]; // CSS pixels
    const low = [0, 0, 0], high = [0, 0, 0];
    this.span = [0, 1].map((c) => {
      low[c] = Infinity; high[c] = -Infinity;
      for (let i = 0; i < count; i++) {
        const value = places.component[3 * i + c];
        if (value < low[c]) low[c] = value;
        if (value > high[c]) high[c] = value;
      }
      return [low[c], high[c]];
    });
    const shares = meta.explained.map((share) => `${(share * 100).toFixed(1)} %`);
    document.getElementById("variance").textContent =
      `PCA: ${shares.join(" + ")} of the variance of ${meta.dim} dimensions`;
  }

  follow(kind) {
    super.follow(kind);
    if (kind === "mode") this.animate(state.mode === "3d" ? 1 : 0);
  }

  resized() {}

  zoomFactor() { return this.zoom; }

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

  /** Function from a point of the space to [x, y, nearness] in CSS pixels. */
  lens() {
    const t = this.depth;
    const yaw = this.turn.yaw * t, pitch = this.turn.pitch * t;
    const [cosYaw, sinYaw, cosPitch, sinPitch] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const [[left, right], [bottom, top]] = this.span;
    const flat = Math.min((this.width - 70) / (right - left || 1), (this.height - 120) / (top - bottom || 1));
    const solid = Math.min(this.width, this.height - 50) * 0.52;
    const scale = (flat * (1 - t) + solid * t) * this.zoom;
    const cx = (left + right) / 2 * (1 - t), cy = (bottom + top) / 2 * (1 - t);
    const [ox, oy] = [this.width / 2 + this.shift[0], this.height / 2 + this.shift[1]];
    return (a, b, c) => {
      const x = a * cosYaw + c * sinYaw, away = c * cosYaw - a * sinYaw;
      const y = b * cosPitch - away * sinPitch, z = b * sinPitch + away * cosPitch;
      const near = 1 / (1 - t * z / EYE);
      return [ox + (x - cx) * scale * near, oy - (y - cy) * scale * near, near, z];
    };
  }

  project() {
    const lens = this.lens(), { component } = places, solid = this.depth > 0.02;
    const depths = solid ? new Float32Array(count) : null;
    this.size = solid ? this.size ?? new Float32Array(count) : null;
    for (let i = 0; i < count; i++) {
      const [x, y, near, z] = lens(component[3 * i], component[3 * i + 1], component[3 * i + 2]);
      this.x[i] = x * this.ratio;
      this.y[i] = y * this.ratio;
      if (solid) { depths[i] = z; this.size[i] = 0.85 * near; }
    }
    this.order = solid ? byDepth(depths) : null;
  }

  /** The axes through the middle of the cloud, named with their share of the variance. */
  drawGround(context) {
    const lens = this.lens(), quiet = css("--quiet");
    context.strokeStyle = css("--line");
    context.lineWidth = 1;
    context.fillStyle = quiet;
    context.font = "11px system-ui, sans-serif";
    const axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].slice(0, this.depth > 0.02 ? 3 : 2);
    axes.forEach((axis, c) => {
      const [low, high] = c < 2 ? this.span[c] : [-0.6, 0.6];
      const from = lens(...axis.map((v) => v * low * 1.04)), to = lens(...axis.map((v) => v * high * 1.04));
      context.beginPath();
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
      context.stroke();
      context.textAlign = c === 0 ? "right" : "left";
      context.textBaseline = c === 0 ? "bottom" : "middle";
      const [dx, dy] = c === 0 ? [0, -4] : [6, 0];
      context.fillText(`PC ${c + 1} · ${(meta.explained[c] * 100).toFixed(0)} %`, Math.min(to[0], this.width - 8) + dx, to[1] + dy);
    });
  }

  /** Bring a place into sight if it is not. */
  reveal(i) {
    const [x, y] = [this.x[i] / this.ratio, this.y[i] / this.ratio];
    if (x > 20 && y > 20 && x < this.width - 20 && y < this.height - 20) return;
    this.shift = [this.shift[0] + this.width / 2 - x, this.shift[1] + this.height / 2 - y];
    this.redraw("camera");
  }
}

/** Indices from the farthest to the nearest: a counting sort, since a frame is short. */
function byDepth(depths) {
  const BINS = 2048, slot = new Uint16Array(depths.length), starts = new Int32Array(BINS + 1);
  let low = Infinity, high = -Infinity;
  for (const z of depths) { if (z < low) low = z; if (z > high) high = z; }
  const scale = (BINS - 1) / (high - low || 1);
  for (let i = 0; i < depths.length; i++) starts[(slot[i] = (depths[i] - low) * scale) + 1]++;
  for (let b = 0; b < BINS; b++) starts[b + 1] += starts[b];
  const order = new Int32Array(depths.length);
  for (let i = 0; i < depths.length; i++) order[starts[slot[i]]++] = i;
  return order;
}
