-- Marks a ticket as used. A ticket is valid once across all nodes.
--
-- KEYS: the ticket, the head of the control topic.
-- ARGV: what this use is called, and until when the ticket is remembered (milliseconds from now).
-- Returns {1 if this is its only use, else 0, offset and tag of the last control event, or 0 and '' if there is none}.

local first = 1
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  if redis.call('GET', KEYS[1]) == ARGV[1] then
    -- Asked again. A write, so that whoever waits for replicas waits for the one of before: Valkey waits for what the connection has
    -- written.
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  else
    first = 0
  end
end
local stands = redis.call('GET', KEYS[2])
if not stands then
  return {first, 0, ''}
end
local offset, tag = struct.unpack('>I8c8', stands)
return {first, offset, tag}
