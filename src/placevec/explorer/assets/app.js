// In the app the page is one element of a screen: it shows what the app finds, and says what the user selects.
// It speaks with the window around it, and nobody else. Static and served pages do not contain this.

const shownByApp = { space: null, colorings: null, results: null, applying: false, said: "" };

function tellApp(type, content) {
  parent.postMessage({ isStreamlitMessage: true, type: `streamlit:${type}`, ...content }, location.origin);
}

function connectApp() {
  document.body.dataset.home = "app";
  addEventListener("message", (event) => {
    if (event.source !== parent || event.data?.type !== "streamlit:render") return;
    if (event.data.theme?.base && !document.documentElement.dataset.theme) {
      document.documentElement.dataset.theme = event.data.theme.base;
      repaint();
    }
    showFromApp(event.data.args);
  });
  onChange((kind) => { if (kind === "emphasis" && !shownByApp.applying) sayToApp(); });
  map.stage.addEventListener("click", (event) => {
    if (!shownByApp.picks || map.gestures.moved) return;
    const box = map.stage.getBoundingClientRect();
    sayToApp(lonLatAt(event.clientX - box.left, event.clientY - box.top));
  });
  tellApp("componentReady", { apiVersion: 1 });
}

/** [lon, lat] in degrees of a point of the map, CSS pixels. */
function lonLatAt(x, y) {
  const radius = 6378137, east = map.center[0] + (x - map.width / 2) / map.scale + meta.origin[0];
  const north = map.center[1] - (y - map.height / 2) / map.scale + meta.origin[1];
  const lon = (east / radius) * (180 / Math.PI);
  return [((lon + 540) % 360) - 180, Math.atan(Math.sinh(north / radius)) * (180 / Math.PI)];
}

/** Say what is selected, once. */
function sayToApp(point = null) {
  const value = { focus: state.focus < 0 ? null : places.id[state.focus], selected: state.selected ? idsOf(selectedIndices()) : [], point };
  const text = JSON.stringify(value);
  if (text === shownByApp.said) return;
  shownByApp.said = text;
  tellApp("setComponentValue", { value: { ...value, at: Date.now() }, dataType: "json" });
}

function showFromApp({ height, space, colorings, results, picks, dim }) {
  tellApp("setFrameHeight", { height });
  document.body.dataset.results = String(Boolean(results));
  shownByApp.picks = picks;
  shownByApp.applying = true;
  if (space && space.key !== shownByApp.space) { shownByApp.space = space.key; projector.show(readSpace(space)); }
  if (dim) setMode(dim === 3 ? "3d" : "2d");
  if (colorings && colorings.key !== shownByApp.colorings) { shownByApp.colorings = colorings.key; offerColorings(colorings.items); }
  if (results && results.key !== shownByApp.results) { shownByApp.results = results.key; showResults(results); }
  shownByApp.applying = false;
}

/** Colorings of the app, which replace its earlier ones of the same key; the first is shown. */
function offerColorings(items) {
  for (const item of items) {
    readColoring(item);
    const at = page.colorings.findIndex((one) => one.key === item.key);
    if (at >= 0) page.colorings[at] = item;
    else {
      page.colorings.push(item);
      chooser.insertBefore(element("option", { value: item.key, text: item.label }), chooser.options[page.colorings.length - 1]);
    }
  }
  delete legend.dataset.key;
  if (items.length) setColoring(items[0].key);
}

/** Put places that the sample lacks into the slots after it; their positions in the space are those of its components. */
function placeBeyond({ ids, names, lon, lat, components }) {
  const [radius, rad] = [6378137, Math.PI / 180], world = 2 * Math.PI * radius, at = array(components, Float32Array);
  for (let n = 0; n < page.beyond; n++) {
    const i = count + n, known = n < ids.length && lon[n] !== null && Math.abs(lat[n]) < 85.05, east = known ? radius * lon[n] * rad - meta.origin[0] : NaN;
    [places.id[i], places.name[i]] = n < ids.length ? [ids[n], names[n]] : ["", null];
    [places.lon[i], places.lat[i]] = [lon[n] ?? NaN, lat[n] ?? NaN];
    places.east[i] = east - world * Math.round(east / world);
    places.north[i] = known ? radius * Math.asinh(Math.tan(lat[n] * rad)) - meta.origin[1] : NaN;
    for (let c = 0; c < 3; c++) projector.component[3 * i + c] = n < ids.length ? at[3 * n + c] : NaN;
  }
  panes.forEach((pane) => pane.redraw("camera"));
}

/** The places that the app found, nearest first, and the place that was asked for. */
function showResults({ query, ids, distances, beyond }) {
  if (page.beyond) placeBeyond(beyond);
  const indexOf = new Map(places.id.map((id, index) => [id, index]));
  const known = ids.map((id, rank) => [indexOf.get(id) ?? -1, distances[rank]]).filter(([index]) => index >= 0);
  state.focus = query === null ? -1 : indexOf.get(query) ?? -1;
  state.selected = null;
  state.away = null;
  state.neighbors = Int32Array.from(known, ([index]) => index);
  state.distances = Float64Array.from(known, ([, distance]) => distance);
  changed("emphasis");
  changed("color");
}
