// The panels of the page: one embedding space for each table or view, the buttons of its projections, and how they share
// the window with the map.

/** Make a section for every panel from the first one; returns their ids. */
function buildPanels() {
  const first = document.getElementById("projector"), place = first.parentElement;
  place.dataset.panels = panels.length;
  panels.forEach(({ label }, panel) => {
    const section = panel ? first.cloneNode(true) : first;
    if (panel) { section.id = `projector-${panel}`; place.append(section); }
    if (panels.length > 1) section.querySelector(".label strong").replaceChildren(foreign(label));
    const choice = section.querySelector(".spaces"), { spaces } = panels[panel];
    choice.hidden = spaces.length < 2;
    choice.replaceChildren(...spaces.map(({ key, label: name }) =>
      element("button", { type: "button", role: "radio", "data-space": key, text: name, title: `${name} (P)` })));
  });
  return [...place.children].map((section) => section.id);
}

/** Show the next projection. */
function nextSpace() {
  const keys = panels[0].spaces.map(({ key }) => key);
  setSpace(keys[(keys.indexOf(state.space) + 1) % keys.length]);
}

/** Side by side, or one above the other where the map is then clearly larger. */
function arrange(map) {
  const main = document.querySelector("main"), [west, south, east, north] = map.box;
  const width = main.clientWidth - 328, height = main.clientHeight;
  const sizeIn = (w, h) => Math.min((w - 40) / Math.max(east - west, 50), (h - 40) / Math.max(north - south, 50));
  main.dataset.flow = sizeIn(width, height / 2) > 1.25 * sizeIn(width / 2, height) ? "rows" : "columns";
}
