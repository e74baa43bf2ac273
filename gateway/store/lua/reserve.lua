-- reserve: hold every line's amount at once, or none. Idempotent on the hold's id.
--
-- KEYS  1 the hold's record  2 the tag's index of open holds (ZSET, by lease end)  3.. the owners, each once
-- ARGV  1 lease in microseconds
--       2 a byte for each owner: how many lines it has; then each line, owner by owner: LINE
--       3 names, each after its length in a byte: the owners, then each line's field  4 the hold's id
-- Returns packed integers: code, now_us, then used, held, remaining, reset_us, wait_us for each line. Codes:
--       0 refused, nothing counted, standings as they are   1 admitted, standings after it
--       2 a calendar window does not contain now_us (no standings)   3 the hold was closed before (no standings)
-- Clock the server's TIME, microseconds.
--
-- All lines are worked out before any is written. The sweep of expired holds runs only when a line does not fit, or once an
-- hour an owner; then all is worked out once more in the same call.

local now = now_us()
local lease, lines = tonumber(ARGV[1]), ARGV[2]
local index = KEYS[2]
local m = #KEYS - 2
local n = (#lines - m) / LINE_BYTES
local names = { sunpack('<' .. rep('Bc0', m + n), ARGV[3]) }

-- Work out the hold: is_refused, is_passed, is_due, standings, parts of the record, and for each owner what to save.
local function work_out()
  local is_refused, is_passed, is_due = false, false, false
  local out = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
  local parts, saves = { spack(HEADER, OPEN, n, m, now), false, false, false, false, false, false, false }, {}
  local at, i = m + 1, 0
  for o = 1, m do
    local count = byte(lines, o)
    local ask = { KEYS[o + 2], META, false, false, false, false }
    for j = 1, count do ask[j + 2] = names[m + i + j] end
    local got = call('HMGET', unpack(ask, 1, count + 2))
    local born, expires, due = now, 0, now + HOUR
    if got[1] then
      born, expires, due = sunpack('<ddd', got[1])
      if now >= expires then
        call('DEL', ask[1])
        got, born, expires, due = {}, now, 0, now + HOUR
      elseif now >= due then
        is_due, due = true, now + HOUR
      end
    end
    local set, ttl = { ask[1], false, false, false, false, false, false, false }, HOUR + 2 * lease
    for j = 1, count do
      local kind, enforce, a, b, c, amount, certain
      kind, enforce, a, b, c, amount, certain, at = sunpack(LINE, lines, at)
      if kind == CALENDAR and (now < b or now >= c) then is_passed = true end
      if kind > CALENDAR then certain = 0 end
      local state, slot, kept = post(kind, a, b, c, got[j + 1], now, certain, amount - certain)
      local k = 5 * i
      local used, held, remaining, reset, wait = stand(kind, a, b, c, state, now, amount, 0)
      out[k + 1], out[k + 2], out[k + 3], out[k + 4], out[k + 5] = used, held, remaining, reset, wait
      if remaining < 0 and enforce == 1 then is_refused = true end
      i = i + 1
      parts[i + 1] = spack('<dd', certain, slot)
      set[2 * j], set[2 * j + 1] = ask[j + 2], state
      if kept > ttl then ttl = kept end
    end
    saves[o] = { set, born, expires, due, ttl, 2 * count + 1 }
  end
  return is_refused, is_passed, is_due, out, parts, saves
end

-- The hold is known already, or does not fit: tell how things stand without it.
local function tell_known(record)
  if byte(record) ~= OPEN then return reply(3, now, {}, 0) end
  local out, count = survey(lines, names, now, true)
  return reply(1, now, out, count)
end

local is_refused, is_passed, is_due, out, parts, saves = work_out()
if is_refused or is_passed or is_due then
  local swept = sweep(index, now, 256)
  local record = call('GET', KEYS[1])
  if record then return tell_known(record) end
  if is_passed then return reply(2, now, {}, 0) end
  if swept > 0 then
    is_refused, is_passed, is_due, out, parts, saves = work_out()
  end
  if is_refused then
    local count
    out, count = survey(lines, names, now, false)
    return reply(0, now, out, count)
  end
  if swept == 256 then -- more may be waiting: the next reserve goes on
    for o = 1, m do saves[o][4] = now end
  end
end

parts[n + 2], parts[n + 3] = lines, ARGV[3]
local ttl_ms = ceil((lease + RECORD_KEPT) / 1000)
if not call('SET', KEYS[1], concat(parts, '', 1, n + 3), 'PX', ttl_ms, 'NX') then return tell_known(call('GET', KEYS[1])) end
for o = 1, m do
  local s = saves[o]
  save(index, s[1], s[6], s[2], s[3], s[4], now, s[5], is_due)
end
call('ZADD', index, now + lease, ARGV[4])
return reply(1, now, out, 5 * n)
