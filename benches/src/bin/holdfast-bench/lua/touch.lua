-- KEYS: session (hash), viewed (sorted set). ARGV: page, item, now in ms, idle timeout in s
redis.call('HSET', KEYS[1], 'page', ARGV[1], 'activity', ARGV[3])
local views = redis.call('HINCRBY', KEYS[1], 'views', 1)
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -26)
return views
