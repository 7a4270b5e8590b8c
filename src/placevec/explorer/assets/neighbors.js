// Exact nearest neighbors by cosine distance, from the quantized unit vectors of the page.
// A vector is its integers times its own scale, so a similarity is an integer dot product times two scales.

let vectorTable = null;

function vectors() {
  if (!vectorTable) {
    const stored = block("placevec-vectors");
    vectorTable = {
      dim: stored.dim,
      values: array(stored.values, stored.bits === 8 ? Int8Array : Int16Array),
      scale: array(stored.scale, Float64Array),
    };
  }
  return vectorTable;
}

/** Cosine similarity of every place to one of them. */
function similarityTo(index) {
  const { dim, values, scale } = vectors();
  const query = Float64Array.from(values.subarray(index * dim, (index + 1) * dim));
  const out = new Float64Array(count);
  for (let i = 0, at = 0; i < count; i++) {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += query[d] * values[at++];
    out[i] = sum * scale[i] * scale[index];
  }
  return out;
}

/**
 * The k most similar places without the query: [indices, cosine distances], nearest first.
 * At least `apart` meters lie between any two of them and the query; each is taken unless a better one is near.
 */
function nearest(similarity, query, k, apart) {
  const order = new Int32Array(count - 1);
  for (let i = 0, n = 0; i < count; i++) if (i !== query) order[n++] = i;
  order.sort((a, b) => similarity[b] - similarity[a] || a - b);
  const indices = apart > 0 ? spaced(order, query, k, apart) : order.slice(0, k);
  return [indices, Float64Array.from(indices, (i) => Math.max(0, 1 - similarity[i]))];
}

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
