-- Returns the position of a topic, and its entries since another position.
--
-- KEYS: the topic's entries, its head, the epoch.
-- ARGV: the offset after which entries are requested ('': none are; '*': all stored ones are), the tag of the event at that offset
-- (8 bytes), the maximum number of entries, their maximum size in bytes, the expiry of a head in milliseconds, the initial tag of a new
-- topic, and the entries to return if there are more: 'latest' or 'oldest'.
-- Returns {offset of the last event, its tag, completeness, the time since which the stored entries are complete, the entries, the oldest
-- first}. The time is Unix time in milliseconds on Redis' clock. Completeness: 1: all requested entries; 0: the latest entries, others
-- before them are missing; 2: a page, the oldest of the requested entries. For a page, offset and tag are those of its last entry.

local since, since_tag, max_entries, max_bytes, head_expiry = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local HEAD = '>I8c8I8I8I8'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = tonumber(string.match(redis.call('GET', KEYS[3]) or '', '^%d+') or now)

-- A key with foreign data counts as empty. The next message to the topic replaces it.
local head = redis.pcall('GET', KEYS[2])
local length = redis.pcall('LLEN', KEYS[1])
if type(length) == 'table' then
  length = 0
end
local offset, tag, last, bytes, dropped
if type(head) == 'string' and #head >= struct.size(HEAD) then
  offset, tag, last, bytes, dropped = struct.unpack(HEAD, head)
  if redis.call('PTTL', KEYS[2]) < head_expiry / 2 then
    -- If Redis accepts no writes, the next read renews the expiry.
    redis.pcall('PEXPIRE', KEYS[2], head_expiry)
  end
else
  offset, tag, last, bytes, dropped = 0, ARGV[6], now - head_expiry, 0, now - head_expiry
  if redis.pcall('SET', KEYS[2], struct.pack(HEAD, offset, tag, last, bytes, dropped), 'PX', head_expiry).err then
    -- Redis is out of memory. The first message to the topic will have no previous tag either.
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
    complete = tag == since_tag and 1 or 0
  elseif behind < 0 or behind > length then
    complete = 0
  else
    complete = string.sub(redis.call('LINDEX', KEYS[1], -behind), 1, 8) == since_tag and 1 or 0
  end
  wanted = complete == 1 and behind or length
end
if wanted > 0 and complete == 1 and ARGV[7] == 'oldest' then
  local found = redis.call('LRANGE', KEYS[1], -wanted, -1 - math.max(0, wanted - max_entries))
  -- At least one entry, so that reading page by page ends.
  local size, at = 0, 1
  while at <= #found and (at == 1 or size + #found[at] <= max_bytes) do
    entries[at] = found[at]
    size = size + #found[at]
    at = at + 1
  end
  if #entries < wanted then
    complete = 2
    tag, offset = struct.unpack('>c8I8', entries[#entries], 9)
  end
elseif wanted > 0 then
  if wanted > max_entries then
    complete, wanted = 0, max_entries
  end
  entries = redis.call('LRANGE', KEYS[1], -wanted, -1)
  local size, from = 0, #entries + 1
  while from > 1 and size + #entries[from - 1] <= max_bytes do
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
