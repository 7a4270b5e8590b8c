// Places that are areas: filled on the map as their dots are colored, where there is room for them.

const SHAPE_OPACITY = [0.1, 0.62, 0.85]; // of DIM, PLAIN, LIT
const LEAST_AREA_PX = 2.5; // CSS pixels between typical places below which they are drawn as cells
const EDGE_FROM_PX = 6; // CSS pixels between typical places from which borders are drawn
const ringed = page.shapes ? outlines(page.shapes) : null;

/** Rings by place, and for each place its box: west, south, east, north in meters; an empty one without rings. */
function outlines({ place, starts, xy }) {
  const found = { place: array(place, Uint32Array), starts: array(starts, Uint32Array), xy: array(xy, Float32Array) };
  found.first = new Uint32Array(count + 1);
  found.box = new Float32Array(4 * count).fill(Infinity);
  for (let r = 0; r < found.place.length; r++) {
    const p = found.place[r], box = found.box.subarray(4 * p, 4 * p + 4);
    found.first[p + 1]++;
    if (box[2] === Infinity) box.set([Infinity, Infinity, -Infinity, -Infinity]);
    for (let v = found.starts[r]; v < found.starts[r + 1]; v++) {
      const [x, y] = [found.xy[2 * v], found.xy[2 * v + 1]];
      box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y); box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
    }
  }
  for (let p = 0; p < count; p++) found.first[p + 1] += found.first[p];
  return found;
}

const hasShape = (i) => ringed !== null && i < count && ringed.first[i + 1] > ringed.first[i];

/** Trace the rings of a place; `see` maps meters to pixels: [scale, x of 0, y of 0]. */
function traceShape(context, i, [scale, x0, y0]) {
  const { first, starts, xy } = ringed;
  context.beginPath();
  for (let r = first[i]; r < first[i + 1]; r++) {
    for (let v = starts[r]; v < starts[r + 1]; v++) context[v === starts[r] ? "moveTo" : "lineTo"](x0 + xy[2 * v] * scale, y0 - xy[2 * v + 1] * scale);
    context.closePath();
  }
}

/** Fill the areas of some levels that are in sight, of `wide` x `high` pixels; returns those that are lit. */
function fillShapes(context, level, color, levels, see, [wide, high], edge) {
  const [scale, x0, y0] = see, { box } = ringed, lit = [];
  const [west, south, east, north] = [-x0 / scale, (y0 - high) / scale, (wide - x0) / scale, y0 / scale];
  for (const pass of levels) {
    context.globalAlpha = SHAPE_OPACITY[Math.min(pass, LIT)];
    for (let i = 0; i < count; i++) {
      if (level[i] !== pass || !hasShape(i)) continue;
      if (pass === LIT) lit.push(i);
      if (box[4 * i] > east || box[4 * i + 1] > north || box[4 * i + 2] < west || box[4 * i + 3] < south) continue;
      traceShape(context, i, see);
      context.fillStyle = `rgb(${color[i] & 255},${color[i] >>> 8 & 255},${color[i] >>> 16 & 255})`;
      context.fill("evenodd");
      if (edge) { context.strokeStyle = edge; context.stroke(); }
    }
  }
  context.globalAlpha = 1;
  return lit;
}

/** The first area around a point in meters for which `counts`, or -1. */
function shapeAt(x, y, counts) {
  const { box, first, starts, xy } = ringed;
  for (let i = 0; i < count; i++) {
    if (!(box[4 * i] <= x && x <= box[4 * i + 2] && box[4 * i + 1] <= y && y <= box[4 * i + 3]) || !counts(i)) continue;
    let inside = false;
    for (let r = first[i]; r < first[i + 1]; r++) {
      for (let v = starts[r], u = starts[r + 1] - 1; v < starts[r + 1]; u = v++) {
        const [ax, ay, bx, by] = [xy[2 * v], xy[2 * v + 1], xy[2 * u], xy[2 * u + 1]];
        if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) inside = !inside;
      }
    }
    if (inside) return i;
  }
  return -1;
}
