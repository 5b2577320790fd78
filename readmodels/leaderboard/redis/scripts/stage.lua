-- Stages customers and retired keys of a load.
--
-- ARGV[2] and ARGV[3] are the client and its load. ARGV[4] is the load's timeout: the milliseconds after which another client may take over.
-- ARGV[5] and ARGV[6] are the numbers of customers and retired keys staged so far. ARGV[7] is the number of retired keys that follow; after
-- them come scores and keys. The first call of a load takes over from a load that has timed out, or from one of the same client.

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
