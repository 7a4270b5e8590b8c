// Assembling the page: panes, panels, global keys, and access to the state for tests.

const projectors = buildPanels().map((id, panel) => new Projector(id, panel));
const [projector] = projectors;
const map = new GeoMap();
const panes = mapAlone ? [map] : [...projectors, map];
const paneOf = (id) => panes.find((pane) => pane.id === id);
if (!mapAlone) { arrange(map); addEventListener("resize", () => arrange(map)); }

buildChooser();
const wordsSection = buildQueries();
if (page.ask) buildAsking(wordsSection);
buildCard();
const searchInput = buildSearch();
describe();

for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => setTool(button.dataset.tool));
for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
for (const button of document.querySelectorAll("[data-space]")) button.addEventListener("click", () => setSpace(button.dataset.space));
for (const group of document.querySelectorAll("[role=radiogroup]")) group.addEventListener("keydown", stepThrough);
onChange((kind) => {
  if (kind === "tool" || kind === "mode" || kind === "space" || kind === "dots") showChoices();
});
showChoices();

document.getElementById("dots").addEventListener("click", toggleDots);
document.getElementById("theme").addEventListener("click", toggleTheme);
document.getElementById("help").addEventListener("click", () => document.getElementById("keys").showModal());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
document.addEventListener("keydown", pageKey);

/** Update the buttons of the active tool, projection and number of dimensions, including their accessibility attributes. */
function showChoices() {
  for (const button of document.querySelectorAll("[data-tool], [data-mode], [data-space]")) {
    const { tool, mode, space } = button.dataset, on = tool === state.tool || mode === state.mode || space === state.space;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
    if (mode === "3d") button.disabled = !solidSpace() && !page.app;
  }
  document.getElementById("dots").setAttribute("aria-pressed", String(state.dots));
  for (const pane of panes) pane.stage.classList.toggle("brush", state.tool !== "move");
}

function stepThrough(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const buttons = [...event.currentTarget.querySelectorAll("[role=radio]")];
  const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
  next.click();
  next.focus();
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  repaint();
}

function repaint() {
  changed("color");
  panes.forEach((pane) => pane.redraw("camera"));
}

function pageKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("keys").open) return;
  if (event.key === "Escape") { clearOne(); hideTip(); return; }
  if (event.target.closest("input, select, textarea")) return;
  const run = {
    v: () => setTool("move"), b: () => setTool("box"), l: () => setTool("lasso"), 2: () => setMode("2d"), 3: () => setMode("3d"),
    p: nextSpace, d: toggleDots, t: toggleTheme, "/": () => searchInput.focus(), "?": () => document.getElementById("keys").showModal(),
  }[event.key.toLowerCase()];
  if (!run) return;
  event.preventDefault();
  run();
}

/** Describe the places drawn and the model behind them. */
function describe() {
  const drawn = meta.places_drawn < meta.places_total
    ? `a random sample of ${thousands(meta.places_drawn)} of ${thousands(meta.places_total)} places`
    : `${thousands(count)} ${count === 1 ? "place" : "places"}`;
  const counter = document.getElementById("count");
  counter.textContent = `${drawn} · ${meta.dim} dimensions`;
  counter.classList.toggle("sample", meta.places_drawn < meta.places_total);
  const about = document.getElementById("about");
  about.append(element("div", { text: drawn[0].toUpperCase() + drawn.slice(1) + (meta.places_drawn < meta.places_total ? ` (seed ${meta.seed})` : "") + (meta.created ? ` · created ${meta.created.slice(0, 10)}` : "") }));
  about.append(element("div", { text: `placevec ${meta.version}${meta.model_hash ? ` · model ${meta.model_hash.slice(0, 12)}` : ""}` }));
  if (meta.without_shapes) about.append(element("div", { text: meta.without_shapes[0].toUpperCase() + meta.without_shapes.slice(1) }));
  if (meta.without_coordinates) about.append(element("div", { text: `${thousands(meta.without_coordinates)} without coordinates, shown in the embedding space only` }));
}

function laterParts() {
  previews.load();
  basemap.load(() => map.redraw("camera"));
  drawCard();
  document.documentElement.dataset.ready = "true";
  if (page.app) connectApp();
}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", laterParts);
else laterParts();

const idsOf = (indices) => Array.from(indices, (i) => places.id[i]);
window.placevecState = Object.freeze({
  get ready() { return document.documentElement.dataset.ready === "true"; },
  get count() { return count; },
  get mode() { return state.mode; },
  get space() { return state.space; },
  get moving() { return projectors.some((pane) => pane.morphing); },
  get cellMeters() { return map.cellMeters; },
  get panels() { return projectors.map((pane) => pane.id); },
  get depth() { return projector.depth; }, // 0 for 2D, 1 for 3D; in between during the transition
  get words() { return state.words ? state.words.text : null; },
  get coloring() { return activeColoring().key; },
  get hover() { return state.hover < 0 ? null : places.id[state.hover]; },
  get focus() { return state.focus < 0 ? null : places.id[state.focus]; },
  get selected() { return state.selected ? idsOf(selectedIndices()) : []; },
  get neighbors() { return Array.from(state.neighbors, (i, rank) => ({ place_id: places.id[i], distance: state.focus < 0 ? state.distances[rank] : shownDistance(state.distances[rank]) })); },
  get scaleMeters() { return map.scaleMeters; },
  lit: (pane) => idsOf(paneOf(pane).lit),
  position: (pane, placeId) => paneOf(pane).position(places.id.indexOf(placeId)),
  pick: (pane, x, y) => { const p = paneOf(pane), box = p.stage.getBoundingClientRect(); const i = p.pick(x - box.left, y - box.top); return i < 0 ? null : places.id[i]; },
  drawMs: (pane) => paneOf(pane).drawMs,
  csv: csvText,
});
