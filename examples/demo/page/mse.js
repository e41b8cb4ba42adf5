// A small player for what the demo itself serves: fMP4 with picture and sound apart, whose timestamps run on for ever. It
// needs nothing but Media Source Extensions, so that the demo plays without a network. It plays the first quality, and whole
// segments in low latency, too. For any other stream take hls.js.
const lead = 3; // segments behind the newest where playing begins
const most = 40; // seconds that are kept before and behind what is shown

// Trouble has words for the viewer. Nothing is tried again.
class Trouble extends Error {}

export const supported = () => "MediaSource" in window;

export class Player {
  #video; #failed; #epoch = NaN; // what time it was when the timestamps began, in milliseconds
  #source = new MediaSource(); #ending = new AbortController();

  // failed is told, in words for the viewer, why it does not go on.
  constructor(video, url, failed) {
    this.#video = video;
    this.#failed = failed;
    for (const event of ["waiting", "timeupdate", "progress"]) {
      video.addEventListener(event, () => this.#jump(), { signal: this.#ending.signal });
    }
    this.#source.addEventListener("sourceopen", () => this.#play(url), { once: true });
    video.src = URL.createObjectURL(this.#source);
  }

  destroy() {
    this.#ending.abort();
    URL.revokeObjectURL(this.#video.src);
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  // playingDate is when the camera saw what is shown; null: not known yet.
  get playingDate() { return isNaN(this.#epoch) ? null : new Date(this.#epoch + this.#video.currentTime * 1000); }

  async #play(url) {
    try {
      const { url: base, body } = await this.#get(url, "text");
      const { video, audio, codecs } = multivariant(body, base);
      // All buffers must be there before the first is filled.
      const tracks = [[video, "video/mp4", codecs[0]], [audio, "audio/mp4", codecs[1]]]
        .map(([uri, type, codec]) => [uri, this.#source.addSourceBuffer(`${type}; codecs="${codec}"`)]);
      await Promise.all(tracks.map(([uri, buffer]) => this.#track(uri, buffer)));
    } catch (e) {
      if (this.#ending.signal.aborted) return;
      this.#ending.abort(); // the other track stops as well
      this.#failed(e instanceof Trouble ? e.message : `The demo's own player has failed (${e.message}). Reload the page.`);
    }
  }

  // #track follows a media playlist and appends its segments, without an end.
  async #track(playlist, buffer) {
    let next = -1, map = "";
    for (;;) {
      const { url, body } = await this.#get(playlist, "text"), list = media(body, url), end = list.first + list.segments.length;
      if (list.map !== map) {
        await append(buffer, await this.#get(list.map, "arrayBuffer"));
        map = list.map;
      }
      // After a long pause it begins at the edge again, as at the start.
      if (next < Math.max(list.first, end - 2 * lead)) next = Math.max(list.first, end - lead);
      for (; next < end; next++) {
        const { uri, date } = list.segments[next - list.first], first = !buffer.buffered.length;
        await append(buffer, await this.#get(uri, "arrayBuffer"));
        if (first && buffer.buffered.length) this.#epoch = date - buffer.buffered.start(0) * 1000;
        this.#jump();
      }
      await drop(buffer, this.#video.currentTime - most);
      do await this.#pause(list.target * 500);
      while (last(buffer) > this.#video.currentTime + most); // it is paused
    }
  }

  // #jump goes to what is there where nothing is left: at the start, and after a gap.
  #jump() {
    const { buffered, currentTime, seeking } = this.#video;
    for (let i = 0; i < buffered.length && !seeking; i++) {
      if (currentTime < buffered.end(i) - 0.1 && currentTime > buffered.start(i) - 0.2) return;
      if (buffered.start(i) > currentTime) {
        this.#video.currentTime = buffered.start(i) + 0.05;
        return;
      }
    }
  }

  // #get asks until there is an answer. A link that has ended stays so; what is no longer there is passed over, as null.
  async #get(url, as) {
    for (;;) {
      try {
        const answer = await fetch(url, { signal: AbortSignal.any([this.#ending.signal, AbortSignal.timeout(8000)]) });
        if (answer.ok) return as === "text" ? { url: answer.url, body: await answer.text() } : await answer[as]();
        if (answer.status === 401 || answer.status === 403) throw new Trouble(`This link does not open the stream: ${answer.status}. Reload the page for a new one.`);
        if (answer.status === 404 && as !== "text") return null;
      } catch (e) {
        if (e instanceof Trouble) throw e;
      }
      await this.#pause(500);
    }
  }

  async #pause(milliseconds) {
    await new Promise((done) => setTimeout(done, milliseconds));
    this.#ending.signal.throwIfAborted();
  }
}

const last = ({ buffered }) => buffered.length ? buffered.end(buffered.length - 1) : 0;

async function append(buffer, data) {
  if (data) await settled(buffer, () => buffer.appendBuffer(data));
}

async function drop(buffer, until) {
  if (buffer.buffered.length && buffer.buffered.start(0) < until) await settled(buffer, () => buffer.remove(0, until));
}

function settled(buffer, begin) {
  return new Promise((done, failed) => {
    buffer.onupdateend = done;
    buffer.onerror = () => failed(new Error("a segment is not understood"));
    begin();
  });
}

const attributes = (line) => Object.fromEntries([...line.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^,]*)/g)].map(([, name, value]) => [name, value.replaceAll('"', "")]));

// multivariant finds the first quality and its sound.
function multivariant(text, base) {
  const lines = text.split("\n").map((line) => line.trim()), at = lines.findIndex((line) => line.startsWith("#EXT-X-STREAM-INF:"));
  const sound = lines.find((line) => line.startsWith("#EXT-X-MEDIA:TYPE=AUDIO"));
  return {
    video: new URL(lines[at + 1], base).href, audio: new URL(attributes(sound).URI, base).href,
    codecs: attributes(lines[at]).CODECS.split(","),
  };
}

function media(text, base) {
  const list = { first: 0, target: 2, map: "", segments: [] };
  let date = NaN;
  for (const line of text.split("\n").map((line) => line.trim())) {
    const value = line.slice(line.indexOf(":") + 1);
    if (line.startsWith("#EXT-X-MEDIA-SEQUENCE:")) list.first = Number(value);
    else if (line.startsWith("#EXT-X-TARGETDURATION:")) list.target = Number(value);
    else if (line.startsWith("#EXT-X-MAP:")) list.map = new URL(attributes(value).URI, base).href;
    else if (line.startsWith("#EXT-X-PROGRAM-DATE-TIME:")) date = Date.parse(value);
    else if (line && !line.startsWith("#")) list.segments.push({ uri: new URL(line, base).href, date });
  }
  if (!list.map) throw new Trouble("Without hls.js this browser does not play MPEG-TS. Choose fMP4, or start the demo with -hlsjs FILE, your copy of hls.min.js.");
  return list;
}
