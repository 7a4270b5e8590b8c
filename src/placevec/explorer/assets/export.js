// Saving results in the browser, as CSV and GeoJSON. `placevec export --selection` turns either into GeoParquet.

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

/** Points in WGS84 with the columns as properties, as in RFC 7946; a place without coordinates has no geometry. */
function geojsonText(header, rows) {
  const features = rows.map((row_) => {
    const properties = Object.fromEntries(header.map((name, column) => [name, Number.isNaN(row_[column]) ? null : row_[column]]));
    const { lon, lat } = properties;
    return { type: "Feature", geometry: lon === null ? null : { type: "Point", coordinates: [lon, lat] }, properties };
  });
  return JSON.stringify({ type: "FeatureCollection", attribution: document.getElementById("credit").textContent, features });
}

function save(name, header, rows) {
  const csv = name.endsWith(".csv");
  const blob = new Blob([csv ? csvText([header, ...rows]) : geojsonText(header, rows)], { type: csv ? "text/csv" : "application/geo+json" });
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const rowOf = (i) => [places.id[i], places.name[i], places.lon[i], places.lat[i]];
const HEADER = ["place_id", "name", "lon", "lat"];

/** Buttons that save what `tableOf` returns, [header, rows], in each format. */
function savers(stem, tableOf) {
  return ["csv", "geojson"].map((kind) => action(`Save ${kind === "csv" ? "CSV" : "GeoJSON"}`, () => save(`${stem}.${kind}`, ...tableOf())));
}

function neighborTable() {
  const measure = state.metric === "dot" ? "dot_product" : `${state.metric}_distance`;
  const rows = Array.from(state.neighbors, (i, rank) => [...rowOf(i), rank + 1, shownDistance(state.distances[rank])]);
  const own = shownDistance(distancesTo(state.focus)[state.focus]);
  return [[...HEADER, "rank", measure], [[...rowOf(state.focus), 0, own], ...rows]];
}

function selectionTable() {
  const item = activeColoring();
  return [[...HEADER, item.label], selectedIndices().map((i) => [...rowOf(i), item.kind === "number" ? item.values[i] : textOf(item, i)])];
}
