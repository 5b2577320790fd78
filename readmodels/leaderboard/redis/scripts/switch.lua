-- Replaces the live leaderboard, whose state, customers and retired keys are KEYS[7], KEYS[8] and KEYS[9], with the copy; also if the
-- copy is behind it, where ARGV[2] is 'anyway'.

local s, failure = state()
if failure then return failure end

-- before compares positions, "commit" or "commit-prepare", as text: their parts may be greater than Lua's numbers can hold exactly.
local function before(a, b)
  local function parts(position)
    local commit, prepare = string.match(position, '^(%d+)%-?(%d*)$')
    if prepare == '' then prepare = commit end
    return string.rep('0', 20 - #commit) .. commit .. string.rep('0', 20 - #prepare) .. prepare
  end
  return parts(a) < parts(b)
end

local live = read(KEYS[7], KEYS[8], KEYS[9])
if live and ARGV[2] ~= 'anyway' then
  if before(s.position, live.position) then return {'behind', s.position, live.position} end
  s.asof = later(s.asof, live.asof)
end
redis.call('UNLINK', KEYS[7], KEYS[8], KEYS[9], STATE, KEYS[3], KEYS[4], KEYS[6])
if s.customers ~= '0' then redis.call('RENAME', KEY, KEYS[8]) end
if s.retired ~= '0' then redis.call('RENAME', RETIRED, KEYS[9]) end
redis.call('HSET', KEYS[7], 'position', s.position, 'origin', s.origin, 'asof', s.asof, 'customers', s.customers, 'retired', s.retired)
return {'ok'}
