-- Replaces the live leaderboard, whose state, customers, retired keys and totals beyond the clamp are KEYS[9] to KEYS[12], with the copy; also
-- if the copy is behind it, where ARGV[3] is 'anyway'.

local s, failure = state()
if failure then return failure end

local live = read(KEYS[9], KEYS[10], KEYS[11], KEYS[12])
if live and ARGV[3] ~= 'anyway' then
  if before(s.position, live.position) then return {'behind', s.position, live.position} end
  s.asof = later(s.asof, live.asof)
end
redis.call('UNLINK', KEYS[9], KEYS[10], KEYS[11], KEYS[12], STATE, KEYS[3], KEYS[4], KEYS[6], KEYS[8])
if s.customers ~= '0' then redis.call('RENAME', KEY, KEYS[10]) end
if s.retired ~= '0' then redis.call('RENAME', RETIRED, KEYS[11]) end
if s.beyond ~= '0' then redis.call('RENAME', BEYOND, KEYS[12]) end
redis.call('HSET', KEYS[9], 'position', s.position, 'origin', s.origin, 'asof', s.asof, 'customers', s.customers, 'retired', s.retired, 'beyond', s.beyond, 'bounds', ARGV[2])
return {'ok'}
