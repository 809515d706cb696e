-- Notes that a session of this user begins, and answers how many are noted.
-- KEYS: the index. ARGV: the session's id, how long it lives in any case, ms.
local time = redis.call('TIME')
-- To the microsecond, so that who is noted twice has another score.
local now = time[1] * 1000 + time[2] / 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
-- The index ends with the session that may live longest.
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last[2] - now))
return redis.call('ZCARD', KEYS[1])
