// The page's own words: elements, numbers, colours, and the data that lies in the page.

const $ = (id) => document.getElementById(id);

/** An element. What comes from the run is only ever set as text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) node.append(child);
  return node;
}

const pad = (number, digits = 2) => String(number).padStart(digits, "0");

/** A duration as the rest of Testbed writes it; finer below a hundredth of a second. */
function duration(us) {
  const ms = Math.round(us / 1000);
  if (us < 1000) return `${us.toFixed(0)} µs`;
  if (us < 100_000) return `${(us / 1000).toPrecision(3)} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 10) return `${seconds}.${pad(Math.floor((ms % 1000) / 10))} s`;
  if (seconds < 60) return `${seconds}.${Math.floor((ms % 1000) / 100)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} min`;
}

/** A point of the axis: `1:23.456`, with as many digits as a step needs. */
function point(us, step = 1000) {
  const digits = step >= 1e6 ? 0 : step >= 1e5 ? 1 : step >= 1e4 ? 2 : step >= 1000 ? 3 : 6;
  const all = us / 1e6;
  const minutes = Math.floor(all / 60 + 1e-9);
  const seconds = (all - minutes * 60).toFixed(digits);
  if (minutes === 0) return `${seconds} s`;
  return `${minutes}:${Number(seconds) < 10 ? "0" : ""}${seconds}`;
}

const number = (value) => value.toLocaleString("en-US");

/** A figure with its unit. */
function figure(value, unit) {
  if (unit === "bytes" || unit === "bytes_per_second") {
    const names = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    while (value >= 1024 && at < names.length - 1) { value /= 1024; at += 1; }
    return `${value >= 100 || at === 0 ? value.toFixed(0) : value.toFixed(1)} ${names[at]}${unit === "bytes" ? "" : "/s"}`;
  }
  if (unit === "seconds") return duration(value * 1e6);
  if (unit === "ratio") return `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
  const text = value >= 1000 ? number(Math.round(value)) : String(Number(value.toPrecision(3)));
  return unit === "cores" ? `${text} cores` : unit === "per_second" ? `${text}/s` : text;
}

/** The classes of the outcomes, by their numbers. */
const CLASSES = ["passed", "failed", "error", "timed-out", "skipped", "expected", "interrupted", "flaky", "interrupted", "skipped"];
/** Which of two outcomes is seen where there is room for one. */
const RANK = [1, 9, 8, 7, 0, 2, 6, 3, 5, 0];
const isRed = (outcome) => outcome >= 1 && outcome <= 3;
/** The classes of the states, by their numbers. */
const STATES = ["prepare", "create", "start", "ready", "down", "again", "stop", "prepare", "tool", "tool"];

/** Colours as the browser resolves them in this theme, for the canvases. */
const colours = {};
function readColours() {
  const probe = el("i");
  document.body.append(probe);
  for (const name of ["bg", "paper", "sunken", "ink", "soft", "faint", "line", "line-strong", "hover", "accent", "passed", "failed", "error",
    "timed-out", "flaky", "expected", "skipped", "interrupted", "broken", "prepare", "create", "start", "ready", "again", "stop", "tool"]) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  colours.down = colours.failed;
  probe.remove();
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (document.documentElement.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  colours.dark = dark;
  colours.lines = dark
    ? ["#7fabff", "#f2b84b", "#6fd3a0", "#e88bc4", "#a99bf5", "#5cc7d8", "#f08a6b", "#b8c26a"]
    : ["#2d63d6", "#c47f00", "#1f8f5c", "#b8388a", "#6a4fd0", "#0f8299", "#c9512b", "#74801a"];
}

function decoded(text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** Unpacks data of the page: base64 of deflated JSON. */
async function unpack(id) {
  const text = $(id).textContent;
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : decoded(atob(text));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

/** What is unpacked when it is first asked for. */
function once(make) {
  let promise = null;
  return () => (promise ??= make());
}

const texts = once(() => unpack("data-texts"));

/** The logs by stack and name, each with the times of its lines in microseconds. */
const logs = once(async () => {
  const all = new Map();
  for (const log of await unpack("data-logs")) {
    const lines = log.x.split("\n");
    lines.pop();
    const times = new Float64Array(log.t.length);
    let at = 0;
    log.t.forEach((step, index) => { at += step; times[index] = at * 1000; });
    all.set(`${log.k ?? ""}\n${log.n}`, { lines, times, omitted: log.o, stack: log.k, name: log.n });
  }
  return all;
});

/** The first index whose value is at least so much. */
function lowerBound(values, least) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < least) low = middle + 1; else high = middle;
  }
  return low;
}

/** The indexes of a log's lines within a time. */
const within = (log, from, to) => [lowerBound(log.times, from), lowerBound(log.times, to + 1)];

/** A case's id in two: where it is, and its own name. */
function split(id) {
  const head = id.split("[", 1)[0];
  const at = head.lastIndexOf("::");
  return at < 0 ? ["", id] : [id.slice(0, at + 2), id.slice(at + 2)];
}

/** A word for a shell, as a person would quote it. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

/** The run. */
let run = null;

/** Turns the columns into what is fast to ask. */
function open(core) {
  const { cases } = core;
  const ids = cases.id.split("\n");
  ids.pop();
  const count = ids.length;
  const begin = new Float64Array(count);
  const ends = new Float64Array(count);
  const outcome = new Uint8Array(count);
  const hasText = new Set(cases.texts);
  const slots = core.lanes.map((lane) => Array.from({ length: lane.slots }, () => []));
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    at += cases.t[index];
    outcome[index] = cases.o.charCodeAt(index) - 48;
    begin[index] = at;
    ends[index] = at + cases.d[index];
    if (outcome[index] !== 9) slots[cases.lane[index]][cases.slot[index]].push(index);
  }
  run = { ...core, ids, count, begin, ends, outcome, hasText, slots };
}
