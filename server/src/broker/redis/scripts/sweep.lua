-- Compares the tags of topics with those that a node knows.
--
-- KEYS: heads. ARGV: of each the tag (8 bytes) of its last event, as the node knows it; then, for how long (milliseconds) the heads
-- are kept from now on, or ''.
-- Returns the numbers (from 1) of those that differ.

local differ = {}
local keep = ARGV[#KEYS + 1]
for number, stands in ipairs(redis.call('MGET', unpack(KEYS))) do
  if not stands or string.sub(stands, 9, 16) ~= ARGV[number] then
    differ[#differ + 1] = number
  end
  if keep ~= '' then
    -- Where nothing can be written they are kept for longer the next time.
    redis.pcall('PEXPIRE', KEYS[number], keep)
  end
end
return differ
