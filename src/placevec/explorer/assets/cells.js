// Cells of the map: where dots would touch, squares with the most frequent color of their places, which let the map
// through. Their grid is fixed on the map, and halves as it is zoomed in, until there is room for the dots.

const TOUCH_PX = 5; // CSS pixels between typical places below which they are drawn as cells
const LEAST_CELL_PX = 4;
const CELL_OPACITY = [0.14, 0.6, 0.85]; // of DIM, PLAIN, LIT

/** Distance in meters between typical neighbors: of as many equal squares as hold all places, the side. */
function typicalSpacing([west, south, east, north]) {
  const side = Math.sqrt(Math.max(1, east - west) * Math.max(1, north - south) / Math.max(1, count));
  const across = Math.floor((east - west) / side) + 1, taken = new Set();
  let known = 0;
  for (let i = 0; i < count; i++) {
    if (!onMap(i)) continue;
    known++;
    taken.add(Math.floor((places.north[i] - south) / side) * across + Math.floor((places.east[i] - west) / side));
  }
  return side * Math.sqrt(taken.size / Math.max(1, known));
}

/** Draw the visible places of the levels as cells of `meters`; `see` maps meters to device pixels [scale, x of 0, y of 0]. */
function drawCellsOf(splatter, level, color, levels, meters, [scale, x0, y0], [wide, high]) {
  const { east, north } = places;
  const first = [Math.floor(-x0 / scale / meters), Math.floor((y0 - high) / scale / meters)];
  const across = Math.ceil(wide / scale / meters) + 2, up = Math.ceil(high / scale / meters) + 2;
  const best = new Int8Array(across * up).fill(-1), members = new Map();
  for (let i = 0; i < slots; i++) {
    const column = Math.floor(east[i] / meters) - first[0], row = Math.floor(north[i] / meters) - first[1];
    if (!(column >= 0 && row >= 0 && column < across && row < up) || !levels.includes(level[i])) continue;
    const at = row * across + column;
    if (level[i] < best[at]) continue;
    if (level[i] > best[at]) { best[at] = level[i]; members.set(at, new Map()); }
    const tally = members.get(at);
    tally.set(color[i], (tally.get(color[i]) ?? 0) + 1);
  }
  const mixes = activeColoring().kind !== "category", gap = Math.max(1, Math.round(meters * scale * 0.12));
  for (const [at, tally] of members) {
    const left = x0 + (first[0] + at % across) * meters * scale;
    const bottom = y0 - (first[1] + Math.floor(at / across)) * meters * scale;
    const paint = mixes ? meanColor(tally) : [...tally].reduce((most, one) => (one[1] > most[1] ? one : most))[0];
    splatter.box(left, bottom - meters * scale + gap, left + meters * scale - gap, bottom, paint, CELL_OPACITY[best[at]]);
  }
}

/** The mean of packed colors, each with its number of places. */
function meanColor(tally) {
  let [red, green, blue, all] = [0, 0, 0, 0];
  for (const [color, n] of tally) {
    red += (color & 255) * n; green += (color >>> 8 & 255) * n; blue += (color >>> 16 & 255) * n; all += n;
  }
  return packed([red / all, green / all, blue / all].map(Math.round));
}
