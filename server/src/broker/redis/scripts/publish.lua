-- Accepts messages of one publisher, each once and in order: appends them to the histories of their topics, and pushes them to all
-- nodes.
--
-- KEYS: the publisher's number; then the entries and the head of each topic.
-- ARGV 1 to 5: the number before the first message ('': any), the number of the last message, the expiry of the publisher's number in
-- seconds, the expiry of a head in milliseconds, PUBLISH or SPUBLISH.
-- ARGV 6 to 9, packed: the numbers of the messages; their tags (8 bytes each); the runs of consecutive messages of one topic, in order,
-- each with the index of its topic (from 1) and its length (2 bytes each); the bounds of each topic: maximum number of events, their
-- age in milliseconds, the interval in milliseconds at which the expiry is renewed, and their maximum size in bytes.
-- Further ARGV: the channel of each topic; then the body of each message.
-- Packed numbers are big-endian and have 8 bytes, unless stated otherwise.
-- Returns {1, the highest accepted number}. If a message before the first one is missing, nothing is written, and the result is {0, the
-- highest accepted number}. If there is a problem to log, the result has two more elements: the error that prevented pushes, or '' (the
-- nodes read the messages later); and the keys that contained foreign data, which was deleted.
--
-- The cost is dominated by the calls of commands, and by the bytes of new strings, which Lua hashes.

local before, last, number_expiry, head_expiry, publish = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local numbers, tags, runs, limits = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local CHANNELS = 9
local BODIES = CHANNELS + (#KEYS - 1) / 2
local call, pcall, pack, unpack_bytes = redis.call, redis.pcall, struct.pack, struct.unpack

-- Reads the publisher's number and all heads at once.
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
  -- All messages were accepted before, perhaps from another node. The script must write, so that WAIT covers them: Valkey waits only
  -- for writes of the same connection.
  call('PEXPIRE', KEYS[1], number_expiry * 1000)
  return {1, highest}
end

-- If Redis is out of memory, it refuses this first write. It does not refuse later writes of the same script.
call('SET', KEYS[1], last, 'EX', number_expiry)

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The format of a head, and of its private part: the number of recently added entries, and their bytes.
local HEAD, RECENT, HEAD_BYTES = '>I8c8I8I8I8', 'I8I8', 40
-- From this number on, excess entries are dropped at once, without counting their bytes.
local MANY = 4

-- heads: by topic, the new head and the new entries. order: the topics in order. pushes: for each run its topic, and the indexes of its
-- first and last entry.
local heads, order, pushes = {}, {}, {}
tags = {unpack_bytes(string.rep('c8', count), tags)}
local stop = 0
for at = 1, #runs, 4 do
  local topic, length = unpack_bytes('>I2I2', runs, at)
  local start = math.max(stop + 1, first)
  stop = stop + length
  if start <= stop then
    local head = heads[topic]
    if not head then
      local stored_head = known[topic + 1]
      if stored_head and #stored_head < HEAD_BYTES then
        -- Foreign data.
        stored_head, known[topic + 1] = nil, nil
      end
      head = {offset = 0, tag = '\0\0\0\0\0\0\0\0', entries = {}, bytes = 0}
      if stored_head then
        head.offset, head.tag = unpack_bytes('>I8c8', stored_head)
      end
      heads[topic] = head
      order[#order + 1] = topic
    end
    local offset, tag, entries, bytes = head.offset, head.tag, head.entries, head.bytes
    local entry_count = #entries
    local run = #pushes
    pushes[run + 1], pushes[run + 2], pushes[run + 3] = topic, entry_count + 1, entry_count + 1 + stop - start
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
    -- Foreign data, which must not delay the publisher.
    call('DEL', name)
    foreign[#foreign + 1] = name
    length = pcall('RPUSH', name, unpack(entries))
  end
  if type(length) == 'table' then
    -- Redis refuses this command for the first topic already, so only the number was written. Restores it; the node resends the call.
    if stored then
      call('SET', KEYS[1], stored, 'EX', number_expiry)
    else
      call('DEL', KEYS[1])
    end
    return length
  end

  local max_events, max_ms, renewal_ms, max_bytes = unpack_bytes('>I8I8I8I8', limits, 32 * topic - 31)
  local stored_head = known[topic + 1]
  local _, last_accepted, bytes, dropped
  local recent, recent_bytes = 0, 0
  if stored_head then
    _, _, last_accepted, bytes, dropped = unpack_bytes(HEAD, stored_head)
    if #stored_head > HEAD_BYTES then
      recent, recent_bytes = unpack_bytes('>' .. RECENT, stored_head, HEAD_BYTES + 1)
    end
  else
    last_accepted, bytes, dropped = now - head_expiry, 0, now - head_expiry
  end
  local is_new = length == #entries
  if is_new then
    -- Earlier entries have expired.
    bytes, dropped, recent, recent_bytes = 0, math.max(dropped, last_accepted), 0, 0
  end
  bytes, recent, recent_bytes = bytes + head.bytes, recent + #entries, recent_bytes + head.bytes
  -- Drops the oldest entries. The bytes of entries dropped at once remain counted until only recent entries are left. Therefore
  -- entries are dropped singly when the counted bytes approach the bound.
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
  if is_new or not stored_head or now - now % renewal_ms ~= last_accepted - last_accepted % renewal_ms then
    call('PEXPIRE', name, max_ms + renewal_ms)
    call('SET', KEYS[2 * topic + 1], text, 'PX', head_expiry)
  else
    call('SET', KEYS[2 * topic + 1], text, 'KEEPTTL')
  end
end

-- Pushes a short run as one message, and of a long run the first entry separately: without subscribers the rest is not concatenated.
local LONG = 8
local push_error = ''
for run = 1, #pushes, 3 do
  local topic, from, to = pushes[run], pushes[run + 1], pushes[run + 2]
  local channel, entries = ARGV[CHANNELS + topic], heads[topic].entries
  local split = to - from >= LONG and from or to
  local receivers = pcall(publish, channel, split == from and entries[from] or table.concat(entries, '', from, split))
  if split < to and type(receivers) == 'number' and receivers > 0 then
    receivers = pcall(publish, channel, table.concat(entries, '', split + 1, to))
  end
  if type(receivers) == 'table' then
    push_error = receivers.err
    break
  end
end
if push_error ~= '' or #foreign > 0 then
  return {1, tonumber(last), push_error, foreign}
end
return {1, tonumber(last)}
