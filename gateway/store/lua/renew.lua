-- renew: extend an open hold's lease, and post what it has used so far.
--
-- KEYS  1 the hold's record  2 the tag's index of open holds  3.. the owners (for Cluster; the record names them)
-- ARGV  1 lease in microseconds, from now  2 a packed double for each line, in the order of its reserve: used so far, in all
--       3 the hold's id
-- Returns 1; or 0: the hold is not open (swept, settled, unknown), and nothing was posted.
-- Clock the server's TIME, microseconds.

local now = now_us()
local lease = tonumber(ARGV[1])
local record = call('GET', KEYS[1])
if not record or byte(record) ~= OPEN then return 0 end
local _, n = sunpack(HEADER, record)
if #ARGV[2] ~= 8 * n then return redis.error_reply('ERR the hold has another number of lines') end
repost(KEYS[2], record, now, lease, ARGV[2], true)
local parts = { sub(record, 1, HEADER_BYTES) }
for i = 1, n do
  local at = HEADER_BYTES + 16 * i
  parts[i + 1] = sub(ARGV[2], 8 * i - 7, 8 * i) .. sub(record, at - 7, at) -- the new post, the old slot
end
parts[n + 2] = sub(record, HEADER_BYTES + 16 * n + 1)
call('SET', KEYS[1], concat(parts), 'PX', ceil((lease + RECORD_KEPT) / 1000))
call('ZADD', KEYS[2], now + lease, ARGV[3])
return 1
