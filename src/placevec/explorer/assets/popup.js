// Map layout only: a popup with the details of the selected place. Text only.

const POPUP_PX = 112;
const popup = document.getElementById("popup");

/** Show the popup at the current position of the selected place, or hide it. */
function placePopup(pane) {
  const index = state.focus;
  if (!mapAlone || index < 0 || !onMap(index)) { popup.hidden = true; return; }
  const [x, y] = [pane.x[index] / pane.ratio, pane.y[index] / pane.ratio];
  popup.hidden = !(x >= 0 && y >= 0 && x <= pane.width && y <= pane.height);
  if (popup.hidden) return;
  const shown = `${index} ${isDark()}`;
  if (popup.dataset.shown !== shown) fillPopup(index);
  popup.dataset.shown = shown;
  const { offsetWidth: width, offsetHeight: height } = popup;
  const left = Math.max(6, Math.min(x - width / 2, pane.width - width - 6));
  const above = y - height - 16 >= 6;
  const top = above ? y - height - 16 : Math.min(y + 16, pane.height - height - 6);
  popup.style.transform = `translate(${left}px, ${Math.max(6, top)}px)`;
}

function fillPopup(index) {
  const close = action("×", () => setFocus(-1), { "aria-label": "Close", className: "close" });
  const words = element("div", {}, element("strong", {}, foreign(nameOf(index))));
  if (places.name[index] !== null) words.append(element("code", { text: places.id[index], className: "id" }));
  words.append(element("span", { text: coordinates(index) }));
  const picture = previews.canvas(index, POPUP_PX, "picture");
  const known = element("dl");
  for (const item of page.colorings) {
    const swatch = element("i");
    swatch.style.background = swatchOf(item, index);
    known.append(element("dt", {}, foreign(item.label)), element("dd", {}, swatch, foreign(textOf(item, index))));
  }
  popup.replaceChildren(close, element("div", { className: picture ? "face" : "face bare" }, ...(picture ? [picture] : []), words), known);
}

function swatchOf(item, index) {
  if (item.kind === "category") return `#${categoryHex(item.categories[item.codes[index]])}`;
  if (item.kind === "rgb") return hexText(rgbOf(item, index));
  const value = item.values[index];
  return Number.isFinite(value) ? `rgb(${paintOf(item, shareOf(item, value)).join()})` : `#${NO_VALUE[isDark() ? "dark" : "light"]}`;
}
