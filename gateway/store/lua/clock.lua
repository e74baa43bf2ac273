-- clock.lua: the store's clock, prefixed to every script before common.lua. Tests put their own in its place.
-- Returns: microseconds since the epoch, by the server's TIME (one value for the whole script).
local function now_us()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
