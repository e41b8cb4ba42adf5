// The player: hls.js, the browser's own HLS or, where there is neither, the demo's own; and what there is to say about it.
import * as mse from "./mse.js";

const $ = (selector) => document.querySelector(selector);
const video = $("#video"), { hlsjs, lowLatency, epoch, segment } = $("main").dataset;
const forced = new URLSearchParams(location.search).get("player"); // "native", "hls.js" or "own", to compare the players
const native = () => video.canPlayType("application/vnd.apple.mpegurl");
let name = "", player = null, turn = {}, problem = "", script = null;

// loaded reports whether hls.js is there. Without a network some browsers keep trying for long.
function loaded() {
  return script ??= new Promise((done) => {
    const element = Object.assign(document.createElement("script"), { src: hlsjs, onload: () => done(Hls.isSupported()), onerror: () => done(false) });
    document.head.append(element);
    setTimeout(done, 5000, false);
  });
}

// play starts a URL anew.
export async function play(url) {
  const mine = turn = { url };
  player?.destroy();
  player = began = null;
  newest = 0;
  problem = "";
  // Of the browsers with an HLS of their own some know no low latency.
  const first = native() && (lowLatency !== "true" || !mse.supported()) ? "native" : "hls.js";
  if ((forced ?? first) === "native") withNative(url);
  else await instead(mine);
  if (mine === turn) video.play().catch(() => {}); // a browser that wants a click first shows its own button
}

function withNative(url) {
  name = "the browser's own HLS";
  video.src = url;
}

// instead plays by hls.js, or if that could not be loaded by what there is.
async function instead(mine) {
  const found = forced !== "own" && await loaded(), { url } = mine;
  if (mine !== turn) return; // another has begun meanwhile
  if (found) withScript(url);
  else if (native() && (url.includes("/ts/") || !mse.supported())) withNative(url);
  else if (mse.supported()) withOwn(url);
  else problem = "This browser plays no HLS, and hls.js does not run in it. Open this page in another one.";
}

function withScript(url) {
  name = "hls.js";
  // In low latency it plays a little faster until it is as close to live as the playlist allows.
  const hls = player = new Hls(lowLatency === "true" ? { maxLiveSyncPlaybackRate: 1.5 } : { liveSyncDurationCount: 3 });
  hls.on(Hls.Events.ERROR, (_, e) => {
    const refused = e.response?.code === 401 || e.response?.code === 403;
    if (!e.fatal || refused) return; // a link that has ended stays so: the player shows what it has, and stops
    if (e.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else setTimeout(() => player === hls && play(url), 1000); // a new player: the old one forgets to ask for the sound
  });
  hls.loadSource(url);
  hls.attachMedia(video);
}

function withOwn(url) {
  name = "the demo's own player";
  const own = player = new mse.Player(video, url, (why) => { if (player === own) problem = why; });
}

// trouble is why nothing plays, with what to do; "" while something does.
export const trouble = () => problem;

// The browser's own HLS may not know the shape, and gives up for good when something fails; hls.js can take over then, but
// not from a link that has ended.
video.addEventListener("error", async () => {
  const mine = turn;
  if (player || forced === "native") return;
  await new Promise((done) => setTimeout(done, 1000));
  const status = await fetch(mine.url, { cache: "no-store" }).then((answer) => answer.status, () => 0);
  if (mine !== turn || status === 401 || status === 403) return;
  await instead(mine);
  if (mine === turn) video.play().catch(() => {});
});

// buffered is how many seconds the player could go on for without a network.
export function buffered() {
  if (video.error) return 0; // whatever is left, it does not play on
  for (let i = 0; i < video.buffered.length; i++) {
    if (video.buffered.start(i) <= video.currentTime + 0.1 && video.currentTime <= video.buffered.end(i)) {
      return video.buffered.end(i) - video.currentTime;
    }
  }
  return 0;
}

// Safari says when the camera saw what is shown, and Chromium's own HLS does not. It is told by the newest segment that was
// loaded, which ends where the buffer ends: so it is noted once nothing has been loaded for a while.
let newest = 0, loadedAt = 0, began = null; // a segment, when, and the date at which the time of the video is zero
if (window.PerformanceObserver) {
  new PerformanceObserver((list) => {
    for (const { initiatorType, name, responseStatus, responseEnd } of list.getEntries()) {
      const number = /\/v\d\/(\d+)\.(m4s|ts)/.exec(new URL(name).pathname)?.[1];
      if (initiatorType !== "video" || !number || responseStatus >= 400) continue;
      [newest, loadedAt] = [+number, responseEnd];
    }
  }).observe({ type: "resource" });
}

function playingDate() {
  if (player) return player.playingDate;
  if (video.getStartDate) return new Date(video.getStartDate().getTime() + video.currentTime * 1000);
  const left = buffered(), quiet = performance.now() - loadedAt > 700;
  if (newest && quiet && left) began = +epoch + (newest + 1) * segment - (video.currentTime + left) * 1000;
  return began && new Date(began + video.currentTime * 1000);
}

// describe says what is being played, how far behind the camera.
export function describe() {
  if (problem && !buffered()) return "nothing plays";
  if (!video.videoHeight) return `starting with ${name}`;
  const shown = playingDate();
  const behind = shown && !isNaN(shown) ? ` · ${((Date.now() - shown) / 1000).toFixed(1)} s behind live` : "";
  return `${video.videoWidth} × ${video.videoHeight}${behind} · ${name}`;
}
