// Plays what stands behind the # of the page's URL, in the player that it names, and reports what comes of it.
const job = JSON.parse(decodeURIComponent(location.hash.slice(1)))
const video = document.querySelector('video')
const report = {
  id: job.id, version: '', played: 0, currentTime: 0, duration: 0, frames: 0, requests: 0, hosts: [],
  ended: false, cues: 0, parts: 0, breaks: 0, iframes: 0, thumbnails: 0, errors: [],
}
performance.setResourceTimingBufferSize(10000)

const players = {
  'hls.js': async () => {
    await load('/players/hls.js')
    report.version = Hls.version
    const hls = new Hls({ xhrSetup: xhr => { xhr.withCredentials = job.credentials } })
    hls.on(Hls.Events.FRAG_LOADED, (_, data) => { if (data.part) report.parts++ })
    hls.on(Hls.Events.INTERSTITIAL_ASSET_ENDED, () => report.breaks++)
    hls.on(Hls.Events.ERROR, (_, e) => fails(e.fatal, e.details, e.response?.code ?? -1, e.error ?? e.reason, e.type))
    hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, () => { hls.subtitleTrack = 0 })
    hls.on(Hls.Events.MANIFEST_PARSED, play)
    if (job.look === 'iframes') hls.once(Hls.Events.LEVEL_LOADED, () => preview(hls))
    hls.loadSource(job.url)
    hls.attachMedia(video)
  },
  'Shaka': async () => {
    await load('/players/shaka.js')
    report.version = shaka.Player.version
    shaka.polyfill.installAll()
    const player = new shaka.Player()
    player.addEventListener('error', e => shakaFails(e.detail))
    player.getAdManager().addEventListener('ad-complete', () => report.breaks++)
    let track
    player.addEventListener('sessiondata', e => { if (e.id === 'com.example.thumbnails') track = e.uri })
    await player.attach(video)
    try {
      await player.load(job.url)
    } catch (e) {
      return shakaFails(e)
    }
    const text = player.getTextTracks()[0]
    if (text) {
      player.selectTextTrack(text)
      player.setTextTrackVisibility?.(true)
    }
    play()
    if (track) await thumbnails(player, track)
    if (job.look !== 'iframes') return
    setTimeout(() => player.trickPlay(2), 500)
    setTimeout(() => player.cancelTrickPlay(), 2500)
  },
  'video.js': async () => {
    await load('/players/video.js')
    report.version = videojs.VERSION
    const player = videojs(video, { html5: { vhs: { overrideNative: true } } })
    player.on('error', () => fails(true, player.error().message, -1, player.error().code))
    cues = () => {
      const texts = Array.from(player.textTracks()).filter(t => t.kind === 'subtitles')
      for (const t of texts) if (t.mode !== 'showing') t.mode = 'showing'
      return texts.reduce((n, t) => n + (t.cues?.length ?? 0), 0)
    }
    player.src({ src: job.url, type: 'application/vnd.apple.mpegurl' })
    player.ready(() => play())
  },
  'file': async () => {
    video.onerror = () => fails(true, 'media', -1, video.error.message)
    video.src = job.url
    play()
  },
  'native, CORS': async () => {
    video.crossOrigin = 'anonymous'
    players.native()
  },
  'native': async () => {
    report.version = navigator.userAgent.match(/Chrom\w+\/[\d.]+/)?.[0]
    video.onerror = () => fails(true, 'media', -1, video.error.message)
    video.src = job.url
    play()
  },
}

let cues = () => Array.from(video.textTracks).reduce((n, t) => n + (t.kind === 'subtitles' ? t.cues?.length ?? 0 : 0), 0)

// preview has a second player show the I-frame of a time, as over a seek bar.
function preview(hls) {
  const other = document.createElement('video')
  other.muted = true
  document.body.append(other)
  const frames = hls.createIFramePlayer()
  if (!frames) return
  frames.on(Hls.Events.FRAG_BUFFERED, () => report.iframes++)
  frames.on(Hls.Events.ERROR, (_, e) => fails(e.fatal, 'I-frames: ' + e.details, e.response?.code ?? -1, e.error))
  frames.attachMedia(other)
  setTimeout(() => frames.loadMediaAt(9, { seekOnAppend: true }), 500)
}

// thumbnails adds a track, and counts what it shows as over a seek bar: a part of a picture that another site lets be read.
async function thumbnails(player, uri) {
  const track = await player.addThumbnailsTrack(uri, 'text/vtt')
  for (const thumbnail of await player.getAllThumbnails(track.id)) {
    const picture = new Image()
    picture.crossOrigin = 'anonymous'
    picture.src = thumbnail.uris[0]
    await picture.decode()
    const { positionX: x, positionY: y, width, height } = thumbnail
    if (x + width <= picture.naturalWidth && y + height <= picture.naturalHeight) report.thumbnails++
  }
}

function play() {
  video.play().catch(e => { if (e.name !== 'AbortError') fails(true, 'play', -1, e) })
}

function fails(fatal, details, code, text, type = '') {
  report.errors.push({ fatal, type, details: String(details), code, text: String(text ?? '') })
}

function shakaFails(e) {
  fails(e.severity === 2 || e.severity === undefined, 'Shaka ' + e.code, e.code === 1001 ? e.data[1] : -1, JSON.stringify(e.data) ?? e)
}

function load(src) {
  return new Promise((ok, failed) => {
    const script = document.createElement('script')
    script.src = src
    script.onload = ok
    script.onerror = () => failed(new Error('no ' + src))
    document.head.append(script)
  })
}

// through seeks ahead once the beginning has been shown, and waits for the end.
let sought = false
video.onended = () => { if (sought) report.ended = true }
function through() {
  if (job.plan !== 'through' || sought || report.played < 1.2) return
  if (job.look === 'iframes' && report.played < 3) return
  sought = true
  if (job.seek) video.currentTime = job.seek
}

async function tell() {
  report.currentTime = video.currentTime
  report.duration = Number.isFinite(video.duration) ? video.duration : 0
  report.frames = video.getVideoPlaybackQuality().totalVideoFrames
  report.played = 0
  for (let i = 0; i < video.played.length; i++) report.played += video.played.end(i) - video.played.start(i)
  report.cues = Math.max(report.cues, cues())
  const foreign = performance.getEntriesByType('resource').map(e => new URL(e.name)).filter(u => u.protocol.startsWith('http') && u.origin !== location.origin)
  report.requests = foreign.length
  report.hosts = Array.from(new Set(foreign.map(u => u.origin)))
  if (job.player === 'Shaka') report.iframes = foreign.filter(u => u.pathname.endsWith('/all.mp4')).length
  if (job.player !== 'hls.js') report.parts = foreign.filter(u => /\d\.\d\.(m4s|mp4)$/.test(u.pathname)).length
  through()
  await fetch('/report', { method: 'POST', body: JSON.stringify(report) }).catch(() => {})
  setTimeout(tell, 150)
}
players[job.player]().catch(e => fails(true, 'page', -1, e))
tell()
