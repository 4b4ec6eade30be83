-- Marks a ticket as used. A ticket is valid once across all nodes.
--
-- KEYS: the ticket, the head of the control topic.
-- ARGV: the nonce of this use, and the expiry of the stored use in milliseconds.
-- Returns {1 if this is its only use, else 0; offset of the last disconnect, its tag, or 0 and '' if there is none}.

local first = 1
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  if redis.call('GET', KEYS[1]) == ARGV[1] then
    -- A retry. It must write, so that WAIT covers the earlier use: Valkey waits only for writes of the same connection.
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  else
    first = 0
  end
end
local head = redis.call('GET', KEYS[2])
if not head then
  return {first, 0, ''}
end
local offset, tag = struct.unpack('>I8c8', head)
return {first, offset, tag}
