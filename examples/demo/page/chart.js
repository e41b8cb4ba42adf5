// A line chart of /stats' history, drawn anew each second. One axis for everything: a logarithmic one, since the point
// of the picture is that two of the lines are in the hundreds while the origin's stays below ten.
export const lines = ["viewers", "hits", "joins", "origin", "ahead"].filter((name) => document.querySelector(`[data-line=${name}]`));
const names = { viewers: "viewers", hits: "hits/s", joins: "joins/s", origin: "origin requests/s", ahead: "fetched ahead/s" };
const span = 120, smooth = 6; // seconds
const box = document.querySelector("#chart"), read = document.querySelector("#read"), hint = read.textContent;
const shown = (name) => document.querySelector(`[data-line=${name}]`).ariaPressed === "true";
let samples = [], cursor = null; // seconds before now

// averages smooths a playlist's rhythm out of the counts; viewers are a level, not a count.
const averages = (history) => history.map((at, i) => {
  const part = history.slice(Math.max(0, i - smooth + 1), i + 1);
  const mean = (name) => part.reduce((sum, s) => sum + s[name], 0) / part.length;
  return { viewers: at.viewers, requests: mean("requests"), hits: mean("hits"), joins: mean("joins"), origin: mean("origin"), ahead: mean("ahead"), note: at.note };
});

// draw shows a history of one sample a second, oldest first, and returns the newest as drawn.
export function draw(history) {
  samples = averages(history);
  render();
  return samples.at(-1);
}

function render() {
  const width = box.clientWidth, height = box.clientHeight, left = 38, right = 10, bottom = 24;
  const most = Math.max(9, ...samples.flatMap((s) => lines.filter(shown).map((name) => s[name])));
  const x = (ago) => width - right - (ago / span) * (width - left - right);
  const rows = rowsOf(x), top = 8 + 14 * Math.max(0, ...[...rows.values()].map((row) => row + 1));
  const y = (value) => height - bottom - (Math.log1p(value) / Math.log1p(most * 1.15)) * (height - top - bottom);
  const ticks = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000].filter((t) => t <= most * 1.15);
  const times = [[span, "2 min ago", "start"], [span / 2, "1 min ago", "middle"], [0, "now", "end"]];
  const path = (name) => samples.map((s, i) => `${i ? "L" : "M"}${x(samples.length - 1 - i).toFixed(1)} ${y(s[name]).toFixed(1)}`).join("");
  box.innerHTML = `<svg width="${width}" height="${height}" aria-hidden="true">` +
    ticks.map((t) => `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(t)}" y2="${y(t)}"/>` +
      `<text x="${left - 8}" y="${y(t) + 4}" text-anchor="end">${t}</text>`).join("") +
    times.map(([ago, text, anchor]) => `<text x="${x(ago)}" y="${height - 6}" text-anchor="${anchor}">${text}</text>`).join("") +
    [...rows].map(([i, row]) => mark(i, row, x, top, height - bottom)).join("") +
    lines.filter(shown).map((name) => `<path class="${name}" data-line="${name}" d="${path(name)}"/>`).join("") +
    (cursor === null ? "" : `<line class="cursor" x1="${x(cursor)}" x2="${x(cursor)}" y1="${top}" y2="${height - bottom}"/>`) +
    "</svg>";
  box.ariaLabel = "Chart of the last two minutes. Now: " + describe(samples.at(-1));
  read.textContent = cursor === null ? hint : `${cursor} s ago: ${describe(samples.at(-1 - cursor))}.`;
}

// rowsOf spreads the labels of what somebody did over a few rows, so that none runs into another: the newest first, and
// what then finds no place keeps its line only. A label ends at its mark.
const labelWidth = (note) => 7.2 * note.length + 12;
function rowsOf(x) {
  const free = [Infinity, Infinity, Infinity], rows = new Map();
  for (let i = samples.length - 1; i >= 0; i--) {
    if (!samples[i].note) continue;
    const from = x(samples.length - 1 - i) - labelWidth(samples[i].note);
    const row = from < 0 ? -1 : free.findIndex((end) => x(samples.length - 1 - i) <= end);
    if (row >= 0) free[row] = from;
    rows.set(i, row);
  }
  return rows;
}

function mark(i, row, x, top, bottom) {
  const at = x(samples.length - 1 - i), y = 11 + 14 * row;
  return `<line class="mark" x1="${at}" x2="${at}" y1="${row < 0 ? top : y - 9}" y2="${bottom}"/>` +
    (row < 0 ? "" : `<text class="mark" x="${at - 5}" y="${y}" text-anchor="end">${samples[i].note}</text>`);
}

function describe(sample) {
  if (!sample) return "nothing yet";
  return lines.map((name) => `${name === "viewers" ? sample[name] : sample[name].toFixed(1)} ${names[name]}`).join(", ") +
    (sample.note ? `; ${sample.note}` : "");
}

function point(ago) {
  cursor = ago === null ? null : Math.max(0, Math.min(span, samples.length - 1, Math.round(ago)));
  render();
}

// listen lets pointer and keys move the cursor, and the counters' buttons choose the lines.
export function listen() {
  const keys = { ArrowLeft: 1, ArrowRight: -1, PageUp: 10, PageDown: -10, Home: span, End: -span };
  box.addEventListener("keydown", (e) => {
    if (e.key === "Escape") point(null);
    if (!(e.key in keys)) return;
    e.preventDefault();
    point((cursor ?? 0) + (cursor === null ? 0 : keys[e.key]));
  });
  box.addEventListener("pointermove", (e) => {
    const { left, width } = box.getBoundingClientRect();
    point(((left + width - 10 - e.clientX) / (width - 48)) * span);
  });
  box.addEventListener("pointerleave", () => point(null));
  box.addEventListener("blur", () => point(null));
  for (const name of lines) {
    document.querySelector(`[data-line=${name}]`).addEventListener("click", (e) => {
      e.currentTarget.ariaPressed = String(!shown(name));
      render();
    });
  }
  new ResizeObserver(render).observe(box);
}
