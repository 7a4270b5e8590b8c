// Images of the base map: an overview that is shown immediately, and sharper pieces that are decoded on demand.

const PIECES_KEPT = 48; // decoded pieces of at most a megapixel each

const basemap = {
  pieces: [],
  overview: null,
  frame: null, // box of the dataset's area
  metersPerPixel: Infinity,
  decoded: new Map(), // piece -> promise of a bitmap, least recently used first

  /** Load the images once that part of the page has been parsed; `drawn` is called for each new image. */
  load(drawn) {
    const stored = block("placevec-map");
    if (!stored) return;
    this.type = stored.type;
    this.frame = stored.frame;
    this.pieces = stored.pieces;
    this.metersPerPixel = stored.meters_per_pixel;
    picture(stored.overview.data, this.type).then((bitmap) => {
      if (bitmap) this.overview = { ...stored.overview, bitmap };
      drawn();
    });
  },

  /** Promise of a piece's bitmap; `piece.bitmap` holds it while it is kept. */
  bitmap(piece) {
    let promise = this.decoded.get(piece);
    this.decoded.delete(piece);
    promise ??= picture(piece.data, this.type).then((bitmap) => (piece.bitmap = bitmap));
    this.decoded.set(piece, promise);
    if (this.decoded.size > PIECES_KEPT) {
      const [oldest, dropped] = this.decoded.entries().next().value;
      this.decoded.delete(oldest);
      dropped.then((bitmap) => { oldest.bitmap = null; bitmap?.close(); });
    }
    return promise;
  },

  /** The part of the overview inside a box (meters), over a whole context. */
  drawOverview(context, [west, south, east, north], width, height) {
    const { bitmap, box: [w, s, e, n] } = this.overview;
    const sx = bitmap.width / (e - w), sy = bitmap.height / (n - s);
    context.drawImage(bitmap, (west - w) * sx, (n - north) * sy, (east - west) * sx, (north - south) * sy, 0, 0, width, height);
  },

  touching([west, south, east, north]) {
    return this.pieces.filter(({ box: [w, s, e, n] }) => w < east && e > west && s < north && n > south);
  },

  /** Draw the base map inside a box (meters) over a whole context of the given size. */
  async drawBox(context, box, width, height, wanted) {
    const found = this.touching(box);
    const bitmaps = await Promise.all(found.map((piece) => this.bitmap(piece)));
    if (!wanted()) return;
    const [west, south, east, north] = box, sx = width / (east - west), sy = height / (north - south);
    context.imageSmoothingQuality = "high";
    if (this.overview) this.drawOverview(context, box, width, height); // uniform areas have no piece
    found.forEach(({ box: [w, s, e, n] }, i) => {
      const [x, y] = [Math.round((w - west) * sx), Math.round((north - n) * sy)]; // whole pixels: no seams
      const [right, bottom] = [Math.round((e - west) * sx), Math.round((north - s) * sy)];
      if (bitmaps[i]) context.drawImage(bitmaps[i], x, y, right - x, bottom - y);
    });
  },
};
