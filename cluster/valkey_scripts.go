package cluster

// Only the engine's own clock is used, so that nodes' clocks need not agree. A node is written as "URL#START", and START is new
// each time it starts: entries of an earlier start at the same address no longer count.
//
// Under a key is a list of nodes, the holder first. A node that asks will soon have a copy, and is added: if the nodes before
// it are gone, it is the holder.

// holdScript returns the holder of a key. KEYS: the key, the nodes. ARGV: the asking node, how long a node without a heartbeat
// lives (ms), how long the key is kept (ms), the URL of a node that is gone, or "".
const holdScript = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local list, first, mine = {}, nil, false
for node in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do
  local alive = node == ARGV[1]
  mine = mine or alive
  if not alive and string.match(node, '^[^#]*') ~= ARGV[4] then
    local beat = redis.call('ZSCORE', KEYS[2], node)
    alive = beat and tonumber(beat) > now - tonumber(ARGV[2])
  end
  if alive then
    list[#list + 1] = node
    first = first or node
  end
end
if not mine and #list < 4 then
  list[#list + 1] = ARGV[1]
end
redis.call('SET', KEYS[1], table.concat(list, ' '), 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], 'NX', now, ARGV[1]) -- who asks is alive, though the engine may have been emptied
return first or ARGV[1]
`

// beatScript says that a node is alive. It returns the nodes that are alive, those that lately were, the [position] of the end
// of the log of purges, since when all this is known, and the time (ms). KEYS: the nodes, the log, how far nodes have read it,
// since when. ARGV: the node, its URL, how long a node without a heartbeat lives (ms), how long it is remembered (ms), how far
// it has read the log, or "".
const beatScript = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[4]))) do
  redis.call('ZREM', KEYS[1], node)
  redis.call('HDEL', KEYS[3], (string.gsub(node, '#.*', '')))
end
for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if node ~= ARGV[1] and string.gsub(node, '#.*', '') == ARGV[2] then
    redis.call('ZREM', KEYS[1], node)
  end
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('SET', KEYS[4], ARGV[1] .. now, 'NX')
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[5])
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {
  redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. (now - tonumber(ARGV[3])), '+inf'),
  redis.call('ZRANGE', KEYS[1], 0, -1),
  last[1] and last[1][1] .. ' ' .. last[1][2][2] or '',
  redis.call('GET', KEYS[4]),
  now,
}
`

// logLostScript writes purges into the log that are not in it. KEYS: the log. ARGV: about how many purges the log keeps, and
// for each purge its ID, "key" or "prefix", its text, its age (ms), and the IDs of purges that it stands for. Two nodes that
// have noticed the same loss do not write a purge twice.
const logLostScript = `
local there = {}
local function note(ids)
  for id in string.gmatch(ids, '%S+') do
    there[id] = true
  end
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  there[entry[2][2]] = true
  for i = 3, #entry[2], 2 do
    if entry[2][i] == 'of' then
      note(entry[2][i + 1])
    end
  end
end
for i = 2, #ARGV, 5 do
  local id, of = ARGV[i], ARGV[i + 4]
  local lacks = not there[id] and of == ''
  for one in string.gmatch(of, '%S+') do
    lacks = lacks or not there[one]
  end
  if lacks then
    there[id] = true
    note(of)
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'id', id, ARGV[i + 1], ARGV[i + 2], 'age', ARGV[i + 3], 'of', of)
  end
end
return 1
`
