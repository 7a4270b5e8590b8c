// Queries in words: buttons that color both views by how far each place stands out, and the best places as a list.

const wordQueries = (page.queries ?? []).map(readQuery);

/** A query as the page uses it: z of each place, its range without outliers, and its best places. */
function readQuery({ text, values, note }) {
  const z = array(values, Float32Array), limits = rangeOf(z, -1);
  const coloring = { key: "words", kind: "number", label: `Similarity to “${text}”`, unit: "z", ...limits, high: limits.maximum, note: "z: how many spreads a place is more similar to the words than most places are." };
  return { text, note, z, coloring };
}

/** The best places of a query: [indices, z], no two nearer than similar places may be. */
function bestOf(query, k) {
  const order = range(count).filter((i) => Number.isFinite(query.z[i]));
  order.sort((a, b) => query.z[b] - query.z[a] || a - b);
  const indices = meta.apart_m > 0 ? spaced(order, -1, k, meta.apart_m) : order.slice(0, k);
  return [indices, Float64Array.from(indices, (i) => query.z[i])];
}

function buildQueries() {
  const section = document.getElementById("words");
  section.hidden = !wordQueries.length && !page.ask;
  const list = element("div", { className: "actions" });
  const draw = () => list.replaceChildren(...wordQueries.map((query) => {
    const button = action("", () => setWords(state.words === query ? null : query), { "aria-pressed": String(state.words === query) });
    button.append(foreign(query.text));
    return button;
  }));
  section.append(element("h3", { text: "In words" }), list);
  onChange((kind) => { if (kind === "color" || kind === "queries") draw(); });
  draw();
  return section;
}

function wordsCard(query) {
  const list = element("ol", { className: "ranked" });
  state.neighbors.forEach((i, rank) => list.append(element("li", {}, row(i, rank,
    element("span", { className: "far" }, element("span", { text: state.distances[rank].toFixed(2) }), element("small", { text: "z" }))))));
  return [element("h2", {}, foreign(query.text)),
    ...(query.note ? [element("p", { className: "doubt", text: query.note[0].toUpperCase() + query.note.slice(1) + "." })] : []),
    element("div", { className: "actions" }, action("Clear", () => setWords(null))),
    element("h3", {}, element("span", { text: "Most similar places" })), list,
    element("p", { className: "hint", text: query.coloring.note })];
}
