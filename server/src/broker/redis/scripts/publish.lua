-- Accepts messages of one publisher, each once and in order: appends them to the histories of their topics, and tells all nodes.
--
-- KEYS: the publisher's number; then, of each topic, its entries and its head.
-- ARGV: the number before the first message ('': any), how long the number is kept (seconds), how long a head is kept
-- (milliseconds), PUBLISH or SPUBLISH, how many topics; of each topic its channel and the most events, milliseconds and bytes that
-- are kept; of each message its topic (from 1), its number, its tag (8 bytes) and its body.
-- Returns {1, the highest number accepted}, or {0, that} where a message before the first one is missing: then nothing is written.
-- A third value is why other nodes were not told, which find out by themselves, but later.

local before, number_seconds, head_ms, publish, topics = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
-- All that is read, at once: each call costs more than what it does.
local read = {KEYS[1]}
for topic = 1, topics do
  read[topic + 1] = KEYS[2 * topic + 1]
end
local known = redis.call('MGET', unpack(read))
local stored = known[1]
local highest = tonumber(stored or 0)
if before ~= '' and tonumber(before) > highest then
  return {0, highest}
end

local TOPIC, MESSAGE = 4, 4
local base = 5 + TOPIC * topics
local count = (#ARGV - base) / MESSAGE
local first = 1
while first <= count and tonumber(ARGV[base + MESSAGE * (first - 1) + 2]) <= highest do
  first = first + 1
end
if first > count then
  -- A write, so that whoever waits for replicas waits for those of before, which another node may have made: Valkey waits for what the
  -- connection has written.
  redis.call('PEXPIRE', KEYS[1], number_seconds * 1000)
  return {1, highest}
end

-- The first write is one that is refused where there is no memory: behind it no other is.
local last = ARGV[base + MESSAGE * (count - 1) + 2]
redis.call('SET', KEYS[1], last, 'EX', number_seconds)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local HEAD = '>I8c8I8I8I8'

local heads, order, runs = {}, {}, {}
local run_topic, run
for message = first, count do
  local at = base + MESSAGE * (message - 1)
  local topic = tonumber(ARGV[at + 1])
  local head = heads[topic]
  if not head then
    head = {entries = {}, added = 0}
    local stands = known[topic + 1]
    if stands then
      head.offset, head.tag, head.last, head.bytes, head.dropped = struct.unpack(HEAD, stands)
    else
      head.offset, head.tag, head.last, head.bytes, head.dropped = 0, string.rep('\0', 8), now - head_ms, 0, now - head_ms
    end
    heads[topic] = head
    order[#order + 1] = topic
  end
  local tag = ARGV[at + 3]
  head.offset = head.offset + 1
  local entry = head.tag .. tag .. struct.pack('>I8I8', head.offset, now) .. ARGV[at + 4]
  head.tag = tag
  head.added = head.added + #entry
  head.entries[#head.entries + 1] = entry
  if topic ~= run_topic then
    run_topic, run = topic, {}
    runs[#runs + 1] = {topic, run}
  end
  run[#run + 1] = struct.pack('>I4', #entry)
  run[#run + 1] = entry
end

for _, topic in ipairs(order) do
  local head, entries = heads[topic], KEYS[2 * topic]
  local length = redis.pcall('RPUSH', entries, unpack(head.entries))
  if type(length) == 'table' then
    -- Something else has this key. The publisher sends all of it again.
    if stored then
      redis.call('SET', KEYS[1], stored, 'EX', number_seconds)
    else
      redis.call('DEL', KEYS[1])
    end
    return length
  end
  if length == #head.entries then
    -- What was there has expired.
    head.bytes, head.dropped = 0, math.max(head.dropped, head.last)
  end
  head.bytes = head.bytes + head.added
  local settings = 5 + TOPIC * (topic - 1)
  local max_events, max_ms, max_bytes = tonumber(ARGV[settings + 2]), ARGV[settings + 3], tonumber(ARGV[settings + 4])
  while length > 1 and (length > max_events or head.bytes > max_bytes) do
    for _, dropped in ipairs(redis.call('LPOP', entries, math.max(1, length - max_events))) do
      length = length - 1
      head.bytes = head.bytes - #dropped
      head.dropped = struct.unpack('>I8', dropped, 25)
    end
  end
  redis.call('PEXPIRE', entries, max_ms)
  redis.call('SET', KEYS[2 * topic + 1], struct.pack(HEAD, head.offset, head.tag, now, head.bytes, head.dropped), 'PX', head_ms)
end

for _, told in ipairs(runs) do
  local receivers = redis.pcall(publish, ARGV[5 + TOPIC * (told[1] - 1) + 1], table.concat(told[2]))
  if type(receivers) == 'table' then
    return {1, tonumber(last), receivers.err}
  end
end
return {1, tonumber(last)}
