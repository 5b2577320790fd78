-- Claims the board for a load, with ARGV[6] 'new', or goes on claiming it. A new claim takes over from a load that has timed out, or from one of the
-- same client, and removes what that has staged. It keeps which leaderboard there was, so that the load replaces no other that is further.
--
-- ARGV[3] and ARGV[4] are the client and its load. ARGV[5] is for how many milliseconds the board is claimed: then another client may take over.

if (redis.call('HGET', STATE, 'copy') or '') ~= ARGV[1] then return {'displaced'} end
local by = redis.call('HMGET', KEYS[4], 'client', 'load', 'until')
if by[1] ~= ARGV[3] or by[2] ~= ARGV[4] then
  if ARGV[6] ~= 'new' then return {'lost'} end
  if by[1] and by[1] ~= ARGV[3] and tonumber(by[3]) > now() then return {'busy'} end
  redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[6], KEYS[8])
  local live = read(STATE, KEY, RETIRED, BEYOND)
  redis.call('HSET', KEYS[4], 'client', ARGV[3], 'load', ARGV[4], 'over', live and checkpoint(live) or '')
end
redis.call('HSET', KEYS[4], 'until', now() + ARGV[5])
return {'ok'}
