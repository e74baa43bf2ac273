-- extend: raise an open hold's amounts, all of them or none, and renew its lease. Amounts are absolute: repeating changes nothing.
--
-- KEYS  1 the hold's record  2 the tag's index of open holds  3.. the owners, as in its reserve
-- ARGV  1 lease in microseconds, from now
--       2 a byte for each owner: how many lines it has; then each line, as in its reserve, with the new amount  3 names, as there
--       4 the hold's id
-- Returns packed integers as reserve does. Codes: 0 refused, nothing changed, standings as they are; 1 extended, standings after
--       it; 3 the hold is not open (no standings). A calendar window that has passed refuses nothing, and remains 2^53.
-- Clock the server's TIME, microseconds.

local now = now_us()
local lease, lines, index = tonumber(ARGV[1]), ARGV[2], KEYS[2]

local function work_out(record)
  local _, n, m, opened = sunpack(HEADER, record)
  local counts_at = HEADER_BYTES + 16 * n
  local line_at = counts_at + m + 1
  local names = { sunpack('<' .. rep('Bc0', m + n), record, line_at + LINE_BYTES * n) }
  local parts, saves, out, is_refused = { sub(record, 1, line_at - 1) }, {}, {}, false
  local i = 0
  for o = 1, m do
    local count = byte(record, counts_at + o)
    local ask = { names[o], META }
    for j = 1, count do ask[j + 2] = names[m + i + j] end
    local got = call('HMGET', unpack(ask))
    local is_alive, born, expires, due = false, 0, 0, 0
    if got[1] then
      born, expires, due = sunpack('<ddd', got[1])
      is_alive = born <= opened and now < expires
    end
    local set, size, ttl = { names[o] }, 1, HOUR + 2 * lease
    for j = 1, count do
      local kind, enforce, a, b, c, amount = sunpack(LINE, record, line_at)
      local _, _, _, _, _, wanted = sunpack(LINE, lines, m + 1 + LINE_BYTES * i)
      local posted, slot = sunpack('<dd', record, HEADER_BYTES + 16 * i + 1)
      if kind > CALENDAR or wanted < amount then wanted = amount end
      local state = is_alive and got[j + 1]
      local delta = max(0, wanted - posted) - max(0, amount - posted)
      if state and delta > 0 then
        local moved, _, kept = post(kind, a, b, c, state, now, 0, delta, slot)
        if moved then
          state = moved
          set[size + 1], set[size + 2] = ask[j + 2], moved
          size = size + 2
          if kept > ttl then ttl = kept end
        end
      end
      local k = 5 * i
      out[k + 1], out[k + 2], out[k + 3], out[k + 4], out[k + 5] = stand(kind, a, b, c, state, now, wanted, 0)
      if kind == CALENDAR and (now < b or now >= c) then
        out[k + 3] = MOST
      elseif out[k + 3] < 0 and enforce == 1 and delta > 0 then
        is_refused = true
      end
      parts[i + 2] = sub(record, line_at, line_at + 25) .. spack('<d', wanted) .. sub(record, line_at + 34, line_at + 41)
      line_at = line_at + LINE_BYTES
      i = i + 1
    end
    saves[o] = { set, size, born, expires, due, ttl }
  end
  parts[n + 2] = sub(record, line_at)
  return is_refused, out, parts, saves, n, m
end

local record = call('GET', KEYS[1])
if not record or byte(record) ~= OPEN then return reply(3, now, {}, 0) end
local _, n, m = sunpack(HEADER, record)
if #lines ~= m + LINE_BYTES * n then return redis.error_reply('ERR the hold has another number of lines') end
local is_refused, out, parts, saves = work_out(record)
if is_refused then
  -- A hold that is late with its renewal is not swept by its own request.
  call('ZADD', index, now + lease, ARGV[4])
  if sweep(index, now, 256) > 0 then is_refused, out, parts, saves = work_out(record) end
  if is_refused then
    local count
    out, count = survey(lines, { sunpack('<' .. rep('Bc0', m + n), ARGV[3]) }, now, true)
    for i = 1, n do
      local kind, _, _, b, c = sunpack(LINE, lines, m + 1 + LINE_BYTES * (i - 1))
      if kind == CALENDAR and (now < b or now >= c) then out[5 * i - 2] = MOST end
    end
    return reply(0, now, out, count)
  end
end
for o = 1, m do
  local s = saves[o]
  if s[2] > 1 then save(index, s[1], s[2], s[3], s[4], s[5], now, s[6]) end
end
call('SET', KEYS[1], concat(parts), 'PX', ceil((lease + RECORD_KEPT) / 1000))
call('ZADD', index, now + lease, ARGV[4])
return reply(1, now, out, 5 * n)
