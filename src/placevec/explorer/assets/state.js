// The interaction state. Panes and panels read it; setters notify them of changes.

const DIM = 0, PLAIN = 1, LIT = 2, FOCUS = 3;

const state = {
  tool: "move",
  mode: "2d",
  dots: true, // whether the map shows dots that are not highlighted
  space: page.panels[0].spaces[0].key, // the projection that all panels show
  panel: 0, // the panel whose vectors rank the neighbors: the one that was clicked last
  metric: "cosine",
  coloring: page.colorings[0],
  isolated: new Set(), // categories shown; all if empty
  selected: null, // Uint8Array mask, or null
  focus: -1,
  neighbors: new Int32Array(0), // nearest first
  distances: new Float64Array(0), // distance of each neighbor by the metric
  words: null, // the query in words that colors the places, see queries.js
  away: null, // Float64Array: distance of every place to the selected one, while coloring by it
  hover: -1,
  k: 12,
};

const listeners = [];
/** Call `listener(kind)` after every change; kinds: hover, emphasis, brush (emphasis, in progress), color, mode, space, tool, dots. */
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

/** Select a place (or -1) and highlight its nearest neighbors, by the vectors of a panel. */
function setFocus(index, panel = state.panel) {
  state.focus = index;
  state.panel = index < 0 || hasVector(index, panel) ? panel : panels.findIndex((_, other) => hasVector(index, other));
  if (index < 0) {
    [state.neighbors, state.distances] = state.words ? bestOf(state.words, state.k) : [new Int32Array(0), new Float64Array(0)];
    if (state.away) setAway(false);
  } else {
    const away = distancesTo(index);
    [state.neighbors, state.distances] = nearest(away, index, state.k, meta.apart_m);
    if (state.away) state.away = away;
  }
  changed("emphasis");
  if (state.away) changed("color");
}

/** Change how neighbors are ranked: their number, the metric, or the panel whose vectors count. */
function setRanking(change) {
  Object.assign(state, change);
  if (state.focus >= 0) setFocus(state.focus);
}

/** Color all places by their distance to the selected one, or return to the previous coloring. */
function setAway(on) {
  state.away = on && state.focus >= 0 ? distancesTo(state.focus) : null;
  state.isolated.clear();
  changed("color");
}

/** Show another projection in all panels. */
function setSpace(key) {
  if (key === state.space) return;
  state.space = key;
  if (!solidSpace()) setMode("2d");
  changed("space");
}

/** Whether the projection has a third dimension. */
const solidSpace = () => panels.some(({ spaces }) => spaces.some((space) => space.key === state.space && space.dims === 3));

/** Color all places by a query in words, or return to the previous coloring. */
function setWords(query) {
  state.words = query;
  state.away = null;
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
  state.away = null;
  state.isolated.clear();
  changed("color");
}

function toggleIsolated(category) {
  if (!state.isolated.delete(category)) state.isolated.add(category);
  if (state.isolated.size === activeColoring().categories.length) state.isolated.clear();
  changed("emphasis");
}

function setMode(mode) {
  if (mode === state.mode || (mode === "3d" && !solidSpace())) return;
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
  if (!state.isolated.size || state.away || state.words) return true;
  return state.isolated.has(state.coloring.codes[index]);
}

/** The emphasis of each place, as a Uint8Array used by both panes. */
function emphasis() {
  const level = new Uint8Array(slots);
  const focused = state.focus >= 0;
  const lit = state.selected;
  for (let i = 0; i < slots; i++) {
    if (!passes(i)) level[i] = DIM;
    else if (lit) level[i] = lit[i] ? (focused ? PLAIN : LIT) : DIM;
    else level[i] = focused && !state.away ? DIM : PLAIN;
  }
  for (const i of state.neighbors) level[i] = LIT;
  if (focused) level[state.focus] = FOCUS;
  return level;
}
