const video = document.querySelector('video')
let hls, waiting, current

document.querySelector('#films').onclick = e => {
  const chosen = e.target.closest('button')
  if (!chosen) return
  if (chosen.dataset.path) return remove(chosen)
  const film = chosen.dataset.film
  choose(film ?? chosen.textContent, chosen.value, film ? ` (${chosen.textContent})` : '')
}
function choose(name, link, way = '') {
  document.querySelector('#playing').textContent = name + way
  mark(name)
  document.querySelector('#stage').hidden = false
  document.querySelector('#stage').scrollIntoView({block: 'nearest'})
  play(link)
}

async function remove(button) {
  if (!confirm(button.ariaLabel + '?')) return
  button.disabled = true
  const answer = await fetch(new URL(button.dataset.path, location.origin), {method: 'DELETE'}).catch(() => null)
  if (answer?.ok) button.closest('li').remove()
  else {
    button.disabled = false
    document.querySelector('#trouble').textContent = 'It is not deleted: ' + (answer ? await answer.text() : 'the server cannot be reached')
  }
}
function mark(name) {
  for (const b of document.querySelectorAll('#films button')) b.ariaCurrent = b.textContent === name ? 'true' : null
}
function play(link) {
  trouble('')
  hls?.destroy()
  hls = undefined
  current = link
  const playlist = /\.m3u8(\?|$)/.test(link)
  if (!playlist || video.canPlayType('application/vnd.apple.mpegurl')) {
    video.onerror = () => instead(link, playlist)
    video.src = link
    video.play().catch(() => {})
  } else {
    instead(link, playlist)
  }
}
// instead is for what the browser does not play by itself, or is not given.
async function instead(link, playlist) {
  video.onerror = null
  const answer = await fetch(link).catch(() => null)
  answer?.body?.cancel()
  if (link !== current) return
  if (!answer) trouble('the server cannot be reached')
  else if (!answer.ok) trouble(`the server answers ${answer.status} ${answer.statusText}`)
  else if (playlist) withScript(link)
  else trouble('this browser does not know its format')
}
async function withScript(link) {
  try {
    await (waiting ??= load())
  } catch {
    waiting = undefined
    return trouble('hls.js could not be loaded from cdn.jsdelivr.net')
  }
  if (link !== current) return
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
