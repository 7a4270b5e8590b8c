// Colors of places: categories from the page, numbers along viridis (suitable for color-blind readers).

const VIRIDIS = ["440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"];
const NO_VALUE = { light: "b5b8ba", dark: "50565b" };

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

const channels = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
const packed = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** Color [r, g, b] at 0..1 of the ramp; the ends that would blend into the background are not used. */
function rampColor(share) {
  const [from, to] = isDark() ? [0.16, 1] : [0, 0.93];
  const at = (from + Math.min(1, Math.max(0, share)) * (to - from)) * (VIRIDIS.length - 1);
  const low = channels(VIRIDIS[Math.floor(at)]), high = channels(VIRIDIS[Math.min(VIRIDIS.length - 1, Math.floor(at) + 1)]);
  return low.map((value, c) => Math.round(value + (high[c] - value) * (at % 1)));
}

/** The active coloring: the chosen one, similarity to words, or distance to the selected place. */
function activeColoring() {
  if (!state.away) return state.words ? state.words.coloring : state.coloring;
  if (awayColoring.of !== state.away) Object.assign(awayColoring, rangeOf(state.away.map(shownDistance), state.focus), { of: state.away });
  const dot = state.metric === "dot";
  return Object.assign(awayColoring, { unit: METRICS[state.metric].toLowerCase(), reversed: !dot,
    label: `${dot ? "Similarity" : "Distance"} to the selected place` });
}
const awayColoring = { key: "distance", kind: "number", of: null };

/** Values of a coloring by number and their range: the 2nd to the 98th percentile, all but one place. */
function rangeOf(values, without) {
  const others = Float64Array.from(values).filter((value, i) => i !== without && Number.isFinite(value)).sort();
  const at = (share) => others[Math.min(others.length - 1, Math.floor(share * others.length))] ?? 0;
  return { values, low: at(0.02), high: at(0.98), minimum: at(0), maximum: at(1) };
}

page.colorings.forEach(readColoring);

/** Decode the values of a coloring in place. */
function readColoring(item) {
  if (item.kind === "category") item.codes = array(item.codes, Uint16Array);
  else if (item.kind === "rgb") item.values = array(item.values, Uint8Array); // count x 3
  else item.values = array(item.values, Float32Array);
}

const categoryHex = (category) => category.color ?? NO_VALUE[isDark() ? "dark" : "light"];
/** The place of a value in the range of a coloring, 0..1 inside it; near ones are bright where it is reversed. */
const shareOf = (item, value) => (item.high > item.low ? (value - item.low) / (item.high - item.low) : 0.5);
const paintOf = (item, share) => rampColor(item.reversed ? 1 - share : share);

/** One packed RGBA color (little endian, as in ImageData) for each slot; places beyond the sample have the color of text. */
function placeColors() {
  const item = activeColoring(), dark = isDark() ? "dark" : "light";
  const none = packed(channels(NO_VALUE[dark])), out = new Uint32Array(slots).fill(packed(channels(WORD[dark].slice(1))), count);
  if (item.kind === "category") {
    const table = item.categories.map((category) => packed(channels(categoryHex(category))));
    for (let i = 0; i < count; i++) out[i] = table[item.codes[i]];
    return out;
  }
  if (item.kind === "rgb") {
    for (let i = 0; i < count; i++) out[i] = packed(rgbOf(item, i));
    return out;
  }
  const table = Array.from({ length: 256 }, (_, i) => packed(paintOf(item, i / 255)));
  for (let i = 0; i < count; i++) {
    const value = item.values[i];
    out[i] = Number.isFinite(value) ? table[Math.round(Math.min(1, Math.max(0, shareOf(item, value))) * 255)] : none;
  }
  return out;
}

/** The value of a place in the active coloring, as text. */
const valueText = (index) => textOf(activeColoring(), index);

const rgbOf = (item, index) => item.values.subarray(3 * index, 3 * index + 3);
const hexText = (rgb) => `#${Array.from(rgb, (value) => value.toString(16).padStart(2, "0")).join("")}`;

/** The value of a place in a coloring, as text. */
function textOf(item, index) {
  if (index >= count) return "not in the sample drawn";
  if (item.kind === "category") return item.categories[item.codes[index]].label;
  if (item.kind === "rgb") return hexText(rgbOf(item, index));
  const text = numberText(item.values[index], item.maximum - item.minimum);
  return item.unit && Number.isFinite(item.values[index]) ? `${text} ${item.unit}` : text;
}
