-- Takes a use of a ticket back that was told nobody.
--
-- KEYS: the ticket.
-- ARGV: what the use is called.
-- Returns 1 if it was taken back, and 0 if the ticket was not used, or by somebody else.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
