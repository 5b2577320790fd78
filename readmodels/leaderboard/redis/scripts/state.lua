-- Stands before every other script, and reads what KEYS[1] holds about the customers in KEYS[2].
--
-- The state is a hash: position, asof (microseconds since 1970, or nothing), customers (how many there are) and, in a
-- copy, copy: the name of the rebuild it belongs to. ARGV[1] is that name, and nothing for the live leaderboard. A count
-- that is not that of the customers tells that Redis has lost one of the two: then there is nothing to be read.

local KEY, STATE = KEYS[2], KEYS[1]

local function state()
  local s = redis.call('HMGET', STATE, 'copy', 'position', 'asof', 'customers')
  if (s[1] or '') ~= ARGV[1] then return nil, {'displaced'} end
  if not s[2] or redis.call('ZCARD', KEY) ~= tonumber(s[4]) then return nil, {'unloaded'} end
  return {position = s[2], asof = s[3], customers = s[4]}
end

-- later is the later of two times.
local function later(a, b)
  if a == '' or (b ~= '' and tonumber(b) > tonumber(a)) then return b end
  return a
end
