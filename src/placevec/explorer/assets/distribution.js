"use strict";
{
  const data = JSON.parse(document.getElementById("placevec-maps").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer;
  const { west, south, east, north, width, height } = data.grid;
  const NONE = 65535;
  const RAMP = [[255,255,217],[237,248,177],[199,233,180],[127,205,187],[65,182,196],[29,145,192],[34,94,168],[37,52,148],[8,29,88]];
  const color = (share) => {
    const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
    const low = Math.min(Math.floor(at), RAMP.length - 2), part = at - low;
    return RAMP[low].map((value, band) => Math.round(value + (RAMP[low + 1][band] - value) * part));
  };
  const table = Uint32Array.from({ length: 65536 }, (_, value) => {
    const [r, g, b] = color(value / 65534);
    return value === NONE ? 0 : (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  });
  const lines = data.coast.map((text) => new Float32Array(bytes(text)));
  const points = data.points === null ? null : data.points.map((text) => new Float32Array(bytes(text)));
  const number = (value) => Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
    ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  const state = { chosen: 0, x: (west + east) / 2, y: (south + north) / 2, zoom: 1, over: null, dots: true };
  const narrow = Math.max(Math.cos((south + north) / 2 * Math.PI / 180), 0.2);
  const flat = data.world ? 1 : narrow;
  const isBare = (bits, at) => (bits[at >> 3] >> (7 - (at & 7)) & 1) === 1;
  const bare = (model) => {
    if (data.bare[model] === null) return null;
    const bits = new Uint8Array(bytes(data.bare[model])), mask = document.createElement("canvas");
    mask.width = width;
    mask.height = height;
    const context = mask.getContext("2d"), image = context.createImageData(width, height);
    for (let at = 0; at < width * height; at += 1) image.data[4 * at + 3] = isBare(bits, at) ? 255 : 0;
    context.putImageData(image, 0, 0);
    return { bits, mask, layer: document.createElement("canvas") };
  };
  const stripe = document.createElement("canvas");
  stripe.width = stripe.height = 7;
  {
    const context = stripe.getContext("2d");
    context.strokeStyle = "rgba(60, 66, 72, .6)";
    context.lineWidth = 1;
    context.beginPath();
    for (const shift of [-7, 0, 7]) { context.moveTo(shift, 7); context.lineTo(shift + 7, 0); }
    context.stroke();
  }
  const panes = data.models.map((label, model) => {
    const pane = document.createElement("section");
    pane.className = "pane";
    const title = document.createElement("h2"), name = document.createElement("bdi"), readout = document.createElement("span");
    name.textContent = label;
    title.append(name, readout);
    const stage = document.createElement("div");
    stage.className = "stage";
    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.style.aspectRatio = String((east - west) * flat / (north - south));
    const canvas = document.createElement("canvas");
    stage.append(canvas);
    pane.append(title, stage);
    document.getElementById("panes").append(pane);
    return { model, stage, canvas, readout, picture: document.createElement("canvas"), values: null, shown: -1, bare: bare(model) };
  });
  document.getElementById("panes").style.setProperty("--least", panes.length > 4 ? "340px" : "460px");

  const load = (pane) => {
    if (pane.shown === state.chosen) return;
    pane.values = new Uint16Array(bytes(data.layers[state.chosen * data.models.length + pane.model]));
    pane.picture.width = width;
    pane.picture.height = height;
    const context = pane.picture.getContext("2d"), image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let at = 0; at < pixels.length; at += 1) pixels[at] = table[pane.values[at]];
    context.putImageData(image, 0, 0);
    pane.shown = state.chosen;
    pane.stage.setAttribute("aria-label", `${data.models[pane.model]}: ${data.classes[state.chosen]}`);
  };
  const valueAt = (pane, lon, lat) => {
    const column = Math.floor((lon - west) / (east - west) * width), row = Math.floor((north - lat) / (north - south) * height);
    if (column < 0 || row < 0 || column >= width || row >= height) return null;
    const found = pane.values[row * width + column];
    return found === NONE ? null : data.low + found / 65534 * (data.high - data.low);
  };
  const bareAt = (pane, lon, lat) => {
    if (!pane.bare) return false;
    const column = Math.floor((lon - west) / (east - west) * width), row = Math.floor((north - lat) / (north - south) * height);
    return column >= 0 && row >= 0 && column < width && row < height && isBare(pane.bare.bits, row * width + column);
  };
  const view = (pane) => {
    const box = pane.stage.getBoundingClientRect();
    const scale = Math.min(box.width / (east - west) / flat, box.height / (north - south)) * state.zoom;
    return { wide: box.width, high: box.height, sx: scale * flat, sy: scale, left: box.left, top: box.top };
  };
  const draw = (pane) => {
    load(pane);
    const at = view(pane), dense = window.devicePixelRatio || 1, canvas = pane.canvas;
    if (canvas.width !== Math.round(at.wide * dense) || canvas.height !== Math.round(at.high * dense)) {
      canvas.width = Math.round(at.wide * dense);
      canvas.height = Math.round(at.high * dense);
    }
    const context = canvas.getContext("2d");
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, at.wide, at.high);
    const px = (lon) => at.wide / 2 + (lon - state.x) * at.sx, py = (lat) => at.high / 2 - (lat - state.y) * at.sy;
    context.imageSmoothingEnabled = false;
    context.drawImage(pane.picture, px(west), py(north), (east - west) * at.sx, (north - south) * at.sy);
    if (pane.bare) {
      const { mask, layer } = pane.bare;
      layer.width = canvas.width;
      layer.height = canvas.height;
      const over = layer.getContext("2d");
      over.setTransform(dense, 0, 0, dense, 0, 0);
      over.imageSmoothingEnabled = false;
      over.drawImage(mask, px(west), py(north), (east - west) * at.sx, (north - south) * at.sy);
      over.globalCompositeOperation = "source-in";
      over.fillStyle = over.createPattern(stripe, "repeat");
      over.fillRect(0, 0, at.wide, at.high);
      context.drawImage(layer, 0, 0, at.wide, at.high);
    }
    context.strokeStyle = "rgba(16, 20, 23, .75)";
    context.lineWidth = 0.8;
    context.beginPath();
    for (const line of lines) {
      for (const turn of east > 180 ? [0, 360] : [0]) {
        for (let step = 0; step < line.length; step += 2) {
          const x = px(line[step] + turn), y = py(line[step + 1]);
          if (step) context.lineTo(x, y); else context.moveTo(x, y);
        }
      }
    }
    context.stroke();
    if (points && state.dots) {
      const dots = points[state.chosen];
      context.fillStyle = "#ff5a36";
      context.strokeStyle = "#fff";
      context.lineWidth = 0.6;
      for (let step = 0; step < dots.length; step += 2) {
        const lon = dots[step] < west ? dots[step] + 360 : dots[step];
        context.beginPath();
        context.arc(px(lon), py(dots[step + 1]), 2.4, 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }
    }
    let readout = "";
    if (state.over) {
      const [lon, lat] = state.over, found = valueAt(pane, lon, lat);
      context.strokeStyle = "rgba(255, 90, 54, .9)";
      context.beginPath();
      context.moveTo(px(lon) - 6, py(lat)); context.lineTo(px(lon) + 6, py(lat));
      context.moveTo(px(lon), py(lat) - 6); context.lineTo(px(lon), py(lat) + 6);
      context.stroke();
      readout = found === null ? "no value" : number(found) + (bareAt(pane, lon, lat) ? " (no training point near)" : "");
    }
    pane.readout.textContent = readout;
  };
  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      panes.forEach(draw);
      const over = state.over;
      document.getElementById("readout").textContent = over
        ? `lon ${((over[0] + 540) % 360 - 180).toFixed(2)}, lat ${over[1].toFixed(2)}` : "";
    });
  };
  const clamp = () => {
    state.zoom = Math.min(Math.max(state.zoom, 1), 64);
    const spareX = (east - west) / 2 * (1 - 1 / state.zoom), spareY = (north - south) / 2 * (1 - 1 / state.zoom);
    const midX = (west + east) / 2, midY = (south + north) / 2;
    state.x = Math.min(Math.max(state.x, midX - spareX), midX + spareX);
    state.y = Math.min(Math.max(state.y, midY - spareY), midY + spareY);
    later();
  };
  const place = (pane, event) => {
    const at = view(pane);
    return [state.x + (event.clientX - at.left - at.wide / 2) / at.sx, state.y - (event.clientY - at.top - at.high / 2) / at.sy];
  };
  const zoomAt = (factor, [lon, lat]) => {
    const before = state.zoom;
    state.zoom = Math.min(Math.max(state.zoom * factor, 1), 64);
    const part = before / state.zoom;
    state.x = lon + (state.x - lon) * part;
    state.y = lat + (state.y - lat) * part;
    clamp();
  };
  const whole = () => { state.zoom = 1; clamp(); };
  for (const pane of panes) {
    let held = null;
    pane.stage.addEventListener("pointerdown", (event) => {
      held = [event.clientX, event.clientY];
      pane.stage.setPointerCapture(event.pointerId);
    });
    pane.stage.addEventListener("pointermove", (event) => {
      if (held) {
        const at = view(pane);
        state.x -= (event.clientX - held[0]) / at.sx;
        state.y += (event.clientY - held[1]) / at.sy;
        held = [event.clientX, event.clientY];
        clamp();
      }
      state.over = place(pane, event);
      later();
    });
    for (const end of ["pointerup", "pointercancel"]) pane.stage.addEventListener(end, () => { held = null; });
    pane.stage.addEventListener("pointerleave", () => { state.over = null; later(); });
    pane.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY * 0.0015), place(pane, event));
    }, { passive: false });
    pane.stage.addEventListener("keydown", (event) => {
      const step = (east - west) / state.zoom / 12;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      if (moves[event.key]) { state.x += moves[event.key][0]; state.y += moves[event.key][1]; clamp(); }
      else if (event.key === "+" || event.key === "=") zoomAt(1.4, [state.x, state.y]);
      else if (event.key === "-") zoomAt(1 / 1.4, [state.x, state.y]);
      else if (event.key === "0") whole();
      else return;
      event.preventDefault();
    });
  }
  const chooser = document.getElementById("class");
  data.classes.forEach((name, position) => {
    const option = document.createElement("option");
    option.value = String(position);
    option.textContent = name;
    chooser.append(option);
  });
  chooser.addEventListener("change", () => { state.chosen = Number(chooser.value); later(); });
  document.getElementById("choice").hidden = data.classes.length < 2;
  document.getElementById("whole").addEventListener("click", whole);
  const button = document.getElementById("dots");
  button.hidden = points === null;
  button.addEventListener("click", () => {
    state.dots = !state.dots;
    button.setAttribute("aria-pressed", String(state.dots));
    later();
  });
  document.getElementById("low").textContent = number(data.low);
  document.getElementById("high").textContent = number(data.high);
  document.getElementById("meaning").textContent = [data.meaning, data.hatched].filter(Boolean).join(". ");
  const ramp = document.getElementById("ramp").getContext("2d");
  for (let at = 0; at < 256; at += 1) { ramp.fillStyle = `rgb(${color(at / 255).join(",")})`; ramp.fillRect(at, 0, 1, 1); }
  addEventListener("resize", later);
  window.placevecMaps = { state, valueAt: (model, lon, lat) => { load(panes[model]); return valueAt(panes[model], lon, lat); } };
  later();
}
