"use strict";
// The list of failures of each root cause, drawn when it is opened; search and filters. All text goes in as textContent.
const data = JSON.parse(document.getElementById("data").textContent);
const causes = [...document.querySelectorAll(".cause")];
const list = document.getElementById("causes");
const box = document.querySelector("input");
const source = document.getElementById("source");
const order = document.getElementById("order");
const found = document.getElementById("found");
const STEP = 100;
const TEXTS = ["name", "call", "line", "file"];
const lower = data.texts.map((text) => text.toLowerCase());
const heads = [];
let words = "";
let from = -1;
let most = 2 * STEP; // root causes that are shown
let hits = null; // of each text, whether it has the words

const number = (count) => count.toLocaleString("en-US");
const time = (seconds) => (seconds ? new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ") : "");

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function headHas(at) {
  heads[at] ??= (data.causes[at].head?.join("\n") ?? ["summary", ".story"].map((part) => causes[at].querySelector(part).textContent).join("\n")).toLowerCase();
  return heads[at].includes(words);
}

// The numbers of a cause's failures that are looked for.
function chosen(at) {
  const cause = data.causes[at];
  const whole = !words || headHas(at);
  const rows = [];
  for (let row = 0; row < cause.name.length; row++) {
    if (from >= 0 && cause.source[row] !== from) continue;
    if (whole || TEXTS.some((key) => hits[cause[key][row]])) rows.push(row);
  }
  return rows;
}

function fill(at, rows, until) {
  const cause = data.causes[at];
  const place = causes[at].querySelector(".list");
  const shown = rows.slice(0, until);
  const has = (key) => shown.some((row) => data.texts[cause[key][row]]);
  const columns = [["time", "time", shown.some((row) => cause.time[row])], ["name", "task", has("name")], ["call", "mono", has("call")],
    ["line", "", cause.many], ["file", "file", has("file")]].filter((column) => column[2]);
  const titles = { time: "time (UTC)", name: "task", call: "call", line: "error", file: "kept in" };
  const table = element("table", undefined, "rows");
  const head = table.createTHead().insertRow();
  for (const [key, className] of columns) head.append(element("th", titles[key], className));
  const body = table.createTBody();
  for (const row of shown) {
    const line = body.insertRow();
    for (const [key, className] of columns)
      line.append(element("td", key === "time" ? time(cause.time[row]) : data.texts[cause[key][row]], className));
  }
  place.replaceChildren(element("h2", rows.length === cause.count ? `${number(cause.count)} failures`.replace(/^1 failures/, "1 failure")
    : `${number(rows.length)} of ${number(cause.count)} failures`), table);
  if (rows.length > until) {
    const more = element("button", `${number(Math.min(5 * STEP, rows.length - until))} more`);
    more.type = "button";
    more.onclick = () => fill(at, rows, until + 5 * STEP);
    place.append(more);
  }
  const unlisted = cause.count - cause.name.length;
  if (unlisted) place.append(element("p", `${number(unlisted)} more are counted and not listed on this page`));
}

function draw(at) {
  fill(at, chosen(at), STEP);
}

// A cause's element: those of the page, or one made of what the data say.
function made(at) {
  if (causes[at]) return causes[at];
  const [type, message, place] = data.causes[at].head;
  const cause = element("details", undefined, "cause");
  const what = element("span", undefined, "what");
  what.append(element("b", type), message ? `: ${message}` : "", element("span", place, "at"));
  const summary = element("summary");
  summary.append(element("span", number(data.causes[at].count), "count"), what);
  const body = element("div", undefined, "body");
  body.append(element("p", data.without), element("div", undefined, "list"));
  cause.append(summary, body);
  watch(cause, at);
  return (causes[at] = cause);
}

function watch(cause, at) {
  cause.addEventListener("toggle", () => cause.open && draw(at));
}

// Show what is looked for, in the order that is chosen.
function look() {
  words = box.value.trim().toLowerCase();
  from = source ? Number(source.value) : -1;
  hits = words ? lower.map((text) => text.includes(words)) : null;
  const isAll = !words && from < 0;
  const counts = data.causes.map((cause, at) => (isAll || (from < 0 && headHas(at)) ? cause.count : chosen(at).length));
  const key = order ? order.value : "count";
  const rank = { count: (at) => -data.causes[at].count, last: (at) => -data.causes[at].last, first: (at) => data.causes[at].first || Infinity }[key];
  const shown = counts.map((_, at) => at).filter((at) => counts[at]).sort((a, b) => rank(a) - rank(b) || a - b);
  const elements = shown.slice(0, most).map((at) => {
    const cause = made(at);
    cause.querySelector(".count").textContent = number(counts[at]);
    if (cause.open) draw(at);
    return cause;
  });
  list.replaceChildren(...elements);
  if (shown.length > most) {
    const more = element("button", `${number(shown.length - most)} more root causes`);
    more.type = "button";
    more.onclick = () => {
      most += 5 * STEP;
      look();
    };
    list.append(more);
  }
  if (!shown.length) list.append(element("p", "nothing found", "none"));
  const failures = counts.reduce((sum, count) => sum + count, 0);
  found.textContent = isAll ? "" : `${number(failures)} ${failures === 1 ? "failure" : "failures"}, ${number(shown.length)} root ${shown.length === 1 ? "cause" : "causes"}`;
}

causes.forEach(watch);
let waiting = 0;
box?.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(look, 120);
});
source?.addEventListener("change", look);
order?.addEventListener("change", look);
document.querySelector("form")?.addEventListener("submit", (event) => event.preventDefault());
document.querySelector("form")?.removeAttribute("hidden");
if (data.causes.length > causes.length) look();
if (data.causes.length === 1) causes[0].open = true;
document.body.dataset.ready = "yes";
