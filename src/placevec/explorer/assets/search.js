// Searching places by name, ID or coordinates: substring matches, best first, with an option to select all.

const SHOWN = 12;

function buildSearch() {
  const input = document.getElementById("search"), list = document.getElementById("found");
  let keys = null, matches = [], chosen = -1, none = "";

  function find() {
    const text = input.value.trim().toLowerCase();
    keys ??= places.id.map((id, i) => `${(places.name[i] ?? "").toLowerCase()}\n${id.toLowerCase()}`);
    matches = [];
    none = "No matching name or ID; coordinates are lon, lat";
    const point = pointOf(text);
    if (point) matches = nearestTo(...point);
    else if (text) for (let i = 0; i < count; i++) if (keys[i].includes(text)) matches.push(i);
    const rank = (i) => (keys[i] === `${text}\n` || places.id[i].toLowerCase() === text ? 0 : keys[i].startsWith(text) ? 1 : 2);
    if (!point) matches = matches.map((i) => [rank(i), i]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, i]) => i);
    chosen = matches.length ? 0 : -1;
    draw();
  }

  /** [lon, lat] of a text such as "24.94, 60.17"; null if it is none. */
  function pointOf(text) {
    const found = /^(-?\d+(?:\.\d+)?)\s*[,; ]\s*(-?\d+(?:\.\d+)?)$/.exec(text);
    const [lon, lat] = found ? [Number(found[1]), Number(found[2])] : [NaN, NaN];
    return Math.abs(lon) <= 360 && Math.abs(lat) <= 90 ? [lon, lat] : null;
  }

  /** The place nearest to a point, as the only match; none where the point is outside of the places. */
  function nearestTo(lon, lat) {
    let best = -1, least = Infinity;
    for (let i = 0; i < count; i++) {
      const far = metersBetween(places.lon[i], places.lat[i], lon, lat);
      if (far < least) [best, least] = [i, far];
    }
    if (best >= 0 && least > meta.apart_m + 6 * map.groundSpacing()) {
      none = `No place is there: the nearest, ${nameOf(best)}, is ${metersText(least)} away`;
      return [];
    }
    return best < 0 ? [] : [best];
  }

  function draw() {
    const options = matches.slice(0, SHOWN).map((i, at) => option(at, [foreign(nameOf(i)),
      element("span", { className: "id", text: places.name[i] === null ? "" : places.id[i] })]));
    if (matches.length > 1) options.push(option(options.length, [element("strong", { text: `Select all ${thousands(matches.length)} matches` }), ""]));
    if (!matches.length && input.value.trim()) options.push(element("li", { className: "none", text: none }));
    list.replaceChildren(...options);
    list.hidden = !options.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark();
  }

  function option(at, children) {
    const node = element("li", { role: "option", id: `found-${at}` }, ...children);
    node.addEventListener("pointerdown", (event) => { event.preventDefault(); chosen = at; take(); });
    return node;
  }

  function mark() {
    [...list.children].forEach((node, at) => node.setAttribute("aria-selected", String(at === chosen)));
    if (chosen >= 0) input.setAttribute("aria-activedescendant", `found-${chosen}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
  }

  function take() {
    if (chosen < 0) return;
    if (chosen < Math.min(SHOWN, matches.length)) visit(matches[chosen]);
    else {
      const mask = new Uint8Array(count);
      for (const i of matches) mask[i] = 1;
      setFocus(-1);
      setSelected(mask);
    }
    close();
    input.blur();
  }

  input.addEventListener("input", find);
  input.addEventListener("focus", () => { if (input.value) find(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const options = list.querySelectorAll("[role=option]").length;
    if (event.key === "ArrowDown" && options) chosen = (chosen + 1) % options;
    else if (event.key === "ArrowUp" && options) chosen = (chosen + options - 1) % options;
    else if (event.key === "Enter") { take(); return; } else if (event.key === "Escape") { input.value = ""; close(); input.blur(); event.stopPropagation(); return; } else return;
    event.preventDefault();
    mark();
  });
  return input;
}
