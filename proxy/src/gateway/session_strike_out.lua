-- Strikes out sessions that are gone, unless one was noted again since it was looked for.
-- KEYS: the index. ARGV: ids, each with the score that it had.
for i = 1, #ARGV, 2 do
    if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then
        redis.call('ZREM', KEYS[1], ARGV[i])
    end
end
return 0
