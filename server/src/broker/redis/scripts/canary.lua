-- Publishes a node's canary and renews the node's description.
--
-- KEYS: the nodes, the cluster's id.
-- ARGV: PUBLISH or SPUBLISH, the node's channel, the canary, the node's name, its description, and the time in milliseconds for which
-- the node is listed.
-- Returns {Redis' clock (Unix time in milliseconds), the cluster's id}. The id is '' if Redis has lost its data.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HSET', KEYS[1], ARGV[4], string.format('%.0f ', now + ARGV[6]) .. ARGV[5]) == 1 then
  -- The node is new. Removes nodes that have expired.
  local nodes = redis.call('HGETALL', KEYS[1])
  for at = 1, #nodes, 2 do
    if tonumber(string.match(nodes[at + 1], '^%d+') or 0) < now then
      redis.call('HDEL', KEYS[1], nodes[at])
    end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call(ARGV[1], ARGV[2], ARGV[3])
return {now, redis.call('GET', KEYS[2]) or ''}
