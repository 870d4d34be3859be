
// What is known of one case or one log, beside the page; and the card under the pointer.

let opener = null;

function panel(title, ...parts) {
  const old = $("detail");
  if (!old) opener = document.activeElement;
  const close = el("button", { type: "button", class: "button small", "aria-label": "Close", title: "Close (Esc)", onclick: closeDetail, text: "✕" });
  const head = el("header", {}, el("div", { class: "first" }, title.first, title.buttons ?? [], close), el("h2", { id: "detail-title" }, title.name));
  const node = el("aside", { id: "detail", role: "dialog", "aria-labelledby": "detail-title", tabindex: "-1", class: title.class ?? "" }, head, el("div", { class: "body" }, parts));
  // The page gets narrower; what was read stays where it was.
  const anchor = document.elementFromPoint(40, 90)?.closest("section");
  const top = anchor?.getBoundingClientRect().top;
  if (old) old.replaceWith(node); else document.body.append(node);
  if (anchor) scrollBy({ top: anchor.getBoundingClientRect().top - top, behavior: "instant" });
  node.focus({ preventScroll: true });
  return node;
}

function closeDetail() {
  $("detail")?.remove();
  axis.selected = null;
  if (/^#case=/.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
  opener?.focus?.({ preventScroll: true });
  opener = null;
  draw();
}

const fact = (word, value) => (value ? el("div", {}, el("dt", { text: word }), el("dd", {}, value)) : null);

function command(title, text) {
  if (!text) return [];
  const button = el("button", { type: "button", class: "button", text: "Copy", onclick: async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch {
      getSelection().selectAllChildren(button.previousSibling); button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } });
  return [el("h4", { text: title }), el("div", { class: "copy" }, el("pre", { class: "command", text }), button)];
}

const block = (title, text) => (text ? [title ? el("h4", { text: title }) : null, el("pre", { text })] : []);

async function openCase(at) {
  if (!(at >= 0 && at < run.count)) return;
  const { cases } = run;
  const kind = run.outcome[at];
  const lane = run.lanes[cases.lane[at]];
  const [folder, name] = split(run.ids[at]);
  const file = cases.files[cases.file[at] - 1];
  const ran = kind !== 9;
  axis.selected = ran ? at : null;
  if (ran) reveal(at);
  const showPart = () => { const margin = Math.max(50_000, (run.ends[at] - run.begin[at]) * 0.6); show(run.begin[at] - margin, run.ends[at] + margin); };
  const message = cases.messages[cases.message[at] - 1];
  const holder = el("div", {});
  const windows = el("div", {});
  const again = lane.case ? lane.case.replace(run.placeholder, () => quoted(run.ids[at])) : null;
  const node = panel(
    {
      class: CLASSES[kind],
      first: el("span", { class: `chip ${CLASSES[kind]}`, text: run.outcomes[kind] }),
      buttons: [
        ran ? el("button", { type: "button", class: "button small", title: "Show this part of the run", onclick: showPart, text: "On the axis" }) : null,
        el("button", { type: "button", class: "button small", title: "Previous case (↑)", "aria-label": "Previous case", onclick: () => step(-1), text: "↑" }),
        el("button", { type: "button", class: "button small", title: "Next case (↓)", "aria-label": "Next case", onclick: () => step(1), text: "↓" }),
      ].filter(Boolean),
      name: [folder ? el("span", { class: "folder", text: folder }) : null, name].filter(Boolean),
    },
    el("dl", { class: "facts" }, fact("lane", lane.n), ran ? fact("began at", point(run.begin[at])) : null, ran ? fact("took", duration(cases.ms[at] * 1000)) : null,
      fact("attempts", cases.attempts[at] ? String(cases.attempts[at]) : ""), fact("place", file ? el("code", { text: file + (cases.line[at] ? `:${cases.line[at]}` : "") }) : ""),
      fact("markers", cases.sets[cases.markers[at] - 1] ?? "")),
    message ? el("div", { class: "message", text: message }) : null,
    holder,
    command("Again here", again),
    command("Again in the recorded environment", `testbed repro ${run.run} ${quoted(run.ids[at])}`),
    windows,
  );
  node.dataset.at = at;
  if (run.hasText.has(at)) {
    holder.append(el("p", { class: "hint", text: "…" }));
    const text = (await texts())[at];
    holder.replaceChildren(...(text ? accounts(text, kind, node) : [el("p", { class: "hint", text: "Its texts did not fit into this page; the record has them." })]).filter(Boolean));
  }
  if (ran) windows.replaceChildren(...await meanwhile(at, lane));
  node.dataset.whole = "true";
}

function accounts(text, kind, node) {
  const message = node.querySelector(".message");
  if (text.m && message) message.textContent = text.m;
  const out = [...block(isRed(kind) ? "What went wrong" : "Details", text.d), ...block("What it printed", text.o)];
  for (const [service, omitted, lines] of text.w ?? []) out.push(...block(`Log of ${service} when it ended${omitted ? `, ${number(omitted)} lines before` : ""}`, lines));
  return out;
}

/** The services' lines from a case's begin to its end. */
async function meanwhile(at, lane) {
  const [from, to] = [run.begin[at] - 20_000, run.ends[at] + 20_000];
  const out = [];
  for (const log of (await logs()).values()) {
    const stack = run.stacks.find((one) => one.n === log.stack);
    const mine = stack ? isOn(lane, stack) : log.stack === null && log.name === lane.n;
    if (!mine) continue;
    const [first, last] = within(log, from, to);
    if (last > first) out.push(el("h4", { text: `${log.stack ? `Log of ${log.name}` : `Output of ${log.name}`} meanwhile, ${number(last - first)} lines` }), lines(log, first, last, 300));
  }
  return out;
}

/** Lines of a log with their times. */
function lines(log, first, last, most, now = null) {
  const from = Math.max(first, last - most);
  const rows = from > first ? [el("div", { class: "gap", text: `… ${number(from - first)} lines before` })] : [];
  for (let at = from; at < last; at += 1) {
    if (log.omitted && log.omitted[0] === at) rows.push(el("div", { class: "gap", text: `… ${number(log.omitted[1])} lines are only in the record` }));
    const loud = /\b(ERROR|FATAL|CRITICAL|panicked|Traceback)\b/.test(log.lines[at]);
    rows.push(el("div", { class: `${loud ? "loud" : ""}${at === now ? " now" : ""}` }, el("time", { text: point(log.times[at], 1000) }), el("span", { text: log.lines[at] })));
  }
  return el("div", { class: "lines", tabindex: "0" }, rows);
}

/** A service's whole log, at a time. */
async function openLog(stack, name, at) {
  const log = (await logs()).get(`${stack}\n${name}`);
  const first = el("span", { class: "dim", text: stack ? `log · stack ${stack}` : "output" });
  if (!log || !log.lines.length) { panel({ first, name: [name] }, el("p", { class: "hint", text: "It wrote nothing, or its log is not in the record." })); return; }
  const search = el("input", { type: "search", placeholder: "Only lines with", "aria-label": "Only lines with", oninput: () => fill() });
  const holder = el("div", {});
  const fill = () => {
    const word = search.value.toLowerCase();
    if (word) {
      const kept = { lines: [], times: [], omitted: null };
      log.lines.forEach((line, index) => { if (line.toLowerCase().includes(word)) { kept.lines.push(line); kept.times.push(log.times[index]); } });
      holder.replaceChildren(lines(kept, 0, kept.lines.length, 2000));
      return;
    }
    const middle = lowerBound(log.times, at);
    const from = Math.max(0, middle - 700);
    const to = Math.min(log.lines.length, middle + 700);
    holder.replaceChildren(lines(log, from, to, 1400, Math.min(middle, log.lines.length - 1)));
    holder.querySelector(".now")?.scrollIntoView({ block: "center", behavior: "instant" });
  };
  const node = panel({ first, name: [name] }, el("div", { class: "tools" }, search, el("span", { class: "hint push", text: `${number(log.lines.length)} lines` })), holder);
  node.classList.add("whole-log");
  axis.selected = null;
  fill();
}

function step(by) {
  const at = Number($("detail")?.dataset.at);
  const here = table.chosen.indexOf(at);
  if (here >= 0) table.here = here;
  if (next(by)) location.hash = `case=${table.chosen[table.here]}`;
}

/** Brings a case onto the axis. */
function reveal(at) {
  const lane = run.lanes[run.cases.lane[at]];
  const group = axis.groups.find((one) => one.rows.some((row) => row.kind === "slot" && row.lane === lane));
  if (group && axis.folded.get(group.key)) { axis.folded.set(group.key, false); layOut(); }
  if (run.begin[at] < axis.from || run.ends[at] > axis.to) { const half = (axis.to - axis.from) / 2; const middle = (run.begin[at] + run.ends[at]) / 2; show(middle - half, middle + half); }
  const row = axis.rows.find((one) => one.kind === "slot" && one.lane === lane && one.slot === run.cases.slot[at]);
  if (row && (row.y < axis.lanes.scrollTop || row.y + ROW > axis.lanes.scrollTop + axis.view)) axis.lanes.scrollTop = row.y - axis.view / 2;
  draw();
}

// The card under the pointer.

function hideCard() { $("card")?.remove(); }

function card(x, y, ...parts) {
  hideCard();
  const node = el("div", { id: "card", role: "tooltip" }, parts);
  document.body.append(node);
  const { width, height } = node.getBoundingClientRect();
  node.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, x + 16))}px`;
  node.style.top = `${y + 20 + height > innerHeight - 8 ? Math.max(8, y - height - 14) : y + 20}px`;
  return node;
}

/** What lies under a point of the axis. */
function under(x, y) {
  const row = axis.rows.find((one) => y >= one.y && y < one.y + one.height);
  if (!row) return null;
  const time = usAt(x);
  const reach = ((axis.to - axis.from) / axis.width) * 3;
  const slots = row.kind === "slot" ? [row] : row.kind === "group" && row.folded ? row.group.rows.filter((one) => one.kind === "slot") : [];
  let found = null;
  for (const slot of slots) {
    for (let at = firstAt(slot.cases, time - reach); at < slot.cases.length && run.begin[slot.cases[at]] <= time + reach; at += 1) {
      const index = slot.cases[at];
      const inside = run.begin[index] <= time && time <= run.ends[index];
      const score = (isRed(run.outcome[index]) ? 4 : 0) + (inside ? 2 : 0) + (slots.length === 1 ? 1 : 0);
      if (!found || score > found.score) found = { score, index };
    }
  }
  const moment = (row.track?.m ?? []).find(([, at]) => Math.abs(xOf(at) - x) < 5);
  const span = (row.track?.s ?? []).find(([, begin, end]) => begin <= time && time <= end);
  return { row, time, index: found?.index ?? null, moment, span };
}

let cardFor = 0;

async function describe(thing, x, y) {
  const mine = (cardFor += 1);
  const { row, time, index, moment, span } = thing;
  if (index !== null) {
    const lane = run.lanes[run.cases.lane[index]];
    const kind = run.outcome[index];
    const parts = [el("div", { class: CLASSES[kind] }, el("span", { class: `chip ${CLASSES[kind]}`, text: run.outcomes[kind] }), " ", el("b", { text: split(run.ids[index])[1] })),
      el("div", { class: "when", text: `${lane.n} · at ${point(run.begin[index])} · ${duration(run.cases.ms[index] * 1000)}` })];
    const message = run.cases.messages[run.cases.message[index] - 1];
    if (message) parts.push(el("div", { class: "said", text: message }));
    card(x, y, parts);
    const said = await around([...(await logs()).values()].filter((log) => run.stacks.some((stack) => stack.n === log.stack && isOn(lane, stack))), run.begin[index], run.ends[index]);
    if (said && mine === cardFor && $("card")) card(x, y, parts, said);
    return;
  }
  if (row.kind === "chart") {
    card(x, y, el("b", { text: row.label }), el("div", { class: "when", text: `at ${point(time)}` }), row.lines.map((line, number) => {
      const at = lowerBound(line.t, time / 1000 + 1e-6) - 1;
      return at < 0 ? null : el("div", { class: "said", text: `${line.service}: ${figure(line.v[at], line.unit)}` });
    }));
    return;
  }
  if (!span && !moment) { hideCard(); return; }
  const parts = [el("b", { text: row.kind === "track" && row.stack ? `${row.stack} / ${row.label}` : row.label })];
  if (span) parts.push(el("div", { class: "when", text: `${run.states[span[0]]} · ${point(span[1])} to ${point(span[2])} · ${duration(span[2] - span[1])}` }));
  if (span?.[3]) parts.push(el("div", { class: "said", text: span[3] }));
  if (moment) parts.push(el("div", { class: "said", text: `${run.kinds[moment[0]]} at ${point(moment[1])}: ${moment[2]}` }));
  card(x, y, parts);
  if (row.what !== "service") return;
  const log = (await logs()).get(`${row.stack}\n${row.label}`);
  const reach = Math.max(30_000, ((axis.to - axis.from) / axis.width) * 6);
  const said = log ? (await around([log], time - reach, time + reach)) ?? lastWords(log, time) : null;
  if (said && mine === cardFor && $("card")) card(x, y, parts, said);
}

/** What a silent log said last. */
function lastWords(log, time) {
  const at = lowerBound(log.times, time) - 1;
  return at < 0 ? null : el("div", { class: "log" }, el("div", {}, el("i", { text: `${point(log.times[at])}, ${duration(time - log.times[at])} before` }), log.lines[at].replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z?\s+/, "")));
}

/** The lines of some logs within a time, at most ten. */
async function around(some, from, to) {
  const found = [];
  let all = 0;
  for (const log of some) {
    const [first, last] = within(log, from, to);
    all += last - first;
    for (let at = Math.max(first, last - 10); at < last; at += 1) found.push([log.times[at], log.name, log.lines[at]]);
  }
  if (!all) return null;
  found.sort((a, b) => a[0] - b[0]);
  const shown = found.slice(-10);
  return el("div", { class: "log" }, all > shown.length ? el("div", {}, el("i", { text: `… ${number(all - shown.length)} lines before` })) : null,
    shown.map(([time, name, line]) => el("div", {}, el("i", { text: some.length > 1 ? `${point(time)} ${name}` : point(time) }), line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z?\s+/, ""))));
}
