// Thumbnails of places: cut from the base map if it is sharp enough, else from sprite sheets.

const SHEETS_KEPT = 32; // decoded sheets

const previews = {
  stored: null,
  decoded: new Map(), // sheet number -> promise of a bitmap, least recently used first

  load() { this.stored = block("placevec-previews"); },

  sheet(number) {
    let promise = this.decoded.get(number);
    this.decoded.delete(number);
    promise ??= picture(this.stored.sheets[number], this.stored.type);
    this.decoded.set(number, promise);
    if (this.decoded.size > SHEETS_KEPT) {
      const [oldest, dropped] = this.decoded.entries().next().value;
      this.decoded.delete(oldest);
      dropped.then((bitmap) => bitmap?.close());
    }
    return promise;
  },

  /** Draw a place's thumbnail on a canvas, unless the canvas has been reused for another place meanwhile. */
  async draw(canvas, index) {
    canvas.dataset.place = index;
    const wanted = () => Number(canvas.dataset.place) === index;
    const { width, height } = canvas, context = canvas.getContext("2d");
    if (this.stored.sheets) await this.fromSheet(context, index, width, height, wanted);
    else {
      const [w, s, e, n] = places.reach.subarray(4 * index, 4 * index + 4);
      const [x, y] = [places.east[index], places.north[index]];
      if (e > w && onMap(index)) await basemap.drawBox(context, [x + w, y + s, x + e, y + n], width, height, wanted);
    }
    if (wanted()) canvas.dataset.shown = index;
  },

  async fromSheet(context, index, width, height, wanted) {
    const { px, columns } = this.stored, at = index % (columns * columns);
    const bitmap = await this.sheet(Math.floor(index / (columns * columns)));
    if (!bitmap || !wanted()) return;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, (at % columns) * px, Math.floor(at / columns) * px, px, px, 0, 0, width, height);
  },

  /** A new canvas with a place's thumbnail, or null if the page has none. */
  canvas(index, size, className) {
    if (!this.stored || index >= count) return null;
    const canvas = blankPicture(size, className);
    this.draw(canvas, index);
    return canvas;
  },

  /** The same, drawn when it scrolls into view: for long lists. */
  lazyCanvas(index, size, className) {
    if (!this.stored || index >= count) return null;
    const canvas = blankPicture(size, className);
    canvas.dataset.wanted = index;
    sights.observe(canvas);
    return canvas;
  },
};

function blankPicture(size, className) {
  const side = Math.round(size * Math.min(2, window.devicePixelRatio || 1));
  return element("canvas", { width: side, height: side, className, role: "img", "aria-label": "Map of the place" });
}

const sights = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    sights.unobserve(target);
    previews.draw(target, Number(target.dataset.wanted));
  }
});
