-- Takes bought units out of a cart, once. A script, because a line may only go away when nothing was
-- added to it in the same moment.
--   KEYS[1]  the cart: a hash of sku to quantity
--   KEYS[2]  the mark that stands while this may be repeated
--   ARGV     how long the mark stands in ms, then sku and quantity, as often as needed
-- Answers 1, or 0 where the mark stood already.
-- What is no cart is refused here, before the mark says that it was done.
redis.call('HLEN', KEYS[1])
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[1]) then
  return 0
end
for at = 2, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[at])
  if before then
    local left = tonumber(before) - tonumber(ARGV[at + 1])
    if left > 0 then
      redis.call('HSET', KEYS[1], ARGV[at], string.format('%.0f', left))
    else
      redis.call('HDEL', KEYS[1], ARGV[at])
    end
  end
end
return 1
