// The interaction state. Panes and panels read it; setters notify them of changes.

const DIM = 0, PLAIN = 1, LIT = 2, FOCUS = 3;

const state = {
  tool: "move",
  mode: "2d",
  dots: true, // whether the map shows dots that are not highlighted
  coloring: page.colorings[0],
  isolated: new Set(), // categories shown; all if empty
  selected: null, // Uint8Array mask, or null
  focus: -1,
  neighbors: new Int32Array(0), // nearest first
  distances: new Float64Array(0), // cosine distance of each neighbor
  words: null, // the query in words that colors the places, see queries.js
  similarity: null, // Float64Array over all places while coloring by similarity
  hover: -1,
  k: 12,
};

const listeners = [];
/** Call `listener(kind)` after every change; kinds: hover, emphasis, brush (emphasis, in progress), color, mode, tool, dots. */
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

/** Select a place (or -1) and highlight its nearest neighbors. */
function setFocus(index) {
  state.focus = index;
  if (index < 0) {
    [state.neighbors, state.distances] = state.words ? bestOf(state.words, state.k) : [new Int32Array(0), new Float64Array(0)];
    if (state.similarity) setSimilarity(false);
  } else {
    const similarity = similarityTo(index);
    [state.neighbors, state.distances] = nearest(similarity, index, state.k, meta.apart_m);
    if (state.similarity) state.similarity = similarity;
  }
  changed("emphasis");
  if (state.similarity) changed("color");
}

function setNeighborCount(k) {
  state.k = k;
  if (state.focus >= 0) setFocus(state.focus);
}

/** Color all places by similarity to the selected one, or return to the previous coloring. */
function setSimilarity(on) {
  state.similarity = on && state.focus >= 0 ? similarityTo(state.focus) : null;
  state.isolated.clear();
  changed("color");
}

/** Color all places by a query in words, or return to the previous coloring. */
function setWords(query) {
  state.words = query;
  state.similarity = null;
  state.selected = null;
  state.isolated.clear();
  setFocus(-1);
  changed("color");
}

function setColoring(key) {
  if (state.words) {
    state.words = null;
    if (state.focus < 0) setFocus(-1);
  }
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

/** Escape: clear the last change. Returns whether there was something to clear. */
function clearOne() {
  if (state.focus >= 0) setFocus(-1);
  else if (state.selected) setSelected(null);
  else if (state.words) setWords(null);
  else if (state.isolated.size) { state.isolated.clear(); changed("emphasis"); } else return false;
  return true;
}

/** Whether a place passes the legend's filter. */
function passes(index) {
  if (!state.isolated.size || state.similarity || state.words) return true;
  return state.isolated.has(state.coloring.codes[index]);
}

/** The emphasis of each place, as a Uint8Array used by both panes. */
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
