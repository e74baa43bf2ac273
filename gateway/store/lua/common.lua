-- common.lua: how budgets are kept and how a hold moves them; prefixed to every script, after clock.lua.
--
-- Units: amounts are whole numbers up to 2^53; times and windows are microseconds of the server's clock.
-- Runs unchanged on Redis 6.2, 7, 8 and Valkey. Sees keys, amounts and windows only.
--
-- One HASH an owner key. Field '' is its meta (born, expires, due); every other field is one budget's state, doubles:
--   bucket        level, held, at, capacity, rate, after a byte of padding    41 bytes
--   rolling       held, used, {start, used}*  16 + 16 for each sub-slot in use, oldest first
--   calendar      start, used, held, prev_start, prev_used    40 bytes
--   concurrency   held                         8 bytes
-- The lengths tell kinds apart: a field whose budget changed its kind starts anew.
--
-- Lifetimes. An owner expires once every budget in it would be whole again (and never before its leases): forgetting it
-- then changes nothing. `expires` is also kept in the meta, an hour generous, so that PEXPIRE runs once an hour and
-- not on every call. `born` tells incarnations apart: a hold older than its owner's birth posts nothing there.
-- `due` makes the next reserve after it sweep: an owner in use is swept every hour, and one out of use lives
-- TTL_MAX at most; so a hold's record, kept lease + TTL_MAX + 2 h, always outlives the state it is counted in.
-- The index of open holds (KEYS[2]) keeps one member '' always, so that it is never emptied, deleted and born again without
-- a TTL. Both need a server that evicts nothing (maxmemory-policy noeviction).
--
-- A bucket. level + held + used == capacity at every moment. Refill starts at the reserve: what is certain or posted
-- drips back while the request still runs, so a slow request does not delay the window and the wait told is true. But
-- level never exceeds capacity - held: what is only held has not been used, and its give-back must not make a burst
-- larger than the capacity. Debt is a level below zero. Capacity and rate are kept as of the last reserve: a hold from
-- before a change of policy must settle by today's.

-- Speed: a script is run anew for each call, so every closure and every local it captures is paid for each time. The loader
-- writes the constants' values (capitals, one a line) into the text. Comparisons stand where min and max would read better, and
-- tables begin with room for a usual hold: together a fifth of a script's time.

local call, spack, sunpack = redis.call, struct.pack, struct.unpack
local floor, ceil, max, min, fmod = math.floor, math.ceil, math.max, math.min, math.fmod
local sub, byte, char, rep, concat = string.sub, string.byte, string.char, string.rep, table.concat

local BUCKET = 1
local ROLLING = 2
local CALENDAR = 3 -- and 4: concurrency
local OPEN = 1
local SWEPT = 2
local SETTLED = 3
local EPSILON = 1e-6 -- what doubles may lose in a refill, in units of the amount
local MOST = 9007199254740992 -- 2^53
local HOUR = 3600000000
local DAY = 86400000000
local TTL_MAX = 34560000000000 -- 400 days
local RECORD_KEPT = 34567200000000 -- TTL_MAX + 2 * HOUR
local SLOTS = 60
local BUCKET_STATE = '<Bddddd'
local META = ''
local LINE = '<BBddddd' -- kind, enforce, a, b, c, amount, certain
local LINE_BYTES = 42
local HEADER = '<BBBd' -- record: state, lines, owners, opened; then {posted, slot}*, counts, LINE*, names
local HEADER_BYTES = 11

-- Rolling: held, used, and where the first sub-slot that still touches the last period begins in the string.
local function live_slots(s, now, reach)
  local held, used, at = sunpack('<dd', s)
  local size = #s
  while at < size do
    local start, part = sunpack('<dd', s, at)
    if start + reach > now then break end
    used = used - part
    at = at + 16
  end
  return held, used, at
end

-- A budget's state with used and held moved by signed amounts.
-- slot: the window a hold was counted in (what an earlier call returned); nil opens it now.
-- Returns state, slot, microseconds the state must be kept; or nil: that window is gone, nothing is posted.
local function post(kind, a, b, c, s, now, used_delta, held_delta, slot)
  local size = s and #s or 0
  if kind == BUCKET then
    local level, held, at, rate = a, 0, now, b / c
    if size == 41 then
      local _, capacity, rate_then
      _, level, held, at, capacity, rate_then = sunpack(BUCKET_STATE, s)
      if slot then a, rate = capacity, rate_then end
      if now > at then
        level = level + (now - at) * rate
        at = now
      end
      if level > a - held then level = a - held end
    elseif slot then
      return nil
    end
    held = held + held_delta
    if held < 0 then held = 0 end
    level = level - used_delta - held_delta
    if level > a - held then level = a - held end
    return spack(BUCKET_STATE, 0, level, held, at, a, rate), 0, 2 * (a - level) / rate
  end
  if kind == ROLLING then
    local width = max(1, floor(b / SLOTS))
    local reach = width + b
    local held, used, at = 0, 0, 1
    if size > 0 and size % 16 == 0 then
      held, used, at = live_slots(s, now, reach)
    elseif slot then
      return nil
    else
      s, size = '', 0
    end
    slot = slot or now - fmod(now, width)
    held = max(0, held + held_delta)
    if used_delta == 0 or slot + reach <= now then
      return spack('<dd', held, used) .. sub(s, at), slot, 2 * b
    end
    local p, start, part = size - 15, -1, 0
    while p >= at do
      start, part = sunpack('<dd', s, p)
      if start <= slot then break end
      p = p - 16
    end
    local before, after = p + 15, p + 16 -- the new sub-slot goes between these
    if p >= at and start == slot then
      before = p - 1
    else
      part = 0
    end
    if p < at then before, after = at - 1, at end
    part = part + used_delta
    local middle = part ~= 0 and spack('<dd', slot, part) or ''
    return spack('<dd', held, used + used_delta) .. sub(s, at, before) .. middle .. sub(s, after), slot, 2 * b
  end
  if kind == CALENDAR then
    local start, used, held, prev_start, prev_used = b, 0, 0, 0, 0
    if size == 40 then
      start, used, held, prev_start, prev_used = sunpack('<ddddd', s)
      if not slot and start < b then -- only ever forward: two policies that differ must not reset it in turn
        prev_start, prev_used, start, used, held = start, used, b, 0, 0
      end
    elseif slot then
      return nil
    end
    slot = slot or start
    if slot == start then
      used = used + used_delta
      held = max(0, held + held_delta)
    elseif slot == prev_start then
      prev_used = prev_used + used_delta
    else
      return nil
    end
    return spack('<ddddd', start, used, held, prev_start, prev_used), slot, c - now + 2 * DAY
  end
  local held = 0
  if size == 8 then
    held = sunpack('<d', s)
  elseif slot then
    return nil
  end
  return spack('<d', max(0, held + held_delta)), 0, 0
end

-- How a budget stands: used, held, remaining, reset_us, wait_us (until `need` fits; -1 when `amount` never does).
local function stand(kind, a, b, c, s, now, amount, need)
  local size = s and #s or 0
  local used, held, remaining, reset, wait = 0, 0, a, 0, 0
  if kind == BUCKET then
    local level, at = a, now
    if size == 41 then
      local _
      _, level, held, at = sunpack(BUCKET_STATE, s)
      if now > at then level = level + (now - at) * (b / c) end
      if level > a - held then level = a - held end
    end
    remaining = floor(level + EPSILON)
    used = a - held - remaining
    local short = a - held - level
    if short > EPSILON then
      reset = ceil(short * c / b)
      if reset > MOST then reset = MOST end
    end
    if remaining < need then wait = min(MOST, ceil((need - level) * c / b)) end
  elseif kind == ROLLING then
    local reach = max(1, floor(b / SLOTS)) + b
    local at = 1
    if size > 0 and size % 16 == 0 then
      held, used, at = live_slots(s, now, reach)
      if at < size then reset = sunpack('<d', s, size - 15) + reach - now end
    end
    remaining = a - used - held
    if remaining < need then
      local lacking = need - remaining
      wait = reach -- what is held counts as used now
      while at < size do
        local start, part = sunpack('<dd', s, at)
        lacking = lacking - part
        if lacking <= 0 then
          wait = start + reach - now
          break
        end
        at = at + 16
      end
    end
  elseif kind == CALENDAR then
    if size == 40 then
      local start, used_there, held_there = sunpack('<ddd', s)
      if start >= b then used, held = used_there, held_there end
    end
    remaining = a - used - held
    if used > 0 then reset = max(0, c - now) end
    if remaining < need then wait = max(1, c - now) end
  else
    if size == 8 then held = sunpack('<d', s) end
    remaining = a - held
    if remaining < need then wait = 1000000 end
  end
  if wait ~= 0 and amount > a then wait = -1 end
  return used, held, remaining, reset, wait
end

-- Write an owner's changed fields (set = {owner, field, state, ...}, `count` in all) and keep it, and the index, for `ttl`.
local function save(index, set, count, born, expires, due, now, ttl, is_due)
  if now + ttl <= expires and not is_due then
    call('HSET', unpack(set, 1, count))
    return
  end
  expires = max(expires, now + min(TTL_MAX, ttl + HOUR))
  set[count + 1] = META
  set[count + 2] = spack('<ddd', born, expires, due)
  call('HSET', unpack(set, 1, count + 2))
  call('PEXPIRE', set[1], ceil((expires - now) / 1000))
  call('ZADD', index, 'inf', '')
  call('PEXPIRE', index, ceil(RECORD_KEPT / 1000))
end

-- Move an open or swept hold from what it has posted to `targets` (packed doubles; nil: what it has posted stays).
-- is_kept: the rest goes on being held (a renewal); otherwise it is released.
local function repost(index, record, now, lease, targets, is_kept)
  local state, n, m, opened = sunpack(HEADER, record)
  local counts_at = HEADER_BYTES + 16 * n
  local line_at = counts_at + m + 1
  local names = { sunpack('<' .. rep('Bc0', m + n), record, line_at + LINE_BYTES * n) }
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
      i = i + 1
      local kind, _, a, b, c, amount = sunpack(LINE, record, line_at)
      line_at = line_at + LINE_BYTES
      local posted, slot = sunpack('<dd', record, HEADER_BYTES + 16 * i - 15)
      local used_delta, held_delta = 0, 0
      if kind > CALENDAR then
        if state == OPEN and not is_kept then held_delta = -amount end
      else
        local target = targets and sunpack('<d', targets, 8 * i - 7) or posted
        used_delta = target - posted
        if state == OPEN and amount > posted then held_delta = posted - amount end
        if is_kept and amount > target then held_delta = held_delta + amount - target end
      end
      if is_alive and (used_delta ~= 0 or held_delta ~= 0 or is_kept) then
        local moved, _, kept = post(kind, a, b, c, got[j + 1], now, used_delta, held_delta, slot)
        if moved then
          set[size + 1], set[size + 2] = ask[j + 2], moved
          size = size + 2
          if kept > ttl then ttl = kept end
        end
      end
    end
    if size > 1 then save(index, set, size, born, expires, due, now, ttl) end
  end
end

-- Release what expired holds hold, and keep what they posted as used. At most `limit`; returns how many.
-- It touches owner keys that only the holds' records name: they share the script's hash tag, so Cluster allows it.
local function sweep(index, now, limit)
  local ids = call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, limit)
  for k = 1, #ids do
    local key = sub(index, 1, -2) .. 'h:' .. ids[k]
    local record = call('GET', key)
    call('ZREM', index, ids[k])
    if record and byte(record) == OPEN then
      repost(index, record, now, 0, nil, false)
      call('SET', key, char(SWEPT) .. sub(record, 2), 'PX', 2 * DAY / 1000)
    end
  end
  return #ids
end

-- The reply of reserve and standings: code, now_us, then five integers a line, as one packed string of 64-bit integers.
local function reply(code, now, out, count)
  return spack('<i8i8' .. rep('i8', count), code, now, unpack(out, 1, count))
end

-- How the lines stand, nothing changed. is_held: they are held already, so nothing more has to fit.
-- Returns the flat standings, how many integers they are, and whether a calendar line's window does not contain `now`.
local function survey(lines, names, now, is_held)
  local m = #KEYS - 2
  local at, i, out, is_passed = m + 1, 0, {}, false
  for o = 1, m do
    local count = byte(lines, o)
    local ask = { KEYS[o + 2], META }
    for j = 1, count do ask[j + 2] = names[m + i + j] end
    local got = call('HMGET', unpack(ask))
    local is_alive = false
    if got[1] then
      local _, expires = sunpack('<dd', got[1])
      is_alive = now < expires
    end
    for j = 1, count do
      local kind, _, a, b, c, amount
      kind, _, a, b, c, amount, _, at = sunpack(LINE, lines, at)
      if kind == CALENDAR and (now < b or now >= c) then is_passed = true end
      local k = 5 * i
      out[k + 1], out[k + 2], out[k + 3], out[k + 4], out[k + 5] =
        stand(kind, a, b, c, is_alive and got[j + 1], now, amount, is_held and 0 or amount)
      i = i + 1
    end
  end
  return out, 5 * i, is_passed
end
