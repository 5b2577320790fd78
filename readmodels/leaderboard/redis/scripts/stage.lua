-- Puts customers beside the leaderboard, in KEYS[3], for a load to switch to. KEYS[4] says whose load it is.
--
-- ARGV[2] and ARGV[3] name the client and its load, ARGV[4] is for how many milliseconds it need not be heard of again,
-- ARGV[5] how many customers it has put there so far. Scores and keys follow. The first call of a load takes the place of
-- one that has not been heard of for long, or was the same client's.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local by = redis.call('HMGET', KEYS[4], 'client', 'load', 'until')
if by[1] ~= ARGV[2] or by[2] ~= ARGV[3] then
  if ARGV[5] ~= '0' then return {'lost'} end
  if by[1] and by[1] ~= ARGV[2] and tonumber(by[3]) > now then return {'busy'} end
  redis.call('UNLINK', KEYS[3])
end
if redis.call('ZCARD', KEYS[3]) ~= tonumber(ARGV[5]) then return {'lost'} end
redis.call('HSET', KEYS[4], 'client', ARGV[2], 'load', ARGV[3], 'until', now + ARGV[4])
if #ARGV == 5 then return {'ok', 0} end
return {'ok', redis.call('ZADD', KEYS[3], unpack(ARGV, 6))}
