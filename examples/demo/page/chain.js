// The chain: live numbers at each stage, and the buttons that meddle with it.
const $ = (selector) => document.querySelector(selector);
const local = $("main").dataset.local === "true";
const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const bytes = (n) => n < 1e9 ? (n / 1e6).toFixed(n < 1e7 ? 1 : 0) + " MB" : (n / 1e9).toFixed(2) + " GB";
export const rate = (n) => n < 10 ? n.toFixed(1) : count.format(n);
let simulated = 0, before = null;

const plural = (n, name) => `${short.format(n)} ${name}${n === 1 ? "" : name === "miss" ? "es" : "s"}`;
const sums = (samples) => samples.reduce((sum, s) => ({ refused: sum.refused + s.refused, failed: sum.failed + s.failed }), { refused: 0, failed: 0 });

export function say(text) { $("#said").textContent = text; }

// control does what a button says, and reports whether it could.
export async function control(what, values) {
  try {
    const answer = await fetch("/control/" + what, { method: "POST", body: new URLSearchParams(values) });
    if (!answer.ok) say(await answer.text());
    return answer.ok;
  } catch {
    return false;
  }
}

// show fills in the numbers of /stats; now is the chart's newest second.
export function show(stats, now) {
  const { served, origin } = stats, lately = sums(stats.history.slice(-60)), asked = served.playlists + served.segments, reached = origin.playlists + origin.segments;
  simulated = stats.simulated;
  $("#viewers .big b").textContent = count.format(stats.viewers);
  $("#viewers .small").textContent = simulated ? `you, and a crowd of ${simulated}` : "you, and a simulated crowd";
  $("#front .big b").textContent = rate(now?.requests ?? 0);
  $("#front .small").textContent = `${count.format(asked)} so far` +
    (lately.refused ? `, ${count.format(lately.refused)} refused` : "") + (lately.failed ? `, ${count.format(lately.failed)} failed` : "") +
    (lately.refused || lately.failed ? " in the last minute" : "");
  const share = now?.requests ? Math.min(100, 100 * Math.max(0, now.hits + now.joins - (stats.history.at(-1)?.failed ?? 0)) / now.requests) : 0;
  $("#cache .big b").textContent = share.toFixed(share > 10 && share < 99.95 ? 1 : 0) + " %";
  $("#cache .small").textContent = [["hit", stats.hits], ["join", stats.joins], ["miss", stats.misses]].map(([name, n]) => plural(n, name)).join(", ");
  $("#cache").className = stats.cache ? "" : "off";
  $("#switch").textContent = stats.cache ? "Switch it off" : "Switch it on";
  for (const [i, o] of stats.origins.entries()) showOrigin(o, before?.origins[i]);
  $("#saved").textContent = asked && served.bytes ? `${bytes(served.bytes)} out, ${bytes(origin.bytes)} in: ` +
    `${Math.max(0, 100 * (1 - origin.bytes / served.bytes)).toFixed(1)} % saved` : "";
  $("#viewers").style.setProperty("--flow", JSON.stringify(rate(now?.requests ?? 0) + "/s"));
  $("#front").style.setProperty("--flow", JSON.stringify(rate(now?.requests ?? 0) + "/s"));
  $("#cache").style.setProperty("--flow", JSON.stringify(rate(now?.origin ?? 0) + "/s"));
  before = stats;
}

function showOrigin(o, last) {
  const row = $(`[data-origin=${o.name}]`), since = last ? o.playlists + o.segments - last.playlists - last.segments : 0;
  row.className = !o.up ? "dead" : o.healthy ? "" : "out";
  row.querySelector("span").textContent = !o.up ? "dead" : !o.healthy ? "back, not trusted yet" :
    `${count.format(o.playlists + o.segments)} requests` + (since ? `, + ${since}` : "");
  const button = row.querySelector("button");
  button.textContent = o.up ? "Kill" : "Revive";
  button.ariaLabel = `${button.textContent} origin ${o.name}`;
}

// listen gives the buttons their work. They do nothing from another machine than the demo's own.
export function listen() {
  for (const button of document.querySelectorAll("[data-crowd]")) {
    button.addEventListener("click", async () => {
      const more = Number(button.dataset.crowd), n = more ? Math.min(500, simulated + more) : 0;
      if (await control("viewers", { count: n })) {
        simulated = n;
        say(n ? `A crowd of ${n} is on its way in. The line of origin requests should stay flat.` : "The crowd is leaving: the last of it is counted for six seconds more.");
      }
    });
  }
  $("#switch").addEventListener("click", async () => {
    const on = $("#cache").className === "off";
    if (await control("cache", { on })) say(on ? "The cache is back: one fetch for all." : "No cache: every request goes to an origin. Try it with a crowd.");
  });
  for (const row of document.querySelectorAll("[data-origin]")) {
    row.querySelector("button").addEventListener("click", async () => {
      const name = row.dataset.origin, up = row.className === "dead";
      if (await control("origin", { name, up })) say(up ? `Origin ${name} is back; the pool tries it again in a while.` : `Origin ${name} is gone, in the middle of whatever it was sending.`);
    });
  }
  if (local) return;
  for (const button of document.querySelectorAll(".chain button:not(#link)")) button.disabled = true;
  say("The buttons work on the machine that the demo runs on.");
}
