-- Puts customers and retired keys beside the leaderboard, for a load to switch to.
--
-- ARGV[2] and ARGV[3] name the client and its load, ARGV[4] is for how many milliseconds it need not be heard of again,
-- ARGV[5] and ARGV[6] how many customers and retired keys it has put there so far. ARGV[7] says how many retired keys follow;
-- after them come scores and keys. The first call of a load takes the place of one that has not been heard of for long, or
-- was the same client's.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local by = redis.call('HMGET', KEYS[4], 'client', 'load', 'until')
if by[1] ~= ARGV[2] or by[2] ~= ARGV[3] then
  if ARGV[5] ~= '0' or ARGV[6] ~= '0' then return {'lost'} end
  if by[1] and by[1] ~= ARGV[2] and tonumber(by[3]) > now then return {'busy'} end
  redis.call('UNLINK', KEYS[3], KEYS[6])
end
if redis.call('ZCARD', KEYS[3]) ~= tonumber(ARGV[5]) or redis.call('SCARD', KEYS[6]) ~= tonumber(ARGV[6]) then return {'lost'} end
redis.call('HSET', KEYS[4], 'client', ARGV[2], 'load', ARGV[3], 'until', now + ARGV[4])
local customers, added = 8 + ARGV[7], 0
if customers > 8 then added = redis.call('SADD', KEYS[6], unpack(ARGV, 8, customers - 1)) end
if customers <= #ARGV then added = added + redis.call('ZADD', KEYS[3], unpack(ARGV, customers)) end
return {'ok', added}
