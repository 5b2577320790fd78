-- Ends a load: what it has staged replaces the leaderboard, at the position ARGV[5] with the origin ARGV[8], and the time ARGV[6]. ARGV[2] and
-- ARGV[3] are the client and its load, ARGV[4], ARGV[7] and ARGV[9] the numbers of customers, retired keys and totals beyond the clamp that it
-- has staged.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local by = redis.call('HMGET', KEYS[4], 'client', 'load')
if by[1] ~= ARGV[2] or by[2] ~= ARGV[3] then return {'lost'} end
if redis.call('ZCARD', KEYS[3]) ~= tonumber(ARGV[4]) or redis.call('SCARD', KEYS[6]) ~= tonumber(ARGV[7])
  or redis.call('HLEN', KEYS[8]) ~= tonumber(ARGV[9]) then return {'lost'} end
if redis.call('ZINTERCARD', 2, KEYS[3], KEYS[6], 'LIMIT', 1) > 0 then return {'twice'} end
redis.call('UNLINK', KEY, RETIRED, BEYOND, KEYS[4]) -- frees a large set in the background, where DEL would block
if ARGV[4] ~= '0' then redis.call('RENAME', KEYS[3], KEY) end
if ARGV[7] ~= '0' then redis.call('RENAME', KEYS[6], RETIRED) end
if ARGV[9] ~= '0' then redis.call('RENAME', KEYS[8], BEYOND) end
redis.call('HSET', STATE, 'position', ARGV[5], 'origin', ARGV[8], 'asof', ARGV[6], 'customers', ARGV[4], 'retired', ARGV[7], 'beyond', ARGV[9])
return {'ok'}
