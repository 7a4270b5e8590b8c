// Selection tools: the shape drawn so far, and which device pixels lie inside it.

/** Test for a box given by its first and last corner (CSS pixels). */
function inBox(path, ratio) {
  const [a, b] = [path[0], path[path.length - 1]];
  const [west, east] = [Math.min(a[0], b[0]) * ratio, Math.max(a[0], b[0]) * ratio];
  const [north, south] = [Math.min(a[1], b[1]) * ratio, Math.max(a[1], b[1]) * ratio];
  return (x, y) => x >= west && x <= east && y >= north && y <= south;
}

/** Test for a closed polygon, even-odd rule. */
function inPolygon(path, ratio) {
  const px = path.map(([x]) => x * ratio), py = path.map(([, y]) => y * ratio);
  const [west, east, north, south] = [Math.min(...px), Math.max(...px), Math.min(...py), Math.max(...py)];
  return (x, y) => {
    if (!(x >= west && x <= east && y >= north && y <= south)) return false;
    let inside = false;
    for (let i = 0, j = px.length - 1; i < px.length; j = i++) {
      if (py[i] > y !== py[j] > y && x < (px[j] - px[i]) * (y - py[i]) / (py[j] - py[i]) + px[i]) inside = !inside;
    }
    return inside;
  };
}

function drawBrush(context, { kind, path }, accent) {
  context.beginPath();
  if (kind === "box") {
    const [a, b] = [path[0], path[path.length - 1]];
    context.rect(a[0], a[1], b[0] - a[0], b[1] - a[1]);
  } else {
    path.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
  }
  context.fillStyle = css("--accent-soft");
  context.fill();
  context.setLineDash([5, 4]);
  context.lineWidth = 1.5;
  context.strokeStyle = accent;
  context.stroke();
  context.setLineDash([]);
}
