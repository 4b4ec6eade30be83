-- Returns the position of a topic, and its entries since another position.
--
-- KEYS: the topic's entries, its head, the epoch.
-- ARGV: since which offset ('': nothing is asked for; '*': all that is kept), the tag of that event (8 bytes), the most entries,
-- the most bytes of them, how long a head is kept (milliseconds), a tag for a topic that is not known, which entries to return where
-- there are more than that: 'latest' or 'oldest'.
-- Returns {offset and tag of the last event, how much the entries are, from when on (milliseconds) nothing that was accepted is missing
-- in what is kept, the entries, the oldest first}. How much: 1: all that came since; 0: something is missing before them, and they are the
-- latest; 2: a page, the oldest of all that came since. Offset and tag are then those of the last entry of the page.

local since, tag_of_since, most, most_bytes, head_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local HEAD = '>I8c8I8I8I8'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = tonumber(string.match(redis.call('GET', KEYS[3]) or '', '^%d+') or now)

-- A key that holds something else holds nothing: the next message to the topic replaces it.
local stands = redis.pcall('GET', KEYS[2])
local length = redis.pcall('LLEN', KEYS[1])
if type(length) == 'table' then
  length = 0
end
local offset, tag, last, bytes, dropped
if type(stands) == 'string' and #stands >= struct.size(HEAD) then
  offset, tag, last, bytes, dropped = struct.unpack(HEAD, stands)
  if redis.call('PTTL', KEYS[2]) < head_ms / 2 then
    -- Where nothing can be written it is kept for longer the next time.
    redis.pcall('PEXPIRE', KEYS[2], head_ms)
  end
else
  offset, tag, last, bytes, dropped = 0, ARGV[6], now - head_ms, 0, now - head_ms
  if redis.pcall('SET', KEYS[2], struct.pack(HEAD, offset, tag, last, bytes, dropped), 'PX', head_ms).err then
    -- There is no memory: it stands where the first message to it begins.
    tag = string.rep('\0', 8)
  end
end

if length == 0 then
  dropped = math.max(dropped, last)
end
local entries, complete = {}, 1
local wanted = 0
if since == '*' then
  wanted = length
elseif since ~= '' then
  local behind = offset - tonumber(since)
  if behind == 0 then
    complete = tag == tag_of_since and 1 or 0
  elseif behind < 0 or behind > length then
    complete = 0
  else
    complete = string.sub(redis.call('LINDEX', KEYS[1], -behind), 1, 8) == tag_of_since and 1 or 0
  end
  wanted = complete == 1 and behind or length
end
if wanted > 0 and complete == 1 and ARGV[7] == 'oldest' then
  local found = redis.call('LRANGE', KEYS[1], -wanted, -1 - math.max(0, wanted - most))
  -- At least one, so that whoever reads on comes to an end.
  local size, at = 0, 1
  while at <= #found and (at == 1 or size + #found[at] <= most_bytes) do
    entries[at] = found[at]
    size = size + #found[at]
    at = at + 1
  end
  if #entries < wanted then
    complete = 2
    tag, offset = struct.unpack('>c8I8', entries[#entries], 9)
  end
elseif wanted > 0 then
  if wanted > most then
    complete, wanted = 0, most
  end
  entries = redis.call('LRANGE', KEYS[1], -wanted, -1)
  local size, from = 0, #entries + 1
  while from > 1 and size + #entries[from - 1] <= most_bytes do
    from = from - 1
    size = size + #entries[from]
  end
  if from > 1 then
    complete = 0
    local latest = {}
    for at = from, #entries do
      latest[#latest + 1] = entries[at]
    end
    entries = latest
  end
end
return {offset, tag, complete, math.max(epoch, dropped), entries}
