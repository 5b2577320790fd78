-- Stages customers, retired keys and totals beyond the clamp of a load.
--
-- ARGV[2] and ARGV[3] are the client and its load. ARGV[4] is the load's timeout: the milliseconds after which another client may take over.
-- ARGV[5], ARGV[6] and ARGV[7] are the numbers of customers, retired keys and totals staged so far. ARGV[8] and ARGV[9] are the lengths of the
-- lists that follow: retired keys, and keys and totals by turns. After them come scores and keys. The first call of a load takes over from a load that has timed out, or from one of the same client.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local by = redis.call('HMGET', KEYS[4], 'client', 'load', 'until')
if by[1] ~= ARGV[2] or by[2] ~= ARGV[3] then
  if ARGV[5] ~= '0' or ARGV[6] ~= '0' then return {'lost'} end
  if by[1] and by[1] ~= ARGV[2] and tonumber(by[3]) > now then return {'busy'} end
  redis.call('UNLINK', KEYS[3], KEYS[6], KEYS[8])
end
if redis.call('ZCARD', KEYS[3]) ~= tonumber(ARGV[5]) or redis.call('SCARD', KEYS[6]) ~= tonumber(ARGV[6])
  or redis.call('HLEN', KEYS[8]) ~= tonumber(ARGV[7]) then return {'lost'} end
redis.call('HSET', KEYS[4], 'client', ARGV[2], 'load', ARGV[3], 'until', now + ARGV[4])
local totals, added = 10 + ARGV[8], 0
local customers = totals + ARGV[9]
if totals > 10 then added = redis.call('SADD', KEYS[6], unpack(ARGV, 10, totals - 1)) end
if customers > totals then redis.call('HSET', KEYS[8], unpack(ARGV, totals, customers - 1)) end
if customers <= #ARGV then added = added + redis.call('ZADD', KEYS[3], unpack(ARGV, customers)) end
return {'ok', added}
