// Exact nearest neighbors from the quantized vectors of the page, by the metrics of `placevec search`.
// A unit vector is its integers times its own scale; times its length, it is the vector itself.

const METRICS = { cosine: "Cosine", euclidean: "Euclidean", manhattan: "Manhattan", dot: "Dot product" };
const MANY = 4000; // above this many places, a ranking is cut before it is sorted
const vectorTables = [];

/** The vectors of a panel; a place without one has a scale of NaN. */
function vectorsOf(panel) {
  if (!vectorTables.length) {
    for (const stored of block("placevec-vectors")) {
      vectorTables.push({
        dim: stored.dim,
        values: array(stored.values, stored.bits === 8 ? Int8Array : Int16Array),
        scale: array(stored.scale, Float64Array),
        length: array(stored.length, Float32Array),
        note: stored.note,
      });
    }
  }
  return vectorTables[panel];
}

const hasVector = (index, panel) => Number.isFinite(panels[panel].spaces[0].component[3 * index]);

/** Distance of every place to one of them by the metric, smaller is nearer; NaN without a vector. */
function distancesTo(index) {
  const { dim, values, scale, length } = vectorsOf(state.panel), { metric } = state;
  const sizeOf = metric === "cosine" ? (i) => scale[i] : (i) => scale[i] * length[i];
  const query = Float64Array.from(values.subarray(index * dim, (index + 1) * dim), (value) => value * sizeOf(index));
  const out = new Float64Array(count);
  for (let i = 0, at = 0; i < count; i++) {
    const size = sizeOf(i);
    let sum = 0;
    if (metric === "euclidean") for (let d = 0; d < dim; d++) sum += (query[d] - values[at++] * size) ** 2;
    else if (metric === "manhattan") for (let d = 0; d < dim; d++) sum += Math.abs(query[d] - values[at++] * size);
    else for (let d = 0; d < dim; d++) sum += query[d] * values[at++];
    if (metric === "euclidean") out[i] = Math.sqrt(sum);
    else if (metric === "manhattan") out[i] = Number.isNaN(size) ? NaN : sum;
    else out[i] = metric === "dot" ? -sum * size : Math.max(0, 1 - sum * size);
  }
  return out;
}

/** A distance as users read it: the dot product is no distance, so it is shown as it is, the largest first. */
const shownDistance = (distance) => (state.metric === "dot" ? -distance : distance);

/**
 * The k nearest places without the query: [indices, distances], nearest first.
 * At least `apart` meters lie between any two of them and the query; each is taken unless a better one is near.
 */
function nearest(away, query, k, apart) {
  const limits = [Infinity];
  if (count > MANY) limits.unshift(Float64Array.from(away).sort()[Math.min(count - 1, 10 * k + 500)]);
  let indices;
  for (const limit of limits) {
    const order = range(count).filter((i) => i !== query && away[i] <= limit);
    order.sort((a, b) => away[a] - away[b] || a - b);
    indices = apart > 0 ? spaced(order, query, k, apart) : order.slice(0, k);
    if (indices.length === k) break;
  }
  return [indices, Float64Array.from(indices, (i) => away[i])];
}

const range = (n) => Int32Array.from({ length: n }, (_, i) => i);

/** The first k of a ranking of which no two, nor one and the query, are nearer than `apart` meters. */
function spaced(order, query, k, apart) {
  const taken = [query], points = [onSphere(query)];
  const chord = 2 * Math.sin(apart / EARTH_RADIUS_M / 2);
  for (let n = 0; n < order.length && taken.length <= k; n++) {
    const [x, y, z] = onSphere(order[n]);
    const near = points.some((p) => (p[0] - x) ** 2 + (p[1] - y) ** 2 + (p[2] - z) ** 2 < chord * chord);
    if (near) continue; // never true without coordinates
    taken.push(order[n]);
    points.push([x, y, z]);
  }
  return Int32Array.from(taken.slice(1));
}

/** A place as a point of the unit sphere; NaN without coordinates. */
function onSphere(i) {
  const rad = Math.PI / 180, lat = places.lat[i] * rad, lon = places.lon[i] * rad;
  return [Math.cos(lat) * Math.cos(lon), Math.cos(lat) * Math.sin(lon), Math.sin(lat)];
}
