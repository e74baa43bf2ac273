-- settle: close a hold and post what was used in all. Never refused; an overrun becomes debt.
--
-- KEYS  1 the hold's record  2 the tag's index of open holds  3.. the owners (for Cluster; the record names them)
-- ARGV  1 a packed double for each line, in the order of its reserve: used in all (zeros: a void)  2 the hold's id
-- Returns 1; or 0: it was closed before, or is unknown (then it can no longer be opened), and nothing was posted.
-- Clock the server's TIME, microseconds.
--
-- The difference goes to the window the hold came from. A hold that was swept has released what it held: it posts only
-- what the sweep could not know. What stays of a settled hold is a tombstone of ten minutes: long after any repeat.

local now = now_us()
local record = call('GET', KEYS[1])
local state = record and byte(record)
if state == SETTLED then return 0 end
if record then
  local _, n = sunpack(HEADER, record)
  if #ARGV[1] ~= 8 * n then return redis.error_reply('ERR the hold has another number of lines') end
  repost(KEYS[2], record, now, 0, ARGV[1], false)
  if state == OPEN then call('ZREM', KEYS[2], ARGV[2]) end
end
call('SET', KEYS[1], char(SETTLED), 'PX', 600000)
return record and 1 or 0
