-- Takes bought units out of a cart. A script, because a line may only go away when nothing was
-- added to it in the same moment.
--   KEYS[1]  the cart: a hash of sku to quantity
--   ARGV     sku and quantity, as often as needed
for at = 1, #ARGV, 2 do
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
return redis.call('HLEN', KEYS[1])
