// The player: hls.js or the browser's own HLS, and what there is to say about how it is doing.
const $ = (selector) => document.querySelector(selector);
const video = $("#video"), { hlsjs, lowLatency } = $("main").dataset;
const forced = new URLSearchParams(location.search).get("player"); // "native" or "hls.js": for those who compare
const native = () => video.canPlayType("application/vnd.apple.mpegurl");
let name = "", hls = null, current = "", problem = "";

function script(src) {
  return new Promise((done, failed) => {
    document.head.append(Object.assign(document.createElement("script"), { src, onload: done, onerror: failed }));
  });
}

// play starts a URL anew.
export async function play(url) {
  hls?.destroy();
  hls = null;
  current = url;
  problem = "";
  // Of the browsers with an HLS of their own some know no low latency.
  const own = native() && forced !== "hls.js" && (lowLatency !== "true" || forced === "native" || !window.MediaSource);
  if (own || !await withScript(url)) {
    name = "the browser's own HLS";
    video.src = url;
  }
  video.play().catch(() => {}); // a browser that wants a click first shows its own button
}

async function withScript(url) {
  name = "hls.js";
  try {
    if (!window.Hls) await script(hlsjs);
  } catch {
    problem = native() ? "" : "This browser needs hls.js, which could not be loaded. Start the demo with -hlsjs FILE, your copy of hls.min.js.";
    return !native();
  }
  if (!Hls.isSupported()) return false;
  // In low latency it plays a little faster until it is as close to live as the playlist allows.
  hls = new Hls(lowLatency === "true" ? { maxLiveSyncPlaybackRate: 1.5 } : { liveSyncDurationCount: 3 });
  hls.on(Hls.Events.ERROR, (_, e) => {
    const refused = e.response?.code === 401 || e.response?.code === 403;
    if (!e.fatal || refused) return; // a link that has ended stays so: the player shows what it has, and stops
    if (e.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else setTimeout(() => current === url && again(url), 1000); // a new player: the old one forgets to ask for the sound
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return true;
}

async function again(url) {
  hls?.destroy();
  hls = null;
  if (await withScript(url)) video.play().catch(() => {});
}

// trouble is why nothing plays, with what to do; "" while something does.
export const trouble = () => problem;

// The browser's own HLS may not know the shape, and gives up for good when something fails; hls.js can take over then, but
// not from a link that has ended.
video.addEventListener("error", async () => {
  const url = current;
  if (hls || forced === "native") return;
  await new Promise((done) => setTimeout(done, 1000));
  const status = await fetch(url, { cache: "no-store" }).then((answer) => answer.status, () => 0);
  if (url !== current || status === 401 || status === 403) return;
  if (await withScript(url)) video.play().catch(() => {});
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

// describe says what is being played, how far behind the camera.
export function describe() {
  if (problem) return "nothing plays";
  if (!video.videoHeight) return `starting with ${name}`;
  const shown = hls?.playingDate ?? (video.getStartDate ? new Date(video.getStartDate().getTime() + video.currentTime * 1000) : null);
  const behind = shown && !isNaN(shown) ? ` · ${((Date.now() - shown) / 1000).toFixed(1)} s behind live` : "";
  return `${video.videoWidth} × ${video.videoHeight}${behind} · ${name}`;
}
