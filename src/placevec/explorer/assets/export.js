// Exporting results as CSV files in the browser.

/** Signs of formulas, of any width, after blanks, line breaks and invisible characters, as in io/atomic.py. */
const FORMULA = new RegExp(
  "^(?:[\\s\\u0000-\\u0020\\u00ad\\u200b-\\u200f\\u2028-\\u202f\\u2060-\\u2064\\ufeff]*" +
    "[=+\\-@\\u2212\\ufe62\\ufe63\\ufe66\\ufe6b\\uff0b\\uff0d\\uff1d\\uff20]|[\\t\\r\\n])",
);

/** A CSV cell, quoted if necessary and protected from being read as a formula by spreadsheets. */
function cell(value) {
  let text = value === null || value === undefined || Number.isNaN(value) ? "" : String(value);
  if (typeof value === "string" && FORMULA.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csvText = (rows) => `${rows.map((row_) => row_.map(cell).join(",")).join("\r\n")}\r\n`;

function save(name, rows) {
  const link = element("a", { href: URL.createObjectURL(new Blob([csvText(rows)], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const rowOf = (i) => [places.id[i], places.name[i], places.lon[i], places.lat[i]];
const HEADER = ["place_id", "name", "lon", "lat"];

function saveNeighbors() {
  const rows = Array.from(state.neighbors, (i, rank) => [...rowOf(i), rank + 1, state.distances[rank]]);
  save("neighbors.csv", [[...HEADER, "rank", "cosine_distance"], [...rowOf(state.focus), 0, 0], ...rows]);
}

function saveSelection() {
  const item = state.coloring;
  const rows = selectedIndices().map((i) => [...rowOf(i), item.kind === "number" ? item.values[i] : textOf(item, i)]);
  save("selection.csv", [[...HEADER, item.label], ...rows]);
}
