-- KEYS: as for reserve.lua. ARGV: id
local counts, holds, deadlines, outcomes, finished = unpack(KEYS)
local id = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local outcome = redis.call('HGET', outcomes, id)
if outcome then
  return {outcome, 0, 0, 0, 1}
end
local hold = redis.call('HGET', holds, id)
if not hold then
  return {'UNKNOWN_HOLD', 0, 0, 0, 0}
end
local quantity, deadline = hold:match('^(%d+):(%d+)$')
local word = 'CONFIRMED'
if tonumber(deadline) <= now then
  word = 'EXPIRED'
end
local held = redis.call('HINCRBY', counts, 'held', -quantity)
local on_hand
if word == 'CONFIRMED' then
  on_hand = redis.call('HINCRBY', counts, 'on_hand', -quantity)
  redis.call('HINCRBY', counts, 'sold', quantity)
else
  on_hand = tonumber(redis.call('HGET', counts, 'on_hand'))
end
redis.call('HDEL', holds, id)
redis.call('ZREM', deadlines, id)
redis.call('HSET', outcomes, id, word)
redis.call('ZADD', finished, now, id)
return {word, on_hand - held, redis.call('HINCRBY', counts, 'seq', 1), 0, 0}
