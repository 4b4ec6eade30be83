-- Admits a node: checks that the prefix belongs to it, and returns the time since which the stored data is complete.
--
-- KEYS: the epoch, the cluster's id, the cluster's secret.
-- ARGV: the run id of this Redis process; the id of the node's cluster, used if Redis has none; the ids of the secrets that the node
-- accepts, the signing one first.
-- Returns {1, the cluster's id, Redis' clock}, or {0} if the nodes with this prefix have another secret. The clock is Unix time in
-- milliseconds.

local secret, known = redis.call('GET', KEYS[3]), false
for number = 3, #ARGV do
  known = known or ARGV[number] == secret
end
if secret and not known then
  return {0}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Another Redis process wrote the epoch, so this one may have lost data.
local epoch = redis.call('GET', KEYS[1])
if not epoch or string.match(epoch, ' (.*)') ~= ARGV[1] then
  redis.call('SET', KEYS[1], string.format('%.0f', now) .. ' ' .. ARGV[1])
end
if secret ~= ARGV[3] then
  redis.call('SET', KEYS[3], ARGV[3])
end
local id = redis.call('GET', KEYS[2])
if not id then
  id = ARGV[2]
  redis.call('SET', KEYS[2], id)
end
return {1, id, now}
