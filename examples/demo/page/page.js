import * as chain from "./chain.js";
import { draw, lines, listen } from "./chart.js";
import { buffered, describe, play, trouble as unplayable } from "./player.js";

const $ = (selector) => document.querySelector(selector);
const trouble = $("#trouble"), button = $("#link"), local = $("main").dataset.local === "true";
let link = null, expired = false, dead = false, starved = 0;

const shape = () => $("#shape input:checked").value;

// begin gets a link and plays by it.
async function begin() {
  link = await (await fetch("/link", { cache: "no-store" })).json();
  expired = false;
  start();
}

function start() {
  $("#command").textContent = `ffplay ${location.origin}/hls/live/${shape() === "ts" ? "ts/" : ""}master.m3u8`;
  button.textContent = expired ? "Get a new link" : "Expire my link";
  button.disabled = !local && !expired;
  play(link[shape()]);
}

async function expire() {
  if (!await chain.control("expire", { session: link.session })) return;
  expired = true;
  button.textContent = "Get a new link";
  const answer = await fetch(link[shape()], { cache: "no-store" });
  chain.say(`The link now answers ${answer.status} ${answer.statusText}, and so does all that it led to. /hls/live/master.m3u8 stays open.`);
}

button.addEventListener("click", async () => {
  if (!expired) return expire();
  await begin();
  chain.say("A new link, a new session.");
});
$("#shape").addEventListener("change", start);

// tell says on the picture what is the matter with it.
function tell() {
  const left = buffered();
  const text = expired ? left > 0.2 ? `403: this link has expired. ${left.toFixed(1)} s are left to play.` : "403: this link has expired, and nothing is left to play."
    : unplayable() ? unplayable()
    : dead ? `Both origins are dead. ${left > 0.2 ? left.toFixed(1) + " s are left to play." : "The player keeps trying."}` : "";
  trouble.hidden = !text;
  if (trouble.textContent !== text) trouble.textContent = text;
  $("#playing").textContent = describe();
  // A player that has had nothing to play for three seconds although the origins live is begun anew.
  starved = expired || dead || unplayable() || left > 0.2 || $("#video").paused ? 0 : starved + 1;
  if (starved > 12) {
    starved = 0;
    start();
  }
}

async function poll() {
  try {
    const stats = await (await fetch("/stats", { cache: "no-store" })).json();
    const now = draw(stats.history);
    chain.show(stats, now);
    for (const name of lines) {
      $(`[data-line=${name}] b`).textContent = name === "viewers" ? stats.viewers : chain.rate(now?.[name] ?? 0);
    }
    const before = dead;
    dead = stats.origins.every((o) => !o.up);
    if (before && !dead && !expired && buffered() < 1) start(); // sooner than a player tries again by itself
  } catch {
    chain.say("The demo has ended.");
  }
  setTimeout(poll, 1000);
}

listen();
chain.listen();
begin().catch(() => {}); // poll says so, too
poll();
setInterval(tell, 250);
