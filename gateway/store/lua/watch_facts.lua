-- watch_facts: state what is known of tenants, all of them or none.
--
-- KEYS  1 the version of facts  2 facts (hash)
-- ARGV  tenant and what is known of it, in turn
-- Returns the version from now on; it stands before each fact that it brought, with a line's end between.

local call = redis.call
local version = call('INCR', KEYS[1])
for i = 1, #ARGV, 2 do
  call('HSET', KEYS[2], ARGV[i], version .. '\n' .. ARGV[i + 1])
end
return version
