
// The time axis: a lane per service and per worker slot, charts below each stack.

const axis = {
  from: 0, to: 1, rows: [], height: 0, width: 0, folded: new Map(), selected: null, cursor: null,
};
const ROW = 20;
const GROUP = 24;
const CHART = 58;
const RULER = 26;
const OVERVIEW = 40;
const LEAST_US = 200;

/** Whether a lane runs on a stack; a stack of a share is called as the share is. */
const isOn = (lane, stack) => lane.profile === stack.n || (lane.profile && stack.n.startsWith(`${lane.profile}.`) && /^\d+$/.test(stack.n.slice(lane.profile.length + 1)));

/** The rows in groups: what comes before everything, each stack with its tests and figures, the tests without a stack. */
function groups() {
  const all = [];
  const before = run.images.map((image) => ({ kind: "track", label: image.n, track: image, what: "image" }));
  if (run.planned) {
    const plan = { n: "run", s: [[7, 0, run.planned, ""]], m: run.moments };
    before.unshift({ kind: "track", label: plan.n, track: plan, what: "run" });
  }
  if (before.length) all.push({ label: "Preparation", aside: "", rows: before, key: "before" });
  const placed = new Set();
  for (const stack of run.stacks) {
    const rows = stack.v.map((service) => ({ kind: "track", label: service.n, track: service, what: "service", stack: stack.n }));
    run.lanes.forEach((lane, index) => {
      if (!placed.has(index) && isOn(lane, stack)) { placed.add(index); rows.push(...slotRows(lane, index)); }
    });
    rows.push(...charts(stack.n));
    all.push({ label: stack.n, aside: "stack", track: stack, rows, key: `stack ${stack.n}` });
  }
  const alone = run.lanes.flatMap((lane, index) => (placed.has(index) ? [] : slotRows(lane, index)));
  if (alone.length) all.push({ label: "Tests without a stack", aside: "", rows: alone, key: "alone" });
  const known = new Set(run.stacks.map((stack) => stack.n));
  const others = [...new Set(run.series.map((series) => series.stack))].filter((stack) => !known.has(stack));
  for (const stack of others) all.push({ label: stack || "Figures", aside: "", rows: charts(stack), key: `figures ${stack}` });
  return all;
}

function slotRows(lane, index) {
  return run.slots[index].map((cases, slot) => ({
    kind: "slot", lane, index, slot, cases, track: lane,
    label: lane.slots > 1 ? `${lane.n} · ${slot + 1}` : lane.n,
    red: cases.some((at) => isRed(run.outcome[at])),
  }));
}

/** A chart for each figure of a stack, with a line for each service. */
function charts(stack) {
  const figures = new Map();
  for (const series of run.series.filter((one) => one.stack === stack)) {
    if (!figures.has(series.figure)) figures.set(series.figure, []);
    figures.get(series.figure).push(series);
  }
  const rank = (name) => (name === "cpu" ? 0 : name === "memory" ? 1 : 2);
  return [...figures].sort(([a], [b]) => rank(a) - rank(b)).map(([name, lines]) => {
    const most = lines.reduce((all, line) => line.v.reduce((a, b) => Math.max(a, b), all), 0);
    return { kind: "chart", label: name, lines, most: most || 1, unit: lines[0].unit };
  });
}

const isTroubled = (group) => group.rows.some((row) => row.red || (row.track?.m ?? []).some(([kind]) => kind === 2 || kind === 5))
  || (group.track?.m ?? []).some(([kind]) => kind === 5);

function layOut() {
  const all = groups();
  if (axis.folded.size === 0) {
    const many = all.reduce((sum, group) => sum + 1 + group.rows.length, 0) > 34;
    const first = all.find((group) => group.track);
    for (const group of all) axis.folded.set(group.key, many && group !== first && !isTroubled(group));
  }
  axis.groups = all;
  axis.rows = [];
  let y = 0;
  const put = (row, height) => { axis.rows.push({ ...row, y, height }); y += height; };
  for (const group of all) {
    const folded = axis.folded.get(group.key);
    put({ kind: "group", group, folded, label: group.label, track: group.track, stack: group.label }, GROUP);
    if (!folded) for (const row of group.rows) put(row, row.kind === "chart" ? CHART : ROW);
  }
  axis.height = y;
  axis.labels.replaceChildren(...axis.rows.map(label));
  resize();
}

function label(row) {
  if (row.kind === "group") {
    const fold = () => { axis.folded.set(row.group.key, !row.folded); layOut(); };
    const node = el("button", { type: "button", class: `label${isTroubled(row.group) ? " red" : ""}`, "aria-expanded": String(!row.folded), onclick: fold, title: row.label },
      el("span", { text: row.label }), el("span", { class: "aside", text: row.group.aside }));
    node.style.height = `${row.height}px`;
    return node;
  }
  const node = el("div", { class: `label${row.red ? " red" : ""}${row.kind === "chart" ? " figure" : ""}`, title: row.label }, el("span", { text: row.label }));
  if (row.kind === "chart") {
    const keys = row.lines.slice(0, 6).map((line, at) => {
      const mark = el("i");
      mark.style.background = colours.lines[at % colours.lines.length];
      return el("span", {}, mark, line.service);
    });
    node.append(el("div", { class: "keys" }, keys));
  }
  node.style.height = `${row.height}px`;
  return node;
}

function buildAxis(section) {
  const button = (text, title, act) => el("button", { type: "button", class: "button small", title, "aria-label": title, onclick: act, text });
  axis.range = el("span", { class: "hint push" });
  axis.overview = el("canvas", { "aria-hidden": "true" });
  axis.ruler = el("canvas", { "aria-hidden": "true" });
  axis.canvas = el("canvas", {
    tabindex: "0", role: "img",
    "aria-label": "Time axis of the run. Arrow keys move it, plus and minus zoom, zero shows all. The table of cases has the same in words.",
  });
  axis.labels = el("div", { class: "labels" });
  axis.plot = el("div", { class: "plot" }, axis.canvas);
  axis.lanes = el("div", { class: "lanes" }, axis.labels, axis.plot);
  const states = [["prepare", "prepare"], ["create", "create"], ["start", "start and probe"], ["ready", "ready"], ["down", "down"], ["again", "up again"],
    ["stop", "stop"], ["tool", "tool starts, collects"], ["passed", "passed"], ["failed", "red"], ["skipped", "skipped"]];
  section.append(
    el("div", { class: "tools" }, el("h2", { text: "Time axis" }),
      button("−", "Zoom out (−)", () => zoom(2)), button("+", "Zoom in (+)", () => zoom(0.5)), button("Fit", "Show all (0)", fit),
      button("Tests", "Show from the first case to the last", showTests),
      button("Fold", "Fold or unfold all groups", foldAll), axis.range),
    el("div", { class: "axis" },
      el("div", { class: "over" }, el("div", { text: "whole run" }), axis.overview),
      el("div", { class: "head" }, el("div", {}), axis.ruler),
      axis.lanes,
      el("div", { class: "states" }, states.map(([name, word]) => el("span", { class: name === "passed" ? "cases" : name, text: word })),
        el("span", { class: "hint", text: "drag to move · Ctrl + wheel to zoom · drag above to choose a part · click for details" }))),
  );
  [axis.from, axis.to] = [0, run.end || 1];
  axis.lanes.addEventListener("scroll", draw);
  new ResizeObserver(resize).observe(axis.plot);
  listen();
  layOut();
}

function foldAll() {
  const open = axis.groups.some((group) => !axis.folded.get(group.key));
  for (const group of axis.groups) axis.folded.set(group.key, open);
  layOut();
}

function fit() { show(0, run.end); }

function showTests() {
  let [first, last] = [Infinity, 0];
  for (let at = 0; at < run.count; at += 1) {
    if (run.outcome[at] === 9) continue;
    first = Math.min(first, run.begin[at]);
    last = Math.max(last, run.ends[at]);
  }
  if (last > first) { const margin = (last - first) * 0.02; show(first - margin, last + margin); }
}

/** Shows a part of the run. */
function show(from, to) {
  const length = Math.max(LEAST_US, Math.min(to - from, run.end * 1.04 || 1));
  const middle = (from + to) / 2;
  axis.from = Math.max(-run.end * 0.02, Math.min(middle - length / 2, run.end * 1.02 - length));
  axis.to = axis.from + length;
  draw();
}

function zoom(factor, around = (axis.from + axis.to) / 2) {
  show(around - (around - axis.from) * factor, around + (axis.to - around) * factor);
}

const move = (part) => { const step = (axis.to - axis.from) * part; show(axis.from + step, axis.to + step); };
const xOf = (us) => ((us - axis.from) / (axis.to - axis.from)) * axis.width;
const usAt = (x) => axis.from + (x / axis.width) * (axis.to - axis.from);

function fitCanvas(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

function resize() {
  axis.width = Math.max(80, axis.plot.clientWidth);
  axis.view = Math.min(axis.height, axis.lanes.clientHeight || axis.height);
  draw();
}

let asked = 0;
function draw() {
  if (!asked) asked = requestAnimationFrame(() => { asked = 0; paint(); });
}

/** Times of the ruler's marks: at most one each 90 pixels. */
function marks() {
  const least = ((axis.to - axis.from) / axis.width) * 90;
  let step = 1;
  for (const base of [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7]) {
    for (const factor of base >= 1e7 ? [1, 3, 6, 12, 30, 60, 180, 360] : [1, 2, 5]) {
      if (step < least) step = base * factor;
    }
  }
  const out = [];
  for (let at = Math.max(0, Math.ceil(axis.from / step) * step); at <= axis.to; at += step) out.push(at);
  return [out, step];
}

function paint() {
  if (!axis.width) return;
  const [times, step] = marks();
  paintOverview();
  const ruler = fitCanvas(axis.ruler, axis.width, RULER);
  ruler.font = "11px system-ui, sans-serif";
  ruler.fillStyle = colours.faint;
  ruler.textBaseline = "middle";
  for (const time of times) {
    const x = Math.round(xOf(time)) + 0.5;
    ruler.fillRect(x - 0.5, RULER - 6, 1, 6);
    ruler.fillText(point(time, step), x + 5, RULER / 2);
  }
  const context = fitCanvas(axis.canvas, axis.width, axis.view);
  const top = axis.lanes.scrollTop;
  const grid = new Path2D();
  for (const time of times) grid.rect(Math.round(xOf(time)), 0, 1, axis.view);
  for (const row of axis.rows) {
    const y = row.y - top;
    if (y + row.height < 0 || y > axis.view) continue;
    if (row.kind === "group") { context.fillStyle = colours.sunken; context.fillRect(0, y, axis.width, row.height); }
    context.fillStyle = colours.line;
    if (row.kind !== "track" && row.kind !== "slot" || row.y === 0) context.fillRect(0, y + row.height - 1, axis.width, 1);
  }
  context.globalAlpha = 0.7;
  context.fillStyle = colours.line;
  context.fill(grid);
  context.globalAlpha = 1;
  for (const row of axis.rows) {
    const y = row.y - top;
    if (y + row.height < 0 || y > axis.view) continue;
    if (row.kind === "chart") paintChart(context, row, y);
    else if (row.kind === "slot") { if (row.slot === 0) paintSpans(context, row.track.s.filter(([state]) => state !== 9), y + 7, 6); paintCases(context, row.cases, y + 4, 12); if (isSelected(row)) paintSelected(context, y + 4, 12); }
    else if (row.kind === "group") paintGroup(context, row, y);
    else { paintSpans(context, row.track.s, y + 4, 12); paintMoments(context, row.track.m, y + 10); }
  }
  paintCursor(context, top);
  axis.range.textContent = `${point(Math.max(0, axis.from), (axis.to - axis.from) / 100)} – ${point(Math.min(axis.to, run.end), (axis.to - axis.from) / 100)}`;
}

const isSelected = (row) => axis.selected !== null && run.cases.lane[axis.selected] === row.index && run.cases.slot[axis.selected] === row.slot;

/** A group's own row: its stack as a thin line, and when it is folded its tests above. */
function paintGroup(context, row, y) {
  if (row.track) paintSpans(context, row.track.s, y + (row.folded ? 15 : 9), row.folded ? 4 : 6);
  if (!row.folded) return;
  for (const one of row.group.rows) {
    if (one.kind === "slot") paintCases(context, one.cases, y + 4, row.track ? 9 : 14);
    else if (one.kind === "track" && !row.track) paintSpans(context, one.track.s, y + 7, 8);
  }
}

function paintSpans(context, spans, y, height) {
  for (const [state, begin, end] of spans) {
    const x = Math.max(-4, xOf(begin));
    const until = Math.min(axis.width + 4, xOf(end));
    if (until < 0 || x > axis.width) continue;
    const name = STATES[state];
    const width = Math.max(1, until - x - (until - x > 3 ? 0.5 : 0));
    context.fillStyle = colours[name];
    if (name === "down") context.globalAlpha = 0.35;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
    if (name === "start" && width > 8 && height > 6) hatch(context, x, y, width, height);
  }
}

/** Lines that say that something is under way. */
function hatch(context, x, y, width, height) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colours.dark ? "rgb(0 0 0 / .22)" : "rgb(255 255 255 / .45)";
  context.lineWidth = 2;
  context.beginPath();
  for (let at = x - height - ((x % 7) + 7) % 7; at < x + width; at += 7) { context.moveTo(at, y + height); context.lineTo(at + height, y); }
  context.stroke();
  context.restore();
}

function paintMoments(context, moments, y) {
  for (const [kind, at] of moments) {
    const x = xOf(at);
    if (x < -5 || x > axis.width + 5) continue;
    if (kind === 0) {
      context.fillStyle = colours.ink;
      context.globalAlpha = 0.45;
      context.fillRect(x - 0.5, y - 3, 1.5, 6);
      context.globalAlpha = 1;
    } else if (kind === 1) {
      context.strokeStyle = colours.soft;
      context.lineWidth = 1.5;
      context.beginPath();
      context.arc(x, y, 3.2, 0, 7);
      context.stroke();
    } else {
      context.strokeStyle = kind === 3 ? colours["timed-out"] : colours.failed;
      context.lineWidth = 2.2;
      context.beginPath();
      context.moveTo(x - 4, y - 4); context.lineTo(x + 4, y + 4);
      context.moveTo(x + 4, y - 4); context.lineTo(x - 4, y + 4);
      context.stroke();
    }
  }
}

/** The cases of a slot. Of those that share a pixel the worst is seen. */
function paintCases(context, cases, y, height) {
  const { begin, ends, outcome } = run;
  const pixels = new Int8Array(axis.width + 2).fill(-1);
  const red = [];
  for (let at = firstAt(cases, axis.from); at < cases.length && begin[cases[at]] <= axis.to; at += 1) {
    const index = cases[at];
    const kind = outcome[index];
    const x = Math.max(-2, xOf(begin[index]));
    const right = Math.min(axis.width + 2, xOf(ends[index]));
    if (isRed(kind)) red.push([x, right, kind]);
    if (right - x < 3) {
      const last = Math.min(axis.width, Math.max(Math.floor(x), Math.ceil(right) - 1));
      for (let pixel = Math.max(0, Math.floor(x)); pixel <= last; pixel += 1) {
        if (pixels[pixel] < 0 || RANK[kind] > RANK[pixels[pixel]]) pixels[pixel] = kind;
      }
    } else {
      context.fillStyle = colours[CLASSES[kind]];
      context.fillRect(x, y, right - x - 1, height);
      if (kind === 8) { context.fillStyle = colours.paper; context.fillRect(x + 1, y + 1, Math.max(0, right - x - 3), height - 2); }
    }
  }
  for (let from = 0; from < pixels.length;) {
    let to = from + 1;
    while (to < pixels.length && pixels[to] === pixels[from]) to += 1;
    if (pixels[from] >= 0) { context.fillStyle = colours[CLASSES[pixels[from]]]; context.fillRect(from, y, to - from, height); }
    from = to;
  }
  // One red case is seen also where it is less than a pixel.
  const least = red.length > 40 ? 2 : 3;
  for (const [x, right, kind] of red) {
    context.fillStyle = colours[CLASSES[kind]];
    context.fillRect(x - 0.5, y - 2, Math.max(least, right - x - 1), height + 4);
  }
}

/** A frame around the case that is looked at. */
function paintSelected(context, y, height) {
  const x = xOf(run.begin[axis.selected]);
  const width = Math.max(4, xOf(run.ends[axis.selected]) - x);
  context.strokeStyle = colours.ink;
  context.lineWidth = 2;
  context.strokeRect(x - 2, y - 3, width + 3, height + 6);
}

/** Where in a slot the cases begin that end after a time; they do not overlap. */
function firstAt(cases, time) {
  let [low, high] = [0, cases.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (run.ends[cases[middle]] < time) low = middle + 1; else high = middle;
  }
  return low;
}

function paintChart(context, row, y) {
  const [top, height] = [y + 6, row.height - 14];
  const scale = (value) => top + height - (value / row.most) * height;
  row.lines.forEach((line, number) => {
    context.strokeStyle = colours.lines[number % colours.lines.length];
    context.lineWidth = 1.4;
    context.beginPath();
    const first = Math.max(0, lowerBound(line.t, axis.from / 1000) - 1);
    for (let at = first; at < line.t.length; at += 1) {
      const x = xOf(line.t[at] * 1000);
      if (at === first) context.moveTo(x, scale(line.v[at]));
      else { context.lineTo(x, scale(line.v[at - 1])); context.lineTo(x, scale(line.v[at])); }
      if (x > axis.width) break;
    }
    context.stroke();
  });
  context.font = "10.5px system-ui, sans-serif";
  context.textBaseline = "top";
  const text = figure(row.most, row.unit);
  const width = context.measureText(text).width;
  context.globalAlpha = 0.8;
  context.fillStyle = colours.paper;
  context.fillRect(axis.width - width - 10, y + 1, width + 8, 14);
  context.globalAlpha = 1;
  context.fillStyle = colours.soft;
  context.fillText(text, axis.width - width - 6, y + 3);
}

function paintCursor(context) {
  if (axis.cursor === null) return;
  const x = xOf(axis.cursor);
  context.fillStyle = colours.ink;
  context.globalAlpha = 0.35;
  context.fillRect(x, 0, 1, axis.view);
  context.globalAlpha = 1;
  const ruler = axis.ruler.getContext("2d");
  const text = point(axis.cursor, (axis.to - axis.from) / axis.width);
  ruler.font = "600 11px system-ui, sans-serif";
  const width = ruler.measureText(text).width + 12;
  const left = Math.max(0, Math.min(axis.width - width, x - width / 2));
  ruler.fillStyle = colours.ink;
  ruler.fillRect(left, 3, width, RULER - 8);
  ruler.fillStyle = colours.paper;
  ruler.fillText(text, left + 6, RULER / 2 - 1);
}

/** The whole run: how many cases ran when, red ones on top, and the part that is shown. */
function paintOverview() {
  const context = fitCanvas(axis.overview, axis.width, OVERVIEW);
  const scale = axis.width / (run.end || 1);
  if (!axis.density || axis.density.length !== Math.ceil(axis.width / 2)) density();
  const most = axis.density.reduce((a, b) => Math.max(a, b), 1);
  axis.density.forEach((count, at) => {
    if (!count) return;
    const height = 3 + (Math.log1p(count) / Math.log1p(most)) * (OVERVIEW - 14);
    context.fillStyle = colours.passed;
    context.fillRect(at * 2, OVERVIEW - 4 - height, 2, height);
    const red = axis.redness[at] ? Math.max(3, (axis.redness[at] / count) * height) : 0;
    context.fillStyle = colours.failed;
    context.fillRect(at * 2, OVERVIEW - 4 - red, 2, red);
  });
  context.fillStyle = colours.failed;
  if (axis.reds.length <= 40) for (const at of axis.reds) { context.fillStyle = colours[CLASSES[run.outcome[at]]]; context.fillRect(run.begin[at] * scale - 1, 4, Math.max(3, (run.ends[at] - run.begin[at]) * scale), OVERVIEW - 8); }
  const [left, right] = [axis.from * scale, axis.to * scale];
  context.fillStyle = colours.bg;
  context.globalAlpha = 0.72;
  context.fillRect(0, 0, left, OVERVIEW);
  context.fillRect(right, 0, axis.width - right, OVERVIEW);
  context.globalAlpha = 1;
  if (left > 1 || right < axis.width - 1) {
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.strokeRect(Math.max(1, left), 1, Math.min(axis.width, right) - Math.max(1, left) - 1, OVERVIEW - 2);
  }
}

function density() {
  const out = new Float64Array(Math.ceil(axis.width / 2));
  axis.redness = new Float64Array(out.length);
  const scale = out.length / (run.end || 1);
  axis.reds = [];
  for (let at = 0; at < run.count; at += 1) {
    if (run.outcome[at] === 9) continue;
    if (isRed(run.outcome[at])) axis.reds.push(at);
    const from = Math.floor(run.begin[at] * scale);
    const to = Math.min(out.length - 1, Math.floor(run.ends[at] * scale));
    for (let column = from; column <= to; column += 1) { out[column] += 1; if (isRed(run.outcome[at])) axis.redness[column] += 1; }
  }
  axis.density = out;
}
