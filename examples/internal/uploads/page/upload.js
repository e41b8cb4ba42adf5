{
  const form = document.querySelector('form'), answer = document.querySelector('#answer'), jobs = document.querySelector('#jobs')
  const rows = new Map(), url = path => new URL(path, location.origin) // which has no password, unlike document.baseURI
  let mine = 0, events

  form.onsubmit = async e => {
    e.preventDefault()
    answer.textContent = ''
    const film = new FormData(form)
    form.elements.film.value = ''
    mine++
    try {
      const r = await fetch(url('/upload'), {method: 'POST', body: film})
      if (!r.ok && !r.headers.has('Vod-Job')) answer.textContent = await r.text() // else its row says why
    } catch {
      if (events?.readyState !== EventSource.OPEN) answer.textContent = 'The connection was lost.'
    }
    mine--
  }
  window.onbeforeunload = e => { if (mine) e.preventDefault() } // to leave is to give the film up

  // A browser opens few connections to one server: pages that nobody sees need none.
  function watch() {
    events?.close()
    if (document.hidden) return
    events = new EventSource(url('/jobs'), {withCredentials: true})
    events.onmessage = m => show(JSON.parse(m.data))
  }
  document.onvisibilitychange = watch
  watch()

  function show(list) {
    for (const [id, row] of rows) {
      if (!list.some(j => j.id === id)) { row.li.remove(); rows.delete(id) }
    }
    for (const j of list) {
      const row = rows.get(j.id) ?? add(j.id)
      const over = j.state === 'done' || j.state === 'failed'
      row.title.textContent = j.title || 'A film'
      row.text.textContent = describe(j)
      row.text.classList.toggle('bad', j.state === 'failed')
      row.cancel.hidden = over
      row.play.hidden = j.state !== 'done'
      row.play.value = j.link ?? ''
      if (row.image.hidden = !j.picture || j.state !== 'done') row.image.removeAttribute('src')
      else if (!row.image.src) row.image.src = url(`/jobs/${j.id}/picture`)
      row.bar.hidden = over || j.state === 'waiting'
      if (j.percent) row.bar.value = j.percent
      else row.bar.removeAttribute('value')
      if (j.state === 'done' && row.state !== 'done') refresh()
      row.state = j.state
    }
  }
  function add(id) {
    const li = document.querySelector('template').content.firstElementChild.cloneNode(true)
    const row = {li, image: li.querySelector('img'), title: li.querySelector('b'), bar: li.querySelector('progress'), text: li.querySelector('small'), cancel: li.querySelector('.cancel'), play: li.querySelector('.play')}
    row.play.onclick = () => choose(row.title.textContent, row.play.value)
    row.cancel.onclick = () => {
      row.cancel.disabled = true
      fetch(url('/jobs/' + id), {method: 'DELETE'})
    }
    jobs.prepend(li)
    rows.set(id, row)
    return row
  }
  function describe(j) {
    switch (j.state) {
      case 'arriving': return `arriving, ${j.percent} %`
      case 'waiting': return `waiting for ${j.ahead} other film${j.ahead > 1 ? 's' : ''}`
      case 'converting': return j.percent ? `being converted, ${j.percent} %` : 'being converted'
      case 'storing': return j.percent ? `being stored, ${j.percent} %` : 'being stored'
      case 'done': return `done: ${length(j.seconds ?? 0)}, ${(j.bytes / 1e6).toFixed(1)} MB in all sizes`
    }
    return j.message
  }
  const two = n => String(n).padStart(2, '0')
  const length = s => (s >= 3600 ? Math.floor(s / 3600) + ':' + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ':' + two(s % 60)
  // refresh takes the list of films from a new page, so that what plays plays on.
  async function refresh() {
    const text = await (await fetch(url('/'))).text()
    const films = new DOMParser().parseFromString(text, 'text/html').querySelector('#films')
    if (!films) return
    document.querySelector('#films').innerHTML = films.innerHTML
    mark(document.querySelector('#playing').textContent)
  }
}
