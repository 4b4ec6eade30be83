-- Reverts a use of a ticket that was not reported to anybody.
--
-- KEYS: the ticket.
-- ARGV: what the use is called.
-- Returns 1 if it was reverted, and 0 if the ticket was not used, or used by another connection.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
