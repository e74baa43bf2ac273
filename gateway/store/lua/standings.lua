-- standings: how lines stand now, expired holds swept first. Changes nothing else.
--
-- KEYS  1 unused (same place as elsewhere)  2 the tag's index of open holds  3.. the owners, each once
-- ARGV  1 lines, 2 names: as in reserve (its 2 and 3)
-- Returns packed integers as reserve does: code 1 with standings, or code 2.
-- Clock the server's TIME, microseconds.

local now = now_us()
sweep(KEYS[2], now, 1024)
local m = #KEYS - 2
local n = (#ARGV[1] - m) / LINE_BYTES
local out, count, is_passed = survey(ARGV[1], { sunpack('<' .. rep('Bc0', m + n), ARGV[2]) }, now, false)
if is_passed then return reply(2, now, {}, 0) end
return reply(1, now, out, count)
