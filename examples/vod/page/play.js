const video = document.querySelector('video')
let hls, waiting

document.querySelector('#films').onclick = e => {
  const chosen = e.target.closest('button')
  if (!chosen) return
  document.querySelector('#playing').textContent = chosen.textContent
  mark(chosen.textContent)
  document.querySelector('#stage').hidden = false
  document.querySelector('#stage').scrollIntoView({block: 'nearest'})
  play(chosen.value)
}

function mark(name) {
  for (const b of document.querySelectorAll('#films button')) b.toggleAttribute('aria-current', b.textContent === name)
}
function play(link) {
  trouble('')
  hls?.destroy()
  hls = undefined
  const playlist = /\.m3u8(\?|$)/.test(link)
  if (!playlist || video.canPlayType('application/vnd.apple.mpegurl')) {
    video.onerror = () => playlist ? withScript(link) : trouble(video.error.message)
    video.src = link
    video.play().catch(() => {})
  } else {
    withScript(link)
  }
}
async function withScript(link) {
  video.onerror = null
  try {
    await (waiting ??= load())
  } catch {
    waiting = undefined
    return trouble('hls.js could not be loaded')
  }
  hls = new Hls()
  hls.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) trouble(e.details + (e.response ? ' ' + e.response.code : '')) })
  hls.loadSource(link)
  hls.attachMedia(video)
  video.play().catch(() => {})
}
function load() {
  return new Promise((ok, failed) => {
    const script = document.createElement('script')
    script.src = 'https://cdn.jsdelivr.net/npm/hls.js@1.7.4/dist/hls.min.js'
    script.integrity = 'sha384-p9vgU/7IYJWd3I4STrtqxqR/2cAQlhIX7D/HrTnIMEjjcUox165b7se7sxmm3zDg'
    script.crossOrigin = 'anonymous'
    script.onload = ok
    script.onerror = failed
    document.head.append(script)
  })
}
function trouble(text) { document.querySelector('#trouble').textContent = text && 'It does not play: ' + text }
