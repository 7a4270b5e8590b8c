// Small pictures of places: sheets of equal squares, each read when first needed, a few dozen kept decoded.

const SHEETS_KEPT = 32;

const previews = {
  table: undefined,
  decoded: new Map(), // sheet number -> promise of a bitmap, oldest first

  get stored() {
    if (this.table === undefined && document.readyState !== "loading") this.table = block("placevec-previews");
    return this.table ?? null;
  },

  sheet(number) {
    let promise = this.decoded.get(number);
    if (promise) this.decoded.delete(number);
    else promise = picture(this.stored.sheets[number], this.stored.type);
    this.decoded.set(number, promise);
    if (this.decoded.size > SHEETS_KEPT) {
      const [oldest, dropped] = this.decoded.entries().next().value;
      this.decoded.delete(oldest);
      dropped.then((bitmap) => bitmap?.close());
    }
    return promise;
  },

  /** Draw a place's picture over the whole of a canvas; false when the page has none. */
  draw(canvas, index) {
    const stored = this.stored;
    if (!stored) return false;
    const { px, columns } = stored, each = columns * columns;
    canvas.dataset.place = index;
    this.sheet(Math.floor(index / each)).then((bitmap) => {
      if (!bitmap || Number(canvas.dataset.place) !== index) return; // the canvas shows another place by now
      const at = index % each;
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(bitmap, (at % columns) * px, Math.floor(at / columns) * px, px, px, 0, 0, canvas.width, canvas.height);
      canvas.dataset.shown = index;
    });
    return true;
  },

  /** A new canvas with a place's picture, or null. */
  canvas(index, size, className) {
    if (!this.stored) return null;
    const side = Math.round(size * Math.min(2, window.devicePixelRatio || 1));
    const canvas = element("canvas", { width: side, height: side, className, role: "img" });
    canvas.setAttribute("aria-label", "Map around the place");
    this.draw(canvas, index);
    return canvas;
  },
};
