// The legend of the active coloring: categories with counts, which can be filtered, or a color ramp with a histogram.

const legend = document.getElementById("legend");
const chooser = document.getElementById("coloring");

function buildChooser() {
  for (const item of page.colorings) chooser.append(element("option", { value: item.key, text: item.label }));
  chooser.append(element("option", { value: "words", text: "Similarity to words", hidden: true, disabled: true }));
  chooser.append(element("option", { value: "distance", text: "Distance to the selected place", disabled: true }));
  chooser.addEventListener("change", () => {
    if (chooser.value === "distance") setAway(true);
    else if (chooser.value === "words") setWords(state.words);
    else setColoring(chooser.value);
  });
  onChange((kind) => {
    if (kind !== "emphasis" && kind !== "brush" && kind !== "color") return;
    chooser.lastElementChild.disabled = state.focus < 0;
    const words = chooser.lastElementChild.previousElementSibling;
    words.hidden = words.disabled = !state.words;
    words.textContent = state.words ? state.words.coloring.label : "";
    chooser.value = activeColoring().key;
    drawLegend();
  });
  chooser.value = state.coloring.key;
  drawLegend();
}

function drawLegend() {
  const item = activeColoring();
  if (item.kind === "category") drawKinds(item);
  else if (item.kind === "rgb") drawChannels(item);
  else drawRamp(item);
}

/** Rows are created once per coloring and then only updated, so that a row keeps the keyboard focus. */
function drawKinds(item) {
  const selected = state.selected ? tally(item.codes, item.categories.length) : null;
  if (legend.dataset.key !== item.key) {
    const list = element("ul", { className: "kinds" });
    item.categories.forEach((category, code) => {
      const button = element("button", { type: "button", title: `${category.label}: show only this category; click others to add them` },
        element("i"), foreign(category.label), element("em"));
      button.addEventListener("click", () => toggleIsolated(code));
      list.append(element("li", {}, button));
    });
    legend.replaceChildren(list);
    if (item.note) legend.append(element("p", { className: "hint", text: item.note }));
    legend.dataset.key = item.key;
  }
  const list = legend.firstElementChild;
  list.classList.toggle("some", state.isolated.size > 0);
  item.categories.forEach((category, code) => {
    const button = list.children[code].firstElementChild;
    const [swatch, , number] = button.children;
    swatch.style.background = `#${categoryHex(category)}`;
    number.textContent = selected ? `${thousands(selected[code])} / ${thousands(category.count)}` : thousands(category.count);
    button.setAttribute("aria-pressed", state.isolated.has(code));
  });
}

function tally(codes, kinds) {
  const totals = new Array(kinds).fill(0);
  for (let i = 0; i < count; i++) if (state.selected[i]) totals[codes[i]]++;
  return totals;
}

/** The component of each color channel. */
function drawChannels(item) {
  const list = element("ul", { className: "kinds channels" });
  ["ff0000", "00ff00", "0000ff"].forEach((color, c) => {
    const swatch = element("i");
    swatch.style.background = `linear-gradient(90deg, #000, #${color})`;
    list.append(element("li", {}, swatch, element("span", { text: item.axes[c] ?? "" })));
  });
  legend.replaceChildren(list, element("p", { className: "hint", text: item.note }));
  legend.dataset.key = item.key;
}

const BARS = 40;

function drawRamp(item) {
  const canvas = element("canvas", { width: 600, height: 88 });
  const span = item.maximum - item.minimum;
  const ends = element("div", {},
    element("span", { text: (item.low > item.minimum ? "≤ " : "") + numberText(item.low, span) }),
    element("span", { text: item.unit ?? "" }),
    element("span", { text: (item.high < item.maximum ? "≥ " : "") + numberText(item.high, span) }));
  const ramp = element("div", { className: "ramp" }, canvas, ends);
  const missing = item.values.reduce((n, value) => n + !Number.isFinite(value), 0);
  if (missing) ramp.append(element("p", { text: `${thousands(missing)} without a value, in gray` }));
  if (item.note) ramp.append(element("p", { text: item.note }));
  legend.replaceChildren(ramp);
  legend.dataset.key = item.key;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Histogram of ${item.label}`);
  const bars = new Array(BARS).fill(0);
  for (let i = 0; i < count; i++) {
    const value = item.values[i];
    if (!Number.isFinite(value) || (state.selected && !state.selected[i])) continue;
    bars[Math.round(Math.min(1, Math.max(0, shareOf(item, value))) * (BARS - 1))]++;
  }
  const most = Math.max(1, ...bars), context = canvas.getContext("2d");
  bars.forEach((n, i) => {
    context.fillStyle = `rgb(${paintOf(item, i / (BARS - 1)).join()})`;
    const height = n ? Math.max(3, Math.sqrt(n / most) * 66) : 0;
    context.fillRect(i * 15, 70 - height, 14, height);
    context.fillRect(i * 15, 74, 15.5, 14);
  });
}
