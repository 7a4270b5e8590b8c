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

/** The k most similar places without the query: [indices, cosine distances], nearest first. */
function nearest(similarity, query, k) {
  const order = new Int32Array(count - 1);
  for (let i = 0, n = 0; i < count; i++) if (i !== query) order[n++] = i;
  order.sort((a, b) => similarity[b] - similarity[a] || a - b);
  const indices = order.slice(0, k);
  return [indices, Float64Array.from(indices, (i) => Math.max(0, 1 - similarity[i]))];
}
