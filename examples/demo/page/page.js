import { draw, listen } from "./chart.js";

const $ = (selector) => document.querySelector(selector);
const video = $("#video"), playing = $("#playing");
const forced = new URLSearchParams(location.search).get("player"); // "native" or "hls.js": for those who compare
let player = "", hls = null;

function script(src) {
  return new Promise((done, failed) => {
    document.head.append(Object.assign(document.createElement("script"), { src, onload: done, onerror: failed }));
  });
}

async function play(url) {
  hls?.destroy();
  hls = null;
  $("#command").textContent = `ffplay ${location.origin}${url}`;
  if (forced !== "hls.js" && video.canPlayType("application/vnd.apple.mpegurl")) {
    player = "the browser's own HLS";
    video.src = url;
  } else {
    await withScript(url);
  }
  video.play().catch(() => {}); // a browser that wants a click first shows its own button
}

async function withScript(url) {
  player = "hls.js";
  try {
    if (!window.Hls) await script($("main").dataset.hlsjs);
  } catch {
    playing.textContent = "hls.js could not be loaded; start the demo with -hlsjs FILE to serve your own copy";
    return;
  }
  hls = new Hls({ liveSyncDurationCount: 3 });
  hls.on(Hls.Events.ERROR, (_, e) => {
    if (!e.fatal) return;
    if (e.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else setTimeout(() => hls.loadSource(url), 1000);
  });
  hls.loadSource(url);
  hls.attachMedia(video);
}

const chosen = () => $("#shape input:checked").value;
video.addEventListener("error", () => { // the browser's own HLS may not know the shape
  if (!hls && !forced) withScript(chosen()).then(() => video.play()).catch(() => {});
});
$("#shape").addEventListener("change", () => play(chosen()));
play(chosen());

const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rate = (n) => n < 10 ? n.toFixed(1) : count.format(n);
const megabytes = (n) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0) + " MB";

function show(stats) {
  const last = draw(stats.history);
  for (const name of ["viewers", "hits", "joins", "origin"]) {
    const button = $(`[data-line=${name}]`);
    button.querySelector("b").textContent = name === "viewers" ? count.format(stats.viewers) : rate(last?.[name] ?? 0);
    if (name === "hits" || name === "joins") button.querySelector("small").textContent = `${count.format(stats[name])} so far`;
  }
  const { playlists, segments, bytes } = stats.origin;
  $("[data-line=origin] small").textContent = `${count.format(playlists)} playlists, ${count.format(segments)} segments`;
  const asked = stats.served.playlists + stats.served.segments, share = asked ? 100 * (1 - (playlists + segments) / asked) : 0;
  $("#saved").textContent = asked === 0 ? "" :
    `${count.format(asked)} requests answered, ${share.toFixed(1)} % of them without the origin: ` +
    `${megabytes(stats.served.bytes)} went out, ${megabytes(bytes)} came in.`;
  playing.textContent = video.videoHeight ? `${video.videoWidth} × ${video.videoHeight} by ${player}` : `starting with ${player}`;
}

async function poll() {
  try {
    const answer = await fetch("/stats", { cache: "no-store" });
    show(await answer.json());
  } catch {
    playing.textContent = "the demo has ended";
  }
  setTimeout(poll, 1000);
}
listen();
poll();
