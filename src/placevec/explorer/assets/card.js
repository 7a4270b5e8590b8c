// The side panel below the legend: the selected place and its neighbors, the selection, or an introduction.

const card = document.getElementById("card");
const NEIGHBOR_CHOICES = [12, 25, 50, 100, 250, 1000];
const SELECTION_SHOWN = 60;

function buildCard() {
  onChange((kind) => {
    if (kind === "brush") countSelected();
    if (kind === "emphasis" || kind === "color") drawCard();
    if (kind === "hover") markHovered();
  });
  drawCard();
}

/** Announce to screen readers what the card shows. */
function sayCard() {
  const said = document.getElementById("said");
  if (state.focus >= 0) said.textContent = `${nameOf(state.focus)}: ${state.neighbors.length} most similar places listed`;
  else if (state.words && !state.selected) said.textContent = `${state.words.text}: ${state.neighbors.length} most similar places listed`;
  else said.textContent = state.selected ? card.firstChild.textContent : "";
}

function drawCard() {
  document.body.dataset.card = state.focus >= 0 ? "place" : state.selected ? "selection" : state.words ? "words" : "start";
  if (state.focus >= 0) card.replaceChildren(...placeCard(state.focus));
  else if (state.selected) card.replaceChildren(...selectionCard());
  else if (state.words) card.replaceChildren(...wordsCard(state.words));
  else card.replaceChildren(...firstCard());
  sayCard();
}

function action(label, run, properties = {}) {
  const button = element("button", { type: "button", text: label, ...properties });
  button.addEventListener("click", run);
  return button;
}

/** Go to a place from a list: select it and bring it into view. */
function visit(index) {
  setFocus(index);
  panes.forEach((pane) => pane.reveal(index));
  card.scrollTop = 0;
}

function placeCard(index) {
  const picture = previews.canvas(index, 96, "picture");
  const facts = element("p", { className: "facts" });
  if (places.name[index] !== null) facts.append(element("code", { text: places.id[index] }), element("br"));
  facts.append(coordinates(index), element("br"));
  const item = state.words ? state.words.coloring : state.coloring;
  facts.append(foreign(item.label), ": ", foreign(textOf(item, index)));
  const face = element("div", { className: picture ? "face" : "face bare" }, ...(picture ? [picture] : []),
    element("div", {}, element("h2", {}, foreign(nameOf(index))), facts));
  const buttons = element("div", { className: "actions" },
    action("Color by distance", () => setAway(!state.away), { "aria-pressed": String(Boolean(state.away)) }),
    ...savers("neighbors", neighborTable), action("Clear", () => setFocus(-1)));
  const choice = element("div", { className: "choices" });
  if (panels.length > 1) choice.append(chooserOf("Vectors", "panel", panels.map(({ label }, panel) => [panel, label]), Number));
  choice.append(chooserOf("Metric", "metric", Object.entries(METRICS), String),
    chooserOf("Number of neighbors", "k", NEIGHBOR_CHOICES.filter((one, i) => i === 0 || one < count).map((k) => [k, k]), Number));
  const list = element("ol", { className: "ranked" });
  state.neighbors.forEach((i, rank) => list.append(element("li", {}, neighborRow(i, rank))));
  return [...(mapAlone && onMap(index) ? [] : [face]), buttons, element("h3", {}, element("span", { text: "Most similar" }), choice), list,
    element("p", { className: "hint", text: `${state.metric === "dot" ? "Dot product" : `${METRICS[state.metric]} distance`}${vectorsOf(state.panel).note}, and distance on the map.${meta.apart_m > 0 ? ` Places nearer than ${metersText(meta.apart_m)} to a better one are left out: they show much the same.` : ""}` })];
}

/** A drop-down of the ranking: `name` is what it changes in the state. */
function chooserOf(label, name, choices, read) {
  const choice = element("select", { "aria-label": label, title: label });
  for (const [value, text] of choices) choice.append(element("option", { value, text, selected: value === state[name] }));
  choice.addEventListener("change", () => setRanking({ [name]: read(choice.value) }));
  return choice;
}

function row(index, rank, right) {
  const picture = previews.lazyCanvas(index, 40);
  const who = element("span", { className: "who" }, foreign(nameOf(index)));
  if (places.name[index] !== null) who.append(element("small", { text: places.id[index], className: "id" }));
  const button = element("button", { type: "button", className: ["row", rank === null && "plainrow", !picture && "bare"].filter(Boolean).join(" ") },
    ...(rank === null ? [] : [element("b", { text: rank + 1 })]), ...(picture ? [picture] : []), who, right);
  button.dataset.place = index;
  button.addEventListener("click", () => visit(index));
  button.addEventListener("pointerenter", () => setHover(index));
  button.addEventListener("pointerleave", () => setHover(-1));
  button.addEventListener("focus", () => setHover(index));
  return button;
}

function neighborRow(index, rank) {
  const far = onMap(index) && onMap(state.focus) ? metersText(groundMeters(index, state.focus)) : "";
  return row(index, rank, element("span", { className: "far" },
    element("span", { text: distanceText(shownDistance(state.distances[rank])) }), element("small", { text: far })));
}

const distanceText = (value) => (Math.abs(value) < 100 ? value.toFixed(Math.abs(value) < 0.01 ? 4 : 3) : numberText(value, value));

function markHovered() {
  for (const button of card.querySelectorAll(".row.hot")) button.classList.remove("hot");
  if (state.hover >= 0) card.querySelector(`.row[data-place="${state.hover}"]`)?.classList.add("hot");
}

const selectedIndices = () => Array.from(state.selected.keys()).filter((i) => state.selected[i]);

/** While a selection is being drawn only the count is shown; the list follows when it is finished. */
function countSelected() {
  card.replaceChildren(selectionTitle(state.selected ? state.selected.reduce((n, flag) => n + flag, 0) : 0));
}

const selectionTitle = (n) => element("h2", { text: `${thousands(n)} of ${thousands(count)} places selected` });

function selectionCard() {
  const indices = selectedIndices();
  const list = element("ol", { className: "ranked" });
  for (const i of indices.slice(0, SELECTION_SHOWN)) {
    list.append(element("li", {}, row(i, null, element("span", { className: "far" }, foreign(valueText(i))))));
  }
  const rest = indices.length - SELECTION_SHOWN;
  return [selectionTitle(indices.length),
    element("div", { className: "actions" }, ...savers("selection", selectionTable), action("Clear", () => setSelected(null))),
    element("h3", {}, element("span", { text: "Places" })), list,
    ...(rest > 0 ? [element("p", { className: "hint", text: `and ${thousands(rest)} more` })] : [])];
}

const WORDS = {
  both: ["Each dot is a place, shown in every view. Dots that are close together in the embedding space have similar vectors; on the map they may be far apart.",
    "Hover over a dot to see the place. Click it to highlight the most similar places. Use Box or Lasso to select places in one view and see them in the others."],
  map: ["Each dot is a place. Dots with similar colors have similar vectors, however far apart they are.",
    "Hover over a dot to see the place. Click it for details and to highlight the most similar places."],
};

function firstCard() {
  const named = range(count).filter((i) => places.name[i] !== null);
  const pool = named.length ? named : range(count);
  const shown = Math.min(4, pool.length);
  const starts = Array.from({ length: shown }, (_, i) => pool[Math.floor((i + 0.5) * pool.length / shown)]);
  const chips = element("div", { className: "actions" });
  for (const i of starts) {
    const chip = action("", () => visit(i));
    chip.append(foreign(nameOf(i)));
    chips.append(chip);
  }
  chips.append(action("Surprise me", () => visit(pool[Math.floor(Math.random() * pool.length)])));
  return [element("h2", { text: "Which places are similar?" }),
    ...WORDS[mapAlone ? "map" : "both"].map((text) => element("p", { className: "facts", text })),
    element("h3", {}, element("span", { text: "Start with" })), chips];
}
