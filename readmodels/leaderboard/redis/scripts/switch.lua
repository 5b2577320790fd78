-- Puts the copy in the place of the live leaderboard, whose state and customers are KEYS[5] and KEYS[6].

local s, refused = state()
if refused then return refused end

-- before compares positions, "commit" or "commit-prepare", as text: their parts may be larger than Lua's numbers are exact.
local function before(a, b)
  local function parts(position)
    local commit, prepare = string.match(position, '^(%d+)%-?(%d*)$')
    if prepare == '' then prepare = commit end
    return string.rep('0', 20 - #commit) .. commit .. string.rep('0', 20 - #prepare) .. prepare
  end
  return parts(a) < parts(b)
end

local live = redis.call('HMGET', KEYS[5], 'position', 'asof', 'customers')
if live[1] and redis.call('ZCARD', KEYS[6]) == tonumber(live[3]) then
  if before(s.position, live[1]) then return {'behind', s.position, live[1]} end
  s.asof = later(s.asof, live[2])
end
redis.call('UNLINK', KEYS[6], KEYS[5], STATE, KEYS[3], KEYS[4])
if s.customers ~= '0' then redis.call('RENAME', KEY, KEYS[6]) end
redis.call('HSET', KEYS[5], 'position', s.position, 'asof', s.asof, 'customers', s.customers)
return {'ok'}
