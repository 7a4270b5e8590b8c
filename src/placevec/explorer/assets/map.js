// The map pane: places in Web Mercator meters relative to their center, over the base map of the page.

class GeoMap extends Pane {
  constructor() {
    super("map");
    this.leastRadius = 1.4;
    const west = [], box = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < count; i++) {
      if (!onMap(i)) continue;
      const reach = places.reach ? places.reach.subarray(4 * i, 4 * i + 4) : [0, 0, 0, 0];
      box[0] = Math.min(box[0], places.east[i] + reach[0]);
      box[1] = Math.min(box[1], places.north[i] + reach[1]);
      box[2] = Math.max(box[2], places.east[i] + reach[2]);
      box[3] = Math.max(box[3], places.north[i] + reach[3]);
      west.push(i);
    }
    this.box = west.length ? box : [-1, -1, 1, 1];
    if (ringed) for (let i = 0; i < count; i++) if (hasShape(i)) for (const c of [0, 1, 2, 3]) this.box[c] = Math[c < 2 ? "min" : "max"](this.box[c], ringed.box[4 * i + c]);
    this.spacingMeters = typicalSpacing(this.box);
    if (ringed) document.getElementById("dots").textContent = "Areas";
    if (!west.length) document.querySelector("#map .label strong").textContent = "Map: these places have no coordinates";
  }

  resized(first) { if (first) this.fit(); }

  fitScale() {
    const [west, south, east, north] = this.box;
    return Math.min((this.width - 40) / Math.max(east - west, 50), (this.height - 40) / Math.max(north - south, 50));
  }

  fit() {
    const [west, south, east, north] = this.box;
    this.center = [(west + east) / 2, (south + north) / 2];
    this.scale = this.fitScale();
    this.redraw("camera");
  }

  spacing() { return this.scale * this.spacingMeters; }

  /** Meters on the ground between typical places. */
  groundSpacing() { return this.spacingMeters * Math.cos(this.latitude()); }

  latitude() { return Math.atan(Math.sinh((this.center[1] + meta.origin[1]) / 6378137)); }

  /** Meters to device pixels: [scale, x of 0, y of 0]. */
  see() {
    const s = this.scale * this.ratio;
    return [s, this.width * this.ratio / 2 - this.center[0] * s, this.height * this.ratio / 2 + this.center[1] * s];
  }

  /** Whether areas are drawn: there are outlines, and room for them. */
  showsShapes() { return ringed !== null && this.spacing() >= LEAST_AREA_PX; }

  drawPoints() {
    super.drawPoints();
    if (!this.showsShapes()) return;
    const context = this.points.getContext("2d"), level = emphasis(), levels = this.hidesPlain() ? [LIT, FOCUS] : [DIM, PLAIN, LIT, FOCUS];
    const edge = this.spacing() >= EDGE_FROM_PX ? (isDark() ? "#14161a" : "#ffffff") : null;
    context.lineWidth = this.ratio * 0.7;
    context.lineJoin = "round";
    this.lit.push(...fillShapes(context, level, shared.colors(), levels, this.see(), [this.width * this.ratio, this.height * this.ratio], edge));
  }

  /** A place that is an area is drawn as one, not as a dot. */
  isDot(i) { return !(this.showsShapes() && hasShape(i)); }

  pick(x, y, within) {
    if (!this.showsShapes()) return super.pick(x, y, within);
    const found = shapeAt(this.center[0] + (x - this.width / 2) / this.scale, this.center[1] - (y - this.height / 2) / this.scale, passes);
    return found >= 0 ? found : super.pick(x, y, 4);
  }

  drawCells(level, color) {
    const inCells = !this.hidesPlain() && this.spacing() < TOUCH_PX && !this.showsShapes();
    this.cellMeters = inCells ? 2 ** Math.ceil(Math.log2(LEAST_CELL_PX / this.scale)) : 0;
    const note = document.getElementById("cells");
    note.hidden = !inCells;
    if (!inCells) return () => false;
    note.textContent = `cells of ${metersText(this.cellMeters * Math.cos(this.latitude()))}`;
    const levels = state.focus >= 0 ? [DIM, PLAIN] : [DIM, PLAIN, LIT];
    drawCellsOf(this.splatter, level, color, levels, this.cellMeters, this.see(), [this.width * this.ratio, this.height * this.ratio]);
    if (levels.includes(LIT)) for (let i = 0; i < slots; i++) if (level[i] === LIT && onMap(i)) this.lit.push(i);
    return (pass) => levels.includes(pass);
  }

  hidesPlain() { return !state.dots; }

  drag(dx, dy) {
    this.center = [this.center[0] - dx / this.scale, this.center[1] + dy / this.scale];
    this.redraw("camera");
  }

  zoomAt(x, y, factor) {
    const scale = Math.max(this.fitScale() / 2.5, Math.min(Math.max(8, this.fitScale() * 40), this.scale * factor));
    const [dx, dy] = [x - this.width / 2, y - this.height / 2], rate = 1 / this.scale - 1 / scale;
    this.center = [this.center[0] + dx * rate, this.center[1] - dy * rate];
    this.scale = scale;
    this.redraw("camera");
  }

  project() {
    const { east, north } = places, s = this.scale * this.ratio;
    const ox = this.width * this.ratio / 2 - this.center[0] * s, oy = this.height * this.ratio / 2 + this.center[1] * s;
    for (let i = 0; i < slots; i++) {
      this.x[i] = ox + east[i] * s;
      this.y[i] = oy - north[i] * s;
    }
    this.drawScale();
  }

  /** CSS pixels [left, top, width, height] of a box in meters. */
  place([west, south, east, north]) {
    return [this.width / 2 + (west - this.center[0]) * this.scale, this.height / 2 - (north - this.center[1]) * this.scale,
      (east - west) * this.scale, (north - south) * this.scale];
  }

  /** The same with edges on device pixels, so that no seam shows between pictures side by side. */
  placeSnapped(box) {
    const [x, y, w, h] = this.place(box), snap = (value) => Math.round(value * this.ratio) / this.ratio;
    return [snap(x), snap(y), snap(x + w) - snap(x), snap(y + h) - snap(y)];
  }

  drawGround(context) {
    if (!basemap.frame) return;
    context.save();
    context.beginPath();
    context.rect(...this.place(basemap.frame));
    context.clip();
    context.imageSmoothingQuality = "medium";
    this.drawPictures(context);
    context.restore();
  }

  drawPictures(context) {
    const { overview } = basemap;
    if (overview) context.drawImage(overview.bitmap, ...this.placeSnapped(overview.box));
    if (overview && this.scale * this.ratio * overview.meters_per_pixel < 1.2) return; // sharp enough
    const [dx, dy] = [this.width / 2 / this.scale, this.height / 2 / this.scale], [x, y] = this.center;
    for (const piece of basemap.touching([x - dx, y - dy, x + dx, y + dy])) {
      const ready = basemap.bitmap(piece);
      if (piece.bitmap) context.drawImage(piece.bitmap, ...this.placeSnapped(piece.box));
      else ready.then(() => this.redraw("camera"));
    }
  }

  /** Footprints of the place under the pointer, the selected place and the highlighted places. */
  drawFootprints(context, accent) {
    if (this.showsShapes()) { this.drawOutlines(context, accent); return; }
    if (!places.reach) return;
    const outline = (i, width, alpha, filled) => {
      if (!(i >= 0) || !onMap(i)) return;
      const [w, s, e, n] = places.reach.subarray(4 * i, 4 * i + 4);
      const [x, y, width_, height_] = this.place([places.east[i] + w, places.north[i] + s, places.east[i] + e, places.north[i] + n]);
      if (width_ < 12 || x > this.width || y > this.height || x + width_ < 0 || y + height_ < 0) return;
      context.globalAlpha = alpha;
      context.lineWidth = width;
      if (filled) { context.fillStyle = css("--accent-soft"); context.fillRect(x, y, width_, height_); }
      context.strokeStyle = accent;
      context.strokeRect(x, y, width_, height_);
      context.globalAlpha = 1;
    };
    if (this.lit.length <= 60) for (const i of this.lit) outline(i, 1, 0.5, false);
    outline(state.hover, 1.5, 0.9, false);
    outline(state.focus, 2.5, 1, true);
  }

  /** Outlines of the area under the pointer, the selected and the highlighted ones. */
  drawOutlines(context, accent) {
    const see = this.see().map((value) => value / this.ratio);
    const outline = (i, width, color) => {
      if (!(i >= 0) || !hasShape(i)) return;
      traceShape(context, i, see);
      context.lineJoin = "round";
      context.lineWidth = width;
      context.strokeStyle = color;
      context.stroke();
    };
    if (state.neighbors.length && this.lit.length <= 60) for (const i of this.lit) outline(i, 1.2, accent);
    outline(state.hover, 2, WORD[isDark() ? "dark" : "light"]);
    outline(state.focus, 2.5, accent);
  }

  drawMarks(context) {
    super.drawMarks(context);
    placePopup(this);
  }

  /** The scale bar: a round distance, correct at the center of the map. */
  drawScale() {
    const metersPerPixel = Math.cos(this.latitude()) / this.scale;
    const most = metersPerPixel * Math.min(130, this.width / 3);
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((digit) => digit * power).find((value) => value <= most);
    const [word, bar] = document.getElementById("scale").children;
    word.textContent = length >= 1000 ? `${thousands(length / 1000)} km` : `${length} m`;
    bar.style.width = `${length / metersPerPixel}px`;
    this.scaleMeters = length;
  }

  /** Bring a place into view if it is not. */
  reveal(i) {
    if (!onMap(i)) return;
    const [x, y] = [this.x[i] / this.ratio, this.y[i] / this.ratio];
    if (x > 20 && y > 20 && x < this.width - 20 && y < this.height - 20) return;
    this.center = [places.east[i], places.north[i]];
    this.redraw("camera");
  }
}
