-- Ends a load: what it has staged replaces the leaderboard, at the position ARGV[6] with the origin ARGV[9], and the time ARGV[7]. ARGV[3] and
-- ARGV[4] are the client and its load, ARGV[5], ARGV[8] and ARGV[10] the numbers of customers, retired keys and totals beyond the clamp that it
-- has staged.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local by = redis.call('HMGET', KEYS[4], 'client', 'load', 'over')
if by[1] ~= ARGV[3] or by[2] ~= ARGV[4] then return {'lost'} end
if redis.call('ZCARD', KEYS[3]) ~= tonumber(ARGV[5]) or redis.call('SCARD', KEYS[6]) ~= tonumber(ARGV[8])
  or redis.call('HLEN', KEYS[8]) ~= tonumber(ARGV[10]) then return {'lost'} end
if redis.call('ZINTERCARD', 2, KEYS[3], KEYS[6], 'LIMIT', 1) > 0 then return {'twice'} end
local live = read(STATE, KEY, RETIRED, BEYOND)
if live and checkpoint(live) ~= by[3] and before(ARGV[6], live.position) then return {'outrun', ARGV[6], live.position} end
redis.call('UNLINK', KEY, RETIRED, BEYOND, KEYS[4]) -- frees a large set in the background, where DEL would block
if ARGV[5] ~= '0' then redis.call('RENAME', KEYS[3], KEY) end
if ARGV[8] ~= '0' then redis.call('RENAME', KEYS[6], RETIRED) end
if ARGV[10] ~= '0' then redis.call('RENAME', KEYS[8], BEYOND) end
redis.call('HSET', STATE, 'position', ARGV[6], 'origin', ARGV[9], 'asof', ARGV[7], 'customers', ARGV[5], 'retired', ARGV[8], 'beyond', ARGV[10],
  'bounds', ARGV[2])
return {'ok'}
