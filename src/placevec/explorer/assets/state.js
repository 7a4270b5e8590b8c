// What the reader has chosen. Panes and panels look at it; setters tell them that it changed.

const DIM = 0, PLAIN = 1, LIT = 2, FOCUS = 3;

const state = {
  tool: "move",
  mode: "2d",
  dots: true, // whether the map shows dots that are not lit
  coloring: page.colorings[0],
  isolated: new Set(), // categories of the coloring that alone stay lit
  selected: null, // Uint8Array mask, or null
  focus: -1,
  neighbors: new Int32Array(0), // nearest first
  distances: new Float64Array(0), // cosine distance of each neighbor
  similarity: null, // Float64Array over all places while the focus colors them
  hover: -1,
  k: 12,
};

const listeners = [];
/** Call `listener(kind)` after every change; kinds: hover, emphasis, brush (emphasis, and more to come), color, mode, tool, dots. */
const onChange = (listener) => listeners.push(listener);
const changed = (kind) => listeners.forEach((listener) => listener(kind));

function setHover(index) {
  if (index === state.hover) return;
  state.hover = index;
  changed("hover");
}

function setSelected(mask, kind = "emphasis") {
  state.selected = mask && mask.some((flag) => flag) ? mask : null;
  changed(kind);
}

/** Choose a place (or -1): its nearest neighbors by the vectors light up. */
function setFocus(index) {
  state.focus = index;
  if (index < 0) {
    state.neighbors = new Int32Array(0);
    state.distances = new Float64Array(0);
    if (state.similarity) setSimilarity(false);
  } else {
    const similarity = similarityTo(index);
    [state.neighbors, state.distances] = nearest(similarity, index, state.k);
    if (state.similarity) state.similarity = similarity;
  }
  changed("emphasis");
  if (state.similarity) changed("color");
}

function setNeighborCount(k) {
  state.k = k;
  if (state.focus >= 0) setFocus(state.focus);
}

/** Color everything by its similarity to the focus, or go back to the coloring before. */
function setSimilarity(on) {
  state.similarity = on && state.focus >= 0 ? similarityTo(state.focus) : null;
  state.isolated.clear();
  changed("color");
}

function setColoring(key) {
  state.coloring = page.colorings.find((item) => item.key === key) ?? page.colorings[0];
  state.similarity = null;
  state.isolated.clear();
  changed("color");
}

function toggleIsolated(category) {
  if (!state.isolated.delete(category)) state.isolated.add(category);
  if (state.isolated.size === activeColoring().categories.length) state.isolated.clear();
  changed("emphasis");
}

function setMode(mode) {
  if (mode === state.mode) return;
  state.mode = mode;
  changed("mode");
}

function toggleDots() {
  state.dots = !state.dots;
  changed("dots");
}

function setTool(tool) {
  state.tool = tool;
  changed("tool");
}

/** Escape: one step back, the latest first. True when there was something to clear. */
function clearOne() {
  if (state.focus >= 0) setFocus(-1);
  else if (state.selected) setSelected(null);
  else if (state.isolated.size) { state.isolated.clear(); changed("emphasis"); } else return false;
  return true;
}

/** Whether the legend lets a place through. */
function passes(index) {
  if (!state.isolated.size || state.similarity) return true;
  return state.isolated.has(state.coloring.codes[index]);
}

/** How strongly each place is drawn, as one Uint8Array; both panes draw from it. */
function emphasis() {
  const level = new Uint8Array(count);
  const focused = state.focus >= 0;
  const lit = state.selected;
  for (let i = 0; i < count; i++) {
    if (!passes(i)) level[i] = DIM;
    else if (lit) level[i] = lit[i] ? (focused ? PLAIN : LIT) : DIM;
    else level[i] = focused && !state.similarity ? DIM : PLAIN;
  }
  for (const i of state.neighbors) level[i] = LIT;
  if (focused) level[state.focus] = FOCUS;
  return level;
}
