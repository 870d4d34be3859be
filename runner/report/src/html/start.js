
// The pointer, the keys, the theme, and the beginning.

function listen() {
  const { canvas, ruler, overview } = axis;
  let held = null;
  const place = (event, node) => { const box = node.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => { held = { x: event.clientX, from: axis.from, to: axis.to, moved: false }; });
  addEventListener("pointermove", (event) => {
    if (!held) return;
    const by = event.clientX - held.x;
    if (Math.abs(by) > 3 && !held.moved) { held.moved = true; canvas.classList.add("moving"); canvas.setPointerCapture?.(event.pointerId); hideCard(); }
    if (held.moved) { const us = (by / axis.width) * (held.to - held.from); show(held.from - us, held.to - us); }
  });
  addEventListener("pointerup", () => { canvas.classList.remove("moving"); setTimeout(() => { held = null; }); });
  canvas.addEventListener("pointermove", (event) => {
    if (held?.moved) return;
    const [x, y] = place(event, canvas);
    const thing = under(x, y + axis.lanes.scrollTop);
    axis.cursor = usAt(x);
    canvas.classList.toggle("over-thing", Boolean(thing && (thing.index !== null || thing.row.what === "service")));
    if (thing) describe(thing, event.clientX, event.clientY); else hideCard();
    draw();
  });
  canvas.addEventListener("pointerleave", () => { cardFor += 1; axis.cursor = null; hideCard(); draw(); });
  canvas.addEventListener("click", (event) => {
    if (held?.moved) return;
    const [x, y] = place(event, canvas);
    const thing = under(x, y + axis.lanes.scrollTop);
    hideCard();
    if (thing?.index !== null && thing?.index !== undefined) location.hash = `case=${thing.index}`;
    else if (thing?.row.what === "service") openLog(thing.row.stack, thing.row.label, thing.time);
    else if (thing?.row.kind === "slot") openLog("", thing.row.lane.n, thing.time);
    else if (thing?.row.kind === "group") { axis.folded.set(thing.row.group.key, !thing.row.folded); layOut(); }
  });
  canvas.addEventListener("dblclick", (event) => zoom(0.4, usAt(place(event, canvas)[0])));
  for (const node of [canvas, ruler, overview]) {
    node.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(Math.exp(event.deltaY * 0.004), usAt(place(event, node)[0])); }
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) { event.preventDefault(); move((event.deltaX || event.deltaY) / axis.width); }
    }, { passive: false });
  }
  // A part is chosen by drawing over it: on the ruler of what is shown, on the overview of the whole run.
  for (const [node, toUs] of [[ruler, usAt], [overview, (x) => (x / axis.width) * run.end]]) {
    let begun = null;
    node.style.cursor = "ew-resize";
    node.addEventListener("pointerdown", (event) => { begun = place(event, node)[0]; node.setPointerCapture(event.pointerId); });
    node.addEventListener("pointermove", (event) => {
      if (begun === null) return;
      const x = place(event, node)[0];
      if (Math.abs(x - begun) < 4) return;
      if (node === overview) { show(toUs(Math.min(begun, x)), toUs(Math.max(begun, x))); return; }
      paint();
      const context = ruler.getContext("2d");
      context.globalAlpha = 0.25;
      context.fillStyle = colours.accent;
      context.fillRect(Math.min(begun, x), 0, Math.abs(x - begun), RULER);
      context.globalAlpha = 1;
    });
    node.addEventListener("pointerup", (event) => {
      const x = place(event, node)[0];
      if (begun !== null && Math.abs(x - begun) < 4 && node === overview) { const half = (axis.to - axis.from) / 2; show(toUs(x) - half, toUs(x) + half); }
      else if (begun !== null && node === ruler && Math.abs(x - begun) >= 4) { const [a, b] = [toUs(Math.min(begun, x)), toUs(Math.max(begun, x))]; show(a, b); }
      begun = null;
    });
  }
}

function nextRed(by) {
  const red = (at) => isRed(run.outcome[at]);
  const at = Number($("detail")?.dataset.at ?? NaN);
  const here = table.chosen.indexOf(at);
  if (here >= 0) table.here = here;
  if (!next(by, red)) { table.here = by > 0 ? -1 : table.chosen.length; next(by, red); }
  if (red(table.chosen[table.here])) location.hash = `case=${table.chosen[table.here]}`;
}

function key(event) {
  if (event.key === "Escape") {
    if ($("detail")) closeDetail();
    else if (document.activeElement === table.search) { table.search.value = ""; table.words = []; choose(); table.search.blur(); }
    return;
  }
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    if (document.activeElement === table.search && (event.key === "ArrowDown" || event.key === "Enter")) { table.body.focus(); go(0); event.preventDefault(); if (event.key === "Enter") openHere(); }
    return;
  }
  const onAxis = document.activeElement === axis.canvas;
  const inPanel = $("detail")?.contains(document.activeElement);
  const acts = {
    "/": () => { table.search.scrollIntoView({ block: "center" }); table.search.focus(); table.search.select(); },
    n: () => nextRed(1), p: () => nextRed(-1),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: fit,
  };
  if (onAxis) Object.assign(acts, { ArrowLeft: () => move(-0.15), ArrowRight: () => move(0.15), ArrowUp: () => { axis.lanes.scrollTop -= 60; }, ArrowDown: () => { axis.lanes.scrollTop += 60; }, Home: fit });
  else if (inPanel && document.activeElement === $("detail")) Object.assign(acts, { ArrowUp: () => step(-1), ArrowDown: () => step(1) });
  else if (document.activeElement === table.body) {
    const page = Math.floor(table.body.clientHeight / LINE) - 1;
    Object.assign(acts, {
      ArrowUp: () => go(table.here - 1), ArrowDown: () => go(table.here + 1), PageUp: () => go(table.here - page), PageDown: () => go(table.here + page),
      Home: () => go(0), End: () => go(table.chosen.length - 1), Enter: openHere,
    });
  }
  const act = acts[event.key];
  if (act) { event.preventDefault(); act(); }
}

function openHere() {
  const at = table.chosen[table.here];
  if (at !== undefined) location.hash = `case=${at}`;
}

function follow() {
  const found = /^#case=(\d+)$/.exec(location.hash);
  if (!found) return;
  const at = Number(found[1]);
  const place = table.chosen.indexOf(at);
  if (place >= 0) go(place);
  openCase(at);
}

function themes() {
  const button = $("theme");
  const words = { "": "auto", light: "light", dark: "dark" };
  const order = ["", "light", "dark"];
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    button.textContent = `◐ ${words[theme]}`;
    button.setAttribute("aria-label", `Colours: ${words[theme]}`);
    readColours();
    if (run) { axis.labels.replaceChildren(...axis.rows.map(label)); draw(); }
  };
  // A page from a file may have no storage.
  let theme = "";
  try { theme = localStorage.getItem("testbed-theme") ?? ""; } catch { /* the default holds */ }
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    try { localStorage.setItem("testbed-theme", theme); } catch { /* it holds for this time */ }
    apply(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(theme));
  apply(order.includes(theme) ? theme : "");
}

async function start() {
  for (const node of document.querySelectorAll(".needs-script")) node.hidden = false;
  themes();
  open(await unpack("data-core"));
  if (run.end > 0) buildAxis($("axis")); else $("axis").remove();
  if (run.count > 0) { buildCases($("cases")); addEventListener("keydown", key); addEventListener("hashchange", follow); } else $("cases").remove();
  addEventListener("beforeprint", () => { for (const node of document.querySelectorAll("details.failure")) node.open = true; });
  if (run.count > 0 && axis.groups) follow();
  performance.mark("ready");
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  const note = el("p", { class: "fault", text: `The time axis and the table need a newer browser: ${error}` });
  document.querySelector(".hero").append(note);
  console.error(error);
});
