// Input of one pane: pointer, wheel and key events become move, rotate, zoom, hover, click and select.

const STILL = 5; // CSS pixels a press may move and still count as a click
const LASSO_STEP = 3; // CSS pixels between the corners of a lasso
const KEY_STEP = 60;

class Gestures {
  constructor(pane) {
    this.pane = pane;
    this.pointers = new Map();
    const stage = pane.stage;
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => this.up(event));
    stage.addEventListener("pointerleave", () => { if (!this.pointers.size) { setHover(-1); hideTip(); } });
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => { if (state.tool === "move") pane.zoomAt(...this.at(event), event.shiftKey ? 0.5 : 2); });
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("blur", () => { pane.crossed = false; pane.redraw("marks"); });
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  at(event) {
    const box = this.pane.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    const { pane } = this;
    const at = this.at(event);
    if (event.button > 0) return;
    pane.stage.setPointerCapture(event.pointerId);
    pane.crossed = false;
    this.pointers.set(event.pointerId, at);
    hideTip();
    if (this.pointers.size > 1) {
      this.moved = true;
      pane.brush = null;
      return;
    }
    this.start = at;
    this.moved = false;
    const kind = event.shiftKey ? "box" : event.altKey ? "lasso" : state.tool;
    this.kept = event.ctrlKey || event.metaKey ? state.selected : null;
    this.kind = kind;
  }

  move(event) {
    const { pane, pointers } = this;
    const at = this.at(event), before = pointers.get(event.pointerId);
    if (!before) return this.point(event, at);
    if (pointers.size === 2) this.pinch(event.pointerId, at);
    pointers.set(event.pointerId, at);
    if (pointers.size > 1) return undefined;
    if (!this.moved && Math.hypot(at[0] - this.start[0], at[1] - this.start[1]) < STILL) {
      pointers.set(event.pointerId, before);
      return undefined;
    }
    this.moved = true;
    if (this.kind === "move") {
      pane.stage.classList.add("held");
      pane.drag(at[0] - before[0], at[1] - before[1], event.buttons === 1);
    } else this.stroke(at);
    return undefined;
  }

  stroke(at) {
    const { pane } = this;
    if (!pane.brush) pane.brush = { kind: this.kind, path: [this.start] };
    const { path } = pane.brush, last = path[path.length - 1];
    if (this.kind === "box") pane.brush.path = [this.start, at];
    else if (Math.hypot(at[0] - last[0], at[1] - last[1]) >= LASSO_STEP) path.push(at);
    if (pane.brush.path.length > 1) pane.applyBrush(this.kept);
    pane.redraw("marks");
  }

  pinch(id, at) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, value]) => value);
    const before = this.pointers.get(id);
    const spread = (a) => Math.max(8, Math.hypot(a[0] - other[0], a[1] - other[1]));
    const middle = [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
    this.pane.zoomAt(...middle, spread(at) / spread(before));
    this.pane.drag((at[0] - before[0]) / 2, (at[1] - before[1]) / 2, false);
  }

  up(event) {
    const { pane } = this;
    if (!this.pointers.delete(event.pointerId)) return;
    pane.stage.classList.remove("held");
    if (this.pointers.size) return;
    const brushed = pane.brush;
    pane.brush = null;
    pane.redraw("marks");
    if (brushed) changed("emphasis");
    if (event.type === "pointercancel" || brushed) return;
    if (!this.moved) {
      const index = pane.pick(...this.at(event), event.pointerType === "touch" ? 26 : PICK_RADIUS);
      setFocus(index, pane.panel);
      if (index < 0 && this.kind !== "move") setSelected(null);
    }
  }

  point(event, at) {
    if (event.pointerType === "touch") return;
    const { pane } = this;
    const index = pane.pick(...at);
    pane.stage.classList.toggle("over", index >= 0);
    setHover(index);
    if (index < 0) hideTip();
    else showTip(index, event.clientX, event.clientY);
  }

  wheel(event) {
    event.preventDefault();
    hideTip();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const rate = event.ctrlKey ? 0.01 : 0.0016;
    this.pane.zoomAt(...this.at(event), Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * rate));
  }

  key(event) {
    const { pane } = this;
    const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) pane.drag(step[0] * KEY_STEP, step[1] * KEY_STEP, true);
    else if (event.key === "+" || event.key === "=") pane.press("in");
    else if (event.key === "-") pane.press("out");
    else if (event.key === "0") pane.press("fit");
    else if (event.key === "Enter" || event.key === " ") setFocus(pane.pick(pane.width / 2, pane.height / 2, 60), pane.panel);
    else return;
    event.preventDefault();
    pane.crossed = true;
    pane.draw();
    setHover(pane.pick(pane.width / 2, pane.height / 2, 60));
    pane.redraw("marks");
  }
}
