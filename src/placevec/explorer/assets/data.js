// The data of the page: JSON blocks with text, numbers and base64 arrays. Names are always inserted as text.

const blockText = (id) => document.getElementById(id)?.textContent ?? "null";
const block = (id) => JSON.parse(blockText(id));

/** The bytes of a base64 string. */
function bytes(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

const array = (base64, Type) => new Type(bytes(base64).buffer);

/** A decoded image; resolves to null if the browser cannot read it. */
const picture = (base64, type) => createImageBitmap(new Blob([bytes(base64)], { type })).catch(() => null);

/** Whether the page shows the map alone, with popups, instead of both views. */
const mapAlone = document.body.dataset.layout === "map";
const page = block("placevec-places");
const meta = page.meta;
const count = page.id.length;
/** Places drawn, and slots after them for places beyond the sample that the app finds; see app.js. */
const slots = count + page.beyond;

const places = {
  id: [...page.id, ...new Array(page.beyond).fill("")],
  name: [...page.name, ...new Array(page.beyond).fill(null)],
  lon: perSlot(page.lon, Float64Array),
  lat: perSlot(page.lat, Float64Array),
  east: perSlot(page.east, Float64Array), // Web-Mercator meters, NaN without coordinates; unwrapped at 180 degrees
  north: perSlot(page.north, Float64Array),
  reach: page.reach ? perSlot(page.reach, Float32Array, 4) : null, // slots x 4: footprint west, south, east, north of the center
};

/** The numbers of each place, and NaN for the slots after them. */
function perSlot(base64, Type, width = 1) {
  const stored = array(base64, Type);
  if (stored.length === width * slots) return stored;
  const out = new Type(width * slots).fill(NaN);
  out.set(stored);
  return out;
}

/** The embedding spaces: one panel for each table or view of the same places, each reduced by the same methods. */
const panels = page.panels.map(({ label, spaces }) => ({ label, spaces: spaces.map(readSpace) }));

/** Decode a space: `component` is slots x 3, NaN for places without a vector; a flat space has no third dimension. */
function readSpace({ values, dims, ...space }) {
  if (dims === 3) return { ...space, dims, component: perSlot(values, Float32Array, 3) };
  const stored = array(values, Float32Array), component = new Float32Array(3 * slots).fill(NaN, 3 * count);
  for (let i = 0; i < count; i++) [component[3 * i], component[3 * i + 1]] = [stored[2 * i], stored[2 * i + 1]];
  return { ...space, dims, component };
}

const EARTH_RADIUS_M = 6371008.8;

/** Distance between two places in meters (haversine: within 0.6% of the ellipsoid). */
const groundMeters = (a, b) => metersBetween(places.lon[a], places.lat[a], places.lon[b], places.lat[b]);

/** Distance between two points in meters; degrees. */
function metersBetween(lonA, latA, lonB, latB) {
  const rad = Math.PI / 180;
  const dLat = (latB - latA) * rad;
  const dLon = (lonB - lonA) * rad;
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(latA * rad) * Math.cos(latB * rad) * Math.sin(dLon / 2) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

const onMap = (i) => Number.isFinite(places.east[i]);
const nameOf = (i) => places.name[i] ?? places.id[i];

const thousands = (n) => n.toLocaleString("en-US");
const metersText = (m) => (m < 1000 ? `${Math.round(m)} m` : m < 100000 ? `${(m / 1000).toFixed(1)} km` : `${thousands(Math.round(m / 1000))} km`);

/** A number with a precision that suits its range. */
function numberText(value, span) {
  if (!Number.isFinite(value)) return "no value";
  if (value !== 0 && (Math.abs(value) >= 1e7 || Math.abs(span) < 1e-4)) return value.toExponential(2);
  const digits = Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(Math.abs(span) || 1))));
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

/** A new element; text is inserted as text, never as markup. */
function element(tag, { text, ...properties } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}

/** Text of unknown script and direction, isolated so that it does not affect the direction of surrounding text. */
const foreign = (text, properties = {}) => element("bdi", { text, dir: "auto", ...properties });
