-- Changes lines of a cart and lets it live on. A script, because "add, but no more than so
-- many" and "no more lines than so many" must hold with two tabs open at once.
--   KEYS[1]  the cart: a hash of sku to quantity
--   KEYS[2]  if given, the mark of a change that is made once: where it stands nothing is done
--   ARGV     how ('ADD' or 'SET'), ttl in ms of the cart and the mark, most units to a line, most lines,
--            then sku and quantity, as often as needed
-- Answers how many lines did not fit.
local how, ttl, most_units, most_lines = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
-- What is no cart is refused here, before the mark says that it was done.
redis.call('HLEN', KEYS[1])
if KEYS[2] and not redis.call('SET', KEYS[2], 1, 'NX', 'PX', ttl) then
  return 0
end
local left_out = 0
for at = 5, #ARGV, 2 do
  local sku, quantity = ARGV[at], tonumber(ARGV[at + 1])
  local before = redis.call('HGET', KEYS[1], sku)
  if before or redis.call('HLEN', KEYS[1]) < most_lines then
    if how == 'ADD' and before then
      quantity = quantity + tonumber(before)
    end
    redis.call('HSET', KEYS[1], sku, string.format('%.0f', math.min(quantity, most_units)))
  else
    left_out = left_out + 1
  end
end
redis.call('PEXPIRE', KEYS[1], ttl)
return left_out
