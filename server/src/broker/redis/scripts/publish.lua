-- Accepts messages of one publisher, each once and in order: appends them to the histories of their topics, and tells all nodes.
--
-- KEYS: the publisher's number; then, of each topic, its entries and its head.
-- ARGV: the number before the first message ('': any), the number of the last, how long the number is kept (seconds), how long a head
-- is kept (milliseconds), PUBLISH or SPUBLISH; the messages' numbers; their tags (8 bytes each); the runs of messages of one topic, in
-- order: of each its topic (from 1) and how many (2 bytes each); of each topic how many events are kept, for how many milliseconds,
-- after how many that is renewed, and the most bytes; then of each topic its channel; then of each message its body.
-- Numbers in strings are big-endian and have 8 bytes, unless something else is said.
-- Returns {1, the highest number accepted}, or {0, that} where a message before the first one is missing: then nothing is written.
-- Where something is to be told, there are two more: why other nodes were not told ('': they were), which find out by themselves, but
-- later; and the keys that held something else, which is gone.
--
-- What costs: each call of a command, and each byte of each string that is new to Lua, which hashes it.

local before, last, number_seconds, head_ms, publish = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local numbers, tags, runs, limits = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local CHANNELS = 9
local BODIES = CHANNELS + (#KEYS - 1) / 2
local call, pcall, pack, unpack_bytes = redis.call, redis.pcall, struct.pack, struct.unpack

-- All that is read, at once.
local read = {KEYS[1]}
for key = 3, #KEYS, 2 do
  read[#read + 1] = KEYS[key]
end
local known = call('MGET', unpack(read))
local stored = known[1]
local highest = tonumber(stored or 0)
if before ~= '' and tonumber(before) > highest then
  return {0, highest}
end

local count = #numbers / 8
local first = 1
while first <= count and unpack_bytes('>I8', numbers, 8 * first - 7) <= highest do
  first = first + 1
end
if first > count then
  -- A write, so that whoever waits for replicas waits for those of before, which another node may have made: Valkey waits for what the
  -- connection has written.
  call('PEXPIRE', KEYS[1], number_seconds * 1000)
  return {1, highest}
end

-- The first write is one that is refused where there is no memory: behind it no other is.
call('SET', KEYS[1], last, 'EX', number_seconds)

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A head, and what only this script knows behind it: how many entries were added since a while, and their bytes.
local HEAD, RECENT, HEAD_BYTES = '>I8c8I8I8I8', 'I8I8', 40
-- So many entries are dropped without their bytes being looked at.
local MANY = 4

-- The entries of each topic; of each run its topic, and which of the topic's entries are its own.
local heads, order, told = {}, {}, {}
tags = {unpack_bytes(string.rep('c8', count), tags)}
local stop = 0
for at = 1, #runs, 4 do
  local topic, length = unpack_bytes('>I2I2', runs, at)
  local start = math.max(stop + 1, first)
  stop = stop + length
  if start <= stop then
    local head = heads[topic]
    if not head then
      local stands = known[topic + 1]
      if stands and #stands < HEAD_BYTES then
        -- It is none of ours.
        stands, known[topic + 1] = nil, nil
      end
      head = {offset = 0, tag = '\0\0\0\0\0\0\0\0', entries = {}, bytes = 0}
      if stands then
        head.offset, head.tag = unpack_bytes('>I8c8', stands)
      end
      heads[topic] = head
      order[#order + 1] = topic
    end
    local offset, tag, entries, bytes = head.offset, head.tag, head.entries, head.bytes
    local entry_count = #entries
    local run = #told
    told[run + 1], told[run + 2], told[run + 3] = topic, entry_count + 1, entry_count + 1 + stop - start
    for message = start, stop do
      offset = offset + 1
      local entry = tag .. tags[message] .. pack('>I8I8', offset, now) .. ARGV[BODIES + message]
      tag = tags[message]
      entry_count = entry_count + 1
      entries[entry_count] = entry
      bytes = bytes + #entry
    end
    head.offset, head.tag, head.bytes = offset, tag, bytes
  end
end

local foreign = {}
for _, topic in ipairs(order) do
  local head, name = heads[topic], KEYS[2 * topic]
  local entries = head.entries
  local length = pcall('RPUSH', name, unpack(entries))
  if type(length) == 'table' and string.find(length.err, 'WRONGTYPE', 1, true) then
    -- Nobody else writes to keys of this prefix. The publisher is not held up by what cannot be.
    call('DEL', name)
    foreign[#foreign + 1] = name
    length = pcall('RPUSH', name, unpack(entries))
  end
  if type(length) == 'table' then
    -- This command is refused, and so for the first topic: nothing is written but the number. The publisher sends all of it again.
    if stored then
      call('SET', KEYS[1], stored, 'EX', number_seconds)
    else
      call('DEL', KEYS[1])
    end
    return length
  end

  local max_events, max_ms, renewed_ms, max_bytes = unpack_bytes('>I8I8I8I8', limits, 32 * topic - 31)
  local stands = known[topic + 1]
  local _, came, bytes, dropped
  local recent, recent_bytes = 0, 0
  if stands then
    _, _, came, bytes, dropped = unpack_bytes(HEAD, stands)
    if #stands > HEAD_BYTES then
      recent, recent_bytes = unpack_bytes('>' .. RECENT, stands, HEAD_BYTES + 1)
    end
  else
    came, bytes, dropped = now - head_ms, 0, now - head_ms
  end
  local is_new = length == #entries
  if is_new then
    -- What was there has expired.
    bytes, dropped, recent, recent_bytes = 0, math.max(dropped, came), 0, 0
  end
  bytes, recent, recent_bytes = bytes + head.bytes, recent + #entries, recent_bytes + head.bytes
  -- The oldest are dropped. The bytes of many are counted until only recent entries are left: so while they matter, each is looked at.
  local excess = length - max_events
  if excess >= MANY and bytes < max_bytes / 2 then
    dropped = unpack_bytes('>I8', call('LINDEX', name, excess - 1), 25)
    call('LTRIM', name, excess, -1)
    length = max_events
  end
  while length > 1 and (length > max_events or bytes > max_bytes) do
    local oldest = call('LPOP', name)
    length, bytes, dropped = length - 1, bytes - #oldest, unpack_bytes('>I8', oldest, 25)
  end
  if recent >= length then
    bytes, recent, recent_bytes = math.min(bytes, recent_bytes), 0, 0
  end

  local text = pack(HEAD .. RECENT, head.offset, head.tag, now, bytes, dropped, recent, recent_bytes)
  if is_new or not stands or now - now % renewed_ms ~= came - came % renewed_ms then
    call('PEXPIRE', name, max_ms + renewed_ms)
    call('SET', KEYS[2 * topic + 1], text, 'PX', head_ms)
  else
    call('SET', KEYS[2 * topic + 1], text, 'KEEPTTL')
  end
end

-- A run is told at once, or, if it is long, behind its first entry: where nobody hears that, the rest is not put together.
local LONG = 8
local problem = ''
for run = 1, #told, 3 do
  local topic, from, to = told[run], told[run + 1], told[run + 2]
  local channel, entries = ARGV[CHANNELS + topic], heads[topic].entries
  local alone = to - from >= LONG and from or to
  local receivers = pcall(publish, channel, alone == from and entries[from] or table.concat(entries, '', from, alone))
  if alone < to and type(receivers) == 'number' and receivers > 0 then
    receivers = pcall(publish, channel, table.concat(entries, '', alone + 1, to))
  end
  if type(receivers) == 'table' then
    problem = receivers.err
    break
  end
end
if problem ~= '' or #foreign > 0 then
  return {1, tonumber(last), problem, foreign}
end
return {1, tonumber(last)}
