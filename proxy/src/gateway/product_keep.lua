-- Keeps a reading of a product unless a newer one is there, and tells every proxy of a change. A
-- script, because between a look and a write somebody else may keep a newer one.
--   KEYS[1]  what is kept of the product: JSON with its revision, which is 0 where there is none
--   ARGV     revision, JSON, ttl in ms; for a change also the channel and what to say there
-- Answers the revision that is kept now.
local revision = tonumber(ARGV[1])
local kept = redis.call('GET', KEYS[1])
local newest = kept and cjson.decode(kept).revision or 0
if newest <= revision then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  newest = revision
end
if ARGV[4] then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return newest
