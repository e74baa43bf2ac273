-- extend: raise an open hold's amounts, all of them or none, and renew its lease. Amounts are absolute: repeating changes nothing.
--
-- KEYS  1 the hold's record  2 the tag's index of open holds  3.. the owners, as in its reserve
-- ARGV  1 lease in microseconds, from now  2 lines, 3 names: as in its reserve, with the new amounts  4 the hold's id
-- Returns packed integers as reserve does. Codes:
--       0 refused, no amount was changed, standings as they are   1 extended, standings after it
--       4 the hold is not open: swept, settled, unknown (no standings)
-- Clock the server's TIME, microseconds.
--
-- Windows, limits and modes are those of the record: a hold goes by the policy it was made under. What is held is amount less
-- posted, where that is above 0, so only the growth of this has to fit, and a line that does not grow refuses nothing, though
-- it be in debt. A calendar window that has passed has no limit any more: it stands at 0, 0, 2^53, 0, 0. The sweep of expired
-- holds runs only when a line does not fit; the hold's own lease is renewed before, so that it never sweeps itself.

local now = now_us()
local lease, lines, index = tonumber(ARGV[1]), ARGV[2], KEYS[2]

-- Work out the extension: is_refused, standings, parts of the record, and for each owner what to save.
local function work_out(record)
  local _, n, m, opened = sunpack(HEADER, record)
  local counts_at = HEADER_BYTES + 16 * n
  local line_at = counts_at + m + 1
  local names = { sunpack('<' .. rep('Bc0', m + n), record, line_at + LINE_BYTES * n) }
  local is_refused, out, parts, saves = false, {}, { sub(record, 1, line_at - 1) }, {}
  local i = 0
  for o = 1, m do
    local count = byte(record, counts_at + o)
    local ask = { names[o], META, false, false, false, false }
    for j = 1, count do ask[j + 2] = names[m + i + j] end
    local got = call('HMGET', unpack(ask, 1, count + 2))
    local is_alive, born, expires, due = false, 0, 0, 0
    if got[1] then
      born, expires, due = sunpack('<ddd', got[1])
      is_alive = born <= opened and now < expires
    end
    local set, size, ttl = { ask[1], false, false, false, false, false, false, false }, 1, HOUR + 2 * lease
    for j = 1, count do
      local kind, enforce, a, b, c, amount = sunpack(LINE, record, line_at)
      local wanted = sunpack('<d', lines, m + 27 + LINE_BYTES * i)
      local posted, slot = sunpack('<dd', record, HEADER_BYTES + 16 * i + 1)
      if kind > CALENDAR or wanted < amount then wanted = amount end
      local growth = max(0, wanted - posted) - max(0, amount - posted)
      local state = now < expires and got[j + 1]
      local moved, kept
      if is_alive and state and growth > 0 then
        moved, _, kept = post(kind, a, b, c, state, now, 0, growth, slot)
      end
      if moved then
        state = moved
        set[size + 1], set[size + 2] = ask[j + 2], moved
        size = size + 2
        if kept > ttl then ttl = kept end
      end
      local k = 5 * i
      if kind == CALENDAR and (now < b or now >= c) then
        out[k + 1], out[k + 2], out[k + 3], out[k + 4], out[k + 5] = 0, 0, MOST, 0, 0
      else
        local used, held, remaining, reset, wait = stand(kind, a, b, c, state, now, wanted, 0)
        out[k + 1], out[k + 2], out[k + 3], out[k + 4], out[k + 5] = used, held, remaining, reset, wait
        if moved and remaining < 0 and enforce == 1 then is_refused = true end
      end
      parts[i + 2] = sub(record, line_at, line_at + 25) .. spack('<d', wanted) .. sub(record, line_at + 34, line_at + 41)
      line_at = line_at + LINE_BYTES
      i = i + 1
    end
    -- An owner whose budgets all stay as they are must still outlive the new lease.
    if size > 1 or is_alive and now + ttl > expires then saves[#saves + 1] = { set, size, born, expires, due, ttl } end
  end
  parts[n + 2] = sub(record, line_at)
  return is_refused, out, parts, saves
end

local record = call('GET', KEYS[1])
if not record or byte(record) ~= OPEN then return reply(4, now, {}, 0) end
local _, n, m = sunpack(HEADER, record)
if #lines ~= m + LINE_BYTES * n then return redis.error_reply('ERR the hold has another number of lines') end
call('ZADD', index, now + lease, ARGV[4])
local is_refused, out, parts, saves = work_out(record)
if is_refused and sweep(index, now, 256) > 0 then is_refused, out, parts, saves = work_out(record) end
if is_refused then
  out = survey(lines, { sunpack('<' .. rep('Bc0', m + n), ARGV[3]) }, now, true)
  for i = 0, n - 1 do
    local kind, _, _, b, c = sunpack(LINE, lines, m + 1 + LINE_BYTES * i)
    if kind == CALENDAR and (now < b or now >= c) then
      local k = 5 * i
      out[k + 1], out[k + 2], out[k + 3], out[k + 4], out[k + 5] = 0, 0, MOST, 0, 0
    end
  end
  return reply(0, now, out, 5 * n)
end
for o = 1, #saves do
  local s = saves[o]
  save(index, s[1], s[2], s[3], s[4], s[5], now, s[6])
end
call('SET', KEYS[1], concat(parts), 'PX', ceil((lease + RECORD_KEPT) / 1000))
return reply(1, now, out, 5 * n)
