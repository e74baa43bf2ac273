-- watch_pardon: take a subject off its ladder at once, and leave word for the analyst.
--
-- KEYS  1 pardons (hash)  2 the version  3 subjects by version (sorted set)  4 rungs (hash)
-- ARGV  1 the subject  2 the pardon  3 its rung from now on
-- Returns 1.

local call = redis.call
call('HSET', KEYS[1], ARGV[1], ARGV[2])
call('HSET', KEYS[4], ARGV[1], ARGV[3])
call('ZADD', KEYS[3], call('INCR', KEYS[2]), ARGV[1])
return 1
