-- Sets what is in a guest's cart apart, to be merged into a user's: what is added from now on is no part of it.
-- What was set apart before and not merged to the end comes first, under its own number.
--   KEYS[1]  the cart: a hash of sku to quantity
--   KEYS[2]  what is set apart: the same, and its number under 'merge'
--   ARGV     the number of this merge, ttl in ms
-- Answers what is set apart, as HGETALL does.
if redis.call('EXISTS', KEYS[2]) == 0 then
  local lines = redis.call('HGETALL', KEYS[1])
  if #lines == 0 then
    return lines
  end
  for at = 1, #lines, 2 do
    redis.call('HSET', KEYS[2], lines[at], lines[at + 1])
  end
  redis.call('HSET', KEYS[2], 'merge', ARGV[1])
  redis.call('DEL', KEYS[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return redis.call('HGETALL', KEYS[2])
