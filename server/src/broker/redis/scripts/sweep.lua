-- Compares the tags of topics with those that a node knows.
--
-- KEYS: the heads of the topics.
-- ARGV: for each topic, the tag (8 bytes) of the last event that the node knows; then the new expiry of the heads in milliseconds, or ''
-- to leave it unchanged.
-- Returns the indexes (from 1) of the topics whose tags differ.

local differ = {}
local expiry = ARGV[#KEYS + 1]
for index, head in ipairs(redis.call('MGET', unpack(KEYS))) do
  if not head or string.sub(head, 9, 16) ~= ARGV[index] then
    differ[#differ + 1] = index
  end
  if expiry ~= '' then
    -- If Redis accepts no writes, a later sweep renews the expiry.
    redis.pcall('PEXPIRE', KEYS[index], expiry)
  end
end
return differ
