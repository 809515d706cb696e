-- KEYS: counts (hash), holds (hash id -> "quantity:deadline"), deadlines (sorted set), outcomes (hash), finished (sorted set)
-- ARGV: id, quantity, milliseconds to hold
local counts, holds, deadlines, outcomes, finished = unpack(KEYS)
local id, quantity = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local outcome = redis.call('HGET', outcomes, id)
if outcome then
  return {outcome, 0, 0, 0, 1}
end
local hold = redis.call('HGET', holds, id)
if hold then
  local held, deadline = hold:match('^(%d+):(%d+)$')
  if tonumber(held) ~= quantity then
    return redis.error_reply('MISMATCH the hold has another quantity')
  end
  return {'RESERVED', 0, 0, tonumber(deadline), 1}
end

-- What is past its deadline gives its units back, a few at a time.
for _, due in ipairs(redis.call('ZRANGEBYSCORE', deadlines, '-inf', now, 'LIMIT', 0, 16)) do
  local held = redis.call('HGET', holds, due):match('^%d+')
  redis.call('HINCRBY', counts, 'held', -held)
  redis.call('HDEL', holds, due)
  redis.call('ZREM', deadlines, due)
  redis.call('HSET', outcomes, due, 'EXPIRED')
  redis.call('ZADD', finished, now, due)
end
-- Outcomes are kept for an hour.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', finished, '-inf', now - 3600000, 'LIMIT', 0, 16)) do
  redis.call('HDEL', outcomes, old)
  redis.call('ZREM', finished, old)
end

local on_hand, held, seq = unpack(redis.call('HMGET', counts, 'on_hand', 'held', 'seq'))
local available = (tonumber(on_hand) or 0) - (tonumber(held) or 0)
if available < quantity then
  return {'OUT_OF_STOCK', available, tonumber(seq) or 0, 0, 0}
end
local deadline = now + tonumber(ARGV[3])
redis.call('HINCRBY', counts, 'held', quantity)
redis.call('HSET', holds, id, quantity .. ':' .. deadline)
redis.call('ZADD', deadlines, deadline, id)
return {'RESERVED', available - quantity, redis.call('HINCRBY', counts, 'seq', 1), deadline, 0}
