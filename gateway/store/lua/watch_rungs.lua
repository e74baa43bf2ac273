-- watch_rungs: what has changed since a version.
--
-- KEYS  1 the version  2 subjects by version (sorted set)  3 rungs (hash)
-- ARGV  1 the version that is known  2 at most so many
-- Returns the version that is known after this (below the asked one: the store has begun anew, ask from 0), whether that is all
-- there is (1 or 0), then subject and rung in turn, oldest change first.

local call = redis.call
local now = tonumber(call('GET', KEYS[1]) or '0')
local known = tonumber(ARGV[1])
if now <= known then return {now, 1} end
local found = call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local count = #found / 2
local is_all = count < tonumber(ARGV[2])
local reply = {is_all and now or tonumber(found[#found]), is_all and 1 or 0}
for i = 1, #found, 2 do
  reply[#reply + 1] = found[i]
  reply[#reply + 1] = call('HGET', KEYS[3], found[i]) or ''
end
return reply
