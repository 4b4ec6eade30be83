-- Reverts a use of a ticket that has opened no session.
--
-- KEYS: the ticket.
-- ARGV: the nonce of the use.
-- Returns 1 if the use was reverted, and 0 if the ticket was not used, or has another use.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
