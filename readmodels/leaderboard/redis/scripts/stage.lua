-- Stages customers, retired keys and totals beyond the clamp of a load, which must have claimed the board.
--
-- ARGV[3] and ARGV[4] are the client and its load. ARGV[5] is for how many milliseconds more the board is claimed.
-- ARGV[6], ARGV[7] and ARGV[8] are the numbers of customers, retired keys and totals staged so far. ARGV[9] and ARGV[10] are the lengths of the
-- lists that follow: retired keys, and keys and totals by turns. After them come scores and keys.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local by = redis.call('HMGET', KEYS[4], 'client', 'load')
if by[1] ~= ARGV[3] or by[2] ~= ARGV[4] then return {'lost'} end
if redis.call('ZCARD', KEYS[3]) ~= tonumber(ARGV[6]) or redis.call('SCARD', KEYS[6]) ~= tonumber(ARGV[7])
  or redis.call('HLEN', KEYS[8]) ~= tonumber(ARGV[8]) then return {'lost'} end
redis.call('HSET', KEYS[4], 'until', now() + ARGV[5])
local totals, added = 11 + ARGV[9], 0
local customers = totals + ARGV[10]
if totals > 11 then added = redis.call('SADD', KEYS[6], unpack(ARGV, 11, totals - 1)) end
if customers > totals then redis.call('HSET', KEYS[8], unpack(ARGV, totals, customers - 1)) end
if customers <= #ARGV then added = added + redis.call('ZADD', KEYS[3], unpack(ARGV, customers)) end
return {'ok', added}
