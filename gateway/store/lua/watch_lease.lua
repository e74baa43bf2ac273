-- watch_lease: be the one that is active, or stay it.
--
-- KEYS  1 the lease
-- ARGV  1 who asks  2 for how long, milliseconds
-- Returns 1: it is the one, from now for so long; 0: somebody else is.
-- Clock the server's, by the key's own expiry.

local call = redis.call
local holder = call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
