-- watch_keep: write how far the stream has been read. Only for whoever holds the lease.
--
-- KEYS  1 the lease  2 where the analyst is  3 what it says of itself
-- ARGV  1 who writes  2 the entry up to which all is kept  3 what is to be said ('': leave it)
-- Returns -1: another holds the lease, and nothing was written; 0: there was no place before (a new store, or one that has lost
-- what was in it); 1: there was one.

local call = redis.call
if call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local known = call('GET', KEYS[2]) and 1 or 0
call('SET', KEYS[2], ARGV[2])
if ARGV[3] ~= '' then call('SET', KEYS[3], ARGV[3]) end
return known
