-- Publishes a node's canary and renews the node's description.
--
-- KEYS: the nodes, the cluster's id. ARGV: PUBLISH or SPUBLISH, the node's own channel, what comes back on it, the node's name, what it says of itself,
-- how long (milliseconds) it is there without saying it again.
-- Returns {milliseconds since 1970, the cluster's id}; '' where that is lost, with all else that Redis had: FLUSHALL.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HSET', KEYS[1], ARGV[4], string.format('%.0f ', now + ARGV[6]) .. ARGV[5]) == 1 then
  -- A node has come: those that have gone since the last one did are forgotten.
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
