// The tooltip: a place's thumbnail, name and values. Text only.

const TIP_PX = 196;
const tip = document.getElementById("tip");

function showTip(index, x, y) {
  const shown = `${index} ${activeColoring().key} ${state.focus} ${state.metric}`;
  if (tip.hidden || tip.dataset.shown !== shown) {
    const picture = previews.canvas(index, TIP_PX);
    tip.replaceChildren(...(picture ? [picture] : []), tipText(index));
    tip.dataset.shown = shown;
    tip.hidden = false;
  }
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = x + 18 + width > innerWidth - 8 ? x - 18 - width : x + 18;
  const top = Math.max(8, Math.min(y - height / 3, innerHeight - height - 8));
  tip.style.transform = `translate(${Math.max(8, left)}px, ${top}px)`;
}

function tipText(index) {
  const words = element("div", {}, element("strong", {}, foreign(nameOf(index))));
  const lines = places.name[index] === null ? [] : [element("span", { text: places.id[index], className: "id" })];
  lines.push(coordinates(index), element("span", { text: `${activeColoring().label}: ` }, foreign(valueText(index))));
  if (state.focus >= 0 && state.focus !== index) {
    const rank = state.neighbors.indexOf(index);
    lines.push(rank >= 0 ? `number ${rank + 1} among the most similar` : "not among the most similar");
  }
  lines.forEach((line, i) => words.append(...(i ? [element("br")] : []), line));
  return words;
}

function hideTip() { tip.hidden = true; }

function coordinates(index) {
  if (!Number.isFinite(places.lon[index])) return "no coordinates";
  const [lon, lat] = [places.lon[index], places.lat[index]];
  return `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? "W" : "E"}`;
}
