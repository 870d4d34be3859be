
// The table of cases: as many rows as are seen, out of all that the filters leave.

const table = { chosen: [], here: -1, hidden: new Set(), lane: "", words: [], sort: "begin", down: false, longest: 1 };
const LINE = 30;

function buildCases(section) {
  table.search = el("input", {
    type: "search", placeholder: "Search cases, messages, files, markers", "aria-label": "Search cases", spellcheck: "false", autocomplete: "off",
    oninput: () => { table.words = table.search.value.toLowerCase().split(/\s+/).filter(Boolean); choose(); },
  });
  table.lanes = el("select", { "aria-label": "Lane", onchange: () => { table.lane = table.lanes.value; choose(); } },
    el("option", { value: "", text: "all lanes" }), run.lanes.map((lane, at) => el("option", { value: String(at), text: lane.n })));
  table.count = el("span", { class: "hint push", role: "status" });
  const counts = new Array(10).fill(0);
  for (const kind of run.outcome) counts[kind] += 1;
  const chips = [1, 2, 3, 6, 8, 7, 0, 5, 4, 9].filter((kind) => counts[kind] > 0).map((kind) => el("button", {
    type: "button", class: `button ${CLASSES[kind]}`, "aria-pressed": "true",
    title: "Show only these; again to show all", onclick: () => toggle(kind), "data-kind": kind,
  }, el("span", { class: "swatch" }), run.outcomes[kind], el("b", { text: number(counts[kind]) })));
  table.chips = chips;
  const title = (name, word, right) => el("span", { role: "columnheader", class: right ? "right" : "", "data-sort": name },
    el("button", { type: "button", onclick: () => sortBy(name), text: word }));
  table.titles = el("div", { class: "row titles", role: "row" }, title("outcome", "outcome"), title("id", "case"), title("lane", "lane"),
    title("begin", "begin", true), title("took", "took", true));
  table.window = el("div", { class: "window", role: "presentation" });
  table.space = el("div", {});
  table.body = el("div", { class: "body", tabindex: "0", role: "rowgroup", "aria-label": "Cases; arrow keys choose, Enter opens", onscroll: paintRows, onclick: clicked }, table.space, table.window);
  for (let at = 0; at < run.count; at += 1) table.longest = Math.max(table.longest, run.cases.ms[at]);
  section.append(
    el("div", { class: "tools" }, el("h2", { text: "Cases" }), table.search, table.lanes, chips, table.count),
    (table.whole = el("div", { class: "table", role: "table", "aria-label": "Cases" }, table.titles, table.body)),
    el("p", { class: "hint", id: "keys" }, [[["/"], "search"], [["↑", "↓"], "choose"], [["Enter"], "open"], [["Esc"], "close"], [["n", "p"], "next, previous red"],
      [["+", "−", "0"], "zoom"]].map(([keys, word]) => el("span", {}, keys.map((text) => el("kbd", { text })), word))),
  );
  new ResizeObserver(paintRows).observe(table.body);
  choose();
}

/** The first choice shows only that outcome, a further one adds or takes away, and none is all. */
function toggle(kind) {
  const kinds = table.chips.map((chip) => Number(chip.dataset.kind));
  if (table.hidden.size === 0) table.hidden = new Set(kinds.filter((one) => one !== kind));
  else if (table.hidden.has(kind)) table.hidden.delete(kind);
  else table.hidden.add(kind);
  if (table.hidden.size === kinds.length) table.hidden.clear();
  mark();
}

function mark() {
  for (const chip of table.chips) chip.setAttribute("aria-pressed", String(!table.hidden.has(Number(chip.dataset.kind))));
  choose();
}

function sortBy(name) {
  // What is slow or red is looked for first.
  if (table.sort === name) table.down = !table.down; else { table.sort = name; table.down = name === "took"; }
  choose();
}

/** What is searched of a case, made when it is first needed. */
const haystack = once(() => {
  const { cases } = run;
  return run.ids.map((id, at) => [id, run.lanes[cases.lane[at]].n, cases.files[cases.file[at] - 1] ?? "", cases.messages[cases.message[at] - 1] ?? "",
    cases.sets[cases.markers[at] - 1] ?? ""].join("\n").toLowerCase());
});

function choose() {
  const stacks = table.words.length ? haystack() : null;
  const before = table.chosen[table.here];
  const out = [];
  for (let at = 0; at < run.count; at += 1) {
    if (table.hidden.has(run.outcome[at])) continue;
    if (table.lane !== "" && run.cases.lane[at] !== Number(table.lane)) continue;
    if (stacks && !table.words.every((word) => stacks[at].includes(word))) continue;
    out.push(at);
  }
  const keys = {
    begin: (at) => at,
    took: (at) => run.cases.ms[at],
    outcome: (at) => -RANK[run.outcome[at]],
    lane: (at) => run.cases.lane[at],
  };
  if (table.sort === "id") out.sort((a, b) => (run.ids[a] < run.ids[b] ? -1 : run.ids[a] > run.ids[b] ? 1 : a - b));
  else if (table.sort !== "begin") { const key = keys[table.sort]; out.sort((a, b) => key(a) - key(b) || a - b); }
  if (table.down) out.reverse();
  table.chosen = out;
  table.here = before === undefined ? -1 : out.indexOf(before);
  table.count.textContent = out.length === run.count ? `${number(run.count)} cases` : `${number(out.length)} of ${number(run.count)} cases`;
  for (const head of table.titles.children) {
    const mine = head.dataset.sort === table.sort;
    const [button] = head.children;
    if (mine) head.setAttribute("aria-sort", table.down ? "descending" : "ascending"); else head.removeAttribute("aria-sort");
    button.textContent = button.textContent.replace(/ [↑↓]$/, "") + (mine ? (table.down ? " ↓" : " ↑") : "");
  }
  table.space.style.height = `${Math.max(out.length, 2) * LINE}px`;
  table.whole.setAttribute("aria-rowcount", String(out.length));
  table.body.classList.toggle("short", out.length * LINE < 400);
  table.body.scrollTop = 0;
  paintRows();
}

function paintRows() {
  const first = Math.max(0, Math.floor(table.body.scrollTop / LINE) - 6);
  const many = Math.ceil((table.body.clientHeight || 600) / LINE) + 12;
  const rows = table.chosen.slice(first, first + many).map((at, offset) => caseRow(at, first + offset));
  table.window.style.transform = `translateY(${first * LINE}px)`;
  table.window.replaceChildren(...(table.chosen.length ? rows : [el("div", { class: "empty", text: "No case fits these filters." })]));
}

function caseRow(at, place) {
  const { cases } = run;
  const kind = run.outcome[at];
  const [folder, name] = split(run.ids[at]);
  const message = kind === 0 ? null : cases.messages[cases.message[at] - 1];
  const took = kind === 9 || kind === 4 ? "" : duration(cases.ms[at] * 1000);
  return el("div", { class: `row ${CLASSES[kind]}${place === table.here ? " here" : ""}`, role: "row", "aria-rowindex": place + 1, "data-at": at },
    el("span", { class: "what", role: "cell", title: run.outcomes[kind], text: run.outcomes[kind] }),
    el("span", { class: "id", role: "cell", title: run.ids[at] }, el("span", { class: "name", text: name }),
      message ? el("span", { class: "said", text: message }) : el("span", { class: "folder", text: `\u200e${folder}\u200e` })),
    el("span", { class: "lane", role: "cell", text: run.lanes[cases.lane[at]].n }),
    el("span", { class: "begin", role: "cell", text: kind === 9 ? "" : point(run.begin[at], 1e4) }),
    el("span", { class: "took", role: "cell" }, meter(cases.ms[at] / table.longest), el("span", { text: took })));
}

const SVG = "http://www.w3.org/2000/svg";

/** A bar for how long a case took; by its root, so that fast ones are seen too. */
function meter(part) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 8");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "bar");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("class", "mine");
  const width = part > 0 ? Math.max(1.5, Math.sqrt(part) * 100) : 0;
  rect.setAttribute("x", String(100 - width));
  rect.setAttribute("width", String(width));
  rect.setAttribute("height", "8");
  svg.append(rect);
  return svg;
}

function clicked(event) {
  const row = event.target.closest("[data-at]");
  if (!row) return;
  table.here = table.chosen.indexOf(Number(row.dataset.at));
  paintRows();
  location.hash = `case=${row.dataset.at}`;
}

/** Goes to a row, and shows it. */
function go(place) {
  if (!table.chosen.length) return;
  table.here = Math.max(0, Math.min(table.chosen.length - 1, place));
  const [top, height] = [table.here * LINE, table.body.clientHeight];
  if (top < table.body.scrollTop) table.body.scrollTop = top;
  if (top + LINE > table.body.scrollTop + height) table.body.scrollTop = top + LINE - height;
  paintRows();
}

/** Opens the next case in the table, or the next red one. */
function next(step, fits = () => true) {
  for (let place = table.here + step; place >= 0 && place < table.chosen.length; place += step) {
    if (fits(table.chosen[place])) { go(place); return true; }
  }
  return false;
}
