// What is shown beside the pointer: the place's picture, name and numbers. Text only.

const tip = document.getElementById("tip");

function showTip(index, x, y) {
  if (tip.dataset.place !== String(index) || tip.dataset.colouring !== activeColouring().key || tip.hidden) {
    const picture = previews.canvas(index, 196, "shot");
    const lines = [];
    if (places.name[index] !== null) lines.push(element("div", { text: places.id[index], className: "id" }));
    const words = element("div", {}, foreign(nameOf(index), { className: "name" }));
    words.firstChild.replaceWith(element("strong", {}, foreign(nameOf(index))));
    if (places.name[index] !== null) words.append(element("span", { text: places.id[index], className: "id" }), element("br"));
    words.append(coordinates(index), element("br"), `${activeColouring().label}: `, foreign(valueText(index)));
    if (state.focus >= 0 && state.focus !== index) {
      const rank = state.neighbours.indexOf(index);
      words.append(element("br"), rank >= 0 ? `neighbour ${rank + 1} of the chosen place` : "not among its neighbours");
    }
    tip.replaceChildren(...(picture ? [picture] : []), words);
    tip.dataset.place = index;
    tip.dataset.colouring = activeColouring().key;
    tip.hidden = false;
  }
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = x + 18 + width > innerWidth - 8 ? x - 18 - width : x + 18;
  const top = Math.max(8, Math.min(y - height / 3, innerHeight - height - 8));
  tip.style.transform = `translate(${Math.max(8, left)}px, ${top}px)`;
}

function hideTip() { tip.hidden = true; }

function coordinates(index) {
  if (!Number.isFinite(places.lon[index])) return "no coordinates";
  const [lon, lat] = [places.lon[index], places.lat[index]];
  return `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? "W" : "E"}`;
}
