-- Ends a load: what it has put into KEYS[3] becomes the leaderboard, at the position ARGV[5] and the time ARGV[6]. ARGV[2]
-- and ARGV[3] name the client and its load, ARGV[4] is how many customers it has put there.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local by = redis.call('HMGET', KEYS[4], 'client', 'load')
if by[1] ~= ARGV[2] or by[2] ~= ARGV[3] then return {'lost'} end
if redis.call('ZCARD', KEYS[3]) ~= tonumber(ARGV[4]) then return {'lost'} end
redis.call('UNLINK', KEY, KEYS[4]) -- which frees a large set beside the commands, where DEL would hold them up
if ARGV[4] ~= '0' then redis.call('RENAME', KEYS[3], KEY) end
redis.call('HSET', STATE, 'position', ARGV[5], 'asof', ARGV[6], 'customers', ARGV[4])
return {'ok'}
