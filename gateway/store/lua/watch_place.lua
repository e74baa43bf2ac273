-- watch_place: write where subjects stand. Only for whoever holds the lease: one that has lost it writes nothing more.
--
-- KEYS  1 the lease  2 the version  3 subjects by version (sorted set)  4 rungs (hash)  5 dossiers (hash)  6 pardons (hash)
-- ARGV  1 who writes; then four for each subject: its name, its rung, its dossier ('' for either: leave it, '-': forget it), and
--       the pardon that this answers ('' for none)
-- Returns how many were written; -1: another holds the lease, and nothing was.
--
-- A pardon that the writer has not read yet goes before what it writes: that subject is left as the pardon made it.

local call = redis.call
if call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local written = 0
for i = 2, #ARGV, 4 do
  local subject, rung, dossier, answers = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local pardon = call('HGET', KEYS[6], subject)
  if pardon and pardon == answers then
    call('HDEL', KEYS[6], subject)
    pardon = false
  end
  if not pardon then
    written = written + 1
    if rung == '-' then
      call('HDEL', KEYS[4], subject)
      call('ZREM', KEYS[3], subject)
    elseif rung ~= '' then
      call('HSET', KEYS[4], subject, rung)
      call('ZADD', KEYS[3], call('INCR', KEYS[2]), subject)
    end
    if dossier == '-' then
      call('HDEL', KEYS[5], subject)
    elseif dossier ~= '' then
      call('HSET', KEYS[5], subject, dossier)
    end
  end
end
return written
