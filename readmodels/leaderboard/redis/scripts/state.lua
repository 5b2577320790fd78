-- Stands before every other script, and reads what KEYS[1] holds about the customers in KEYS[2] and the retired keys in
-- KEYS[5]. A load puts its own of both into KEYS[3] and KEYS[6]; KEYS[4] says whose load it is.
--
-- The state is a hash: position, asof (microseconds since 1970, or nothing), customers and retired (how many there are) and,
-- in a copy, copy: the name of the rebuild it belongs to. ARGV[1] is that name, and nothing for the live leaderboard. A
-- count that is not that of the customers, or of the retired, tells that Redis has lost some of it: then there is nothing
-- to be read.

local KEY, STATE, RETIRED = KEYS[2], KEYS[1], KEYS[5]

-- read is the state of a leaderboard, nothing if that is not whole, and the copy it says it is.
local function read(state, customers, retired)
  local s = redis.call('HMGET', state, 'copy', 'position', 'asof', 'customers', 'retired')
  local copy = s[1] or ''
  if not s[2] or redis.call('ZCARD', customers) ~= tonumber(s[4]) then return nil, copy end
  local gone = s[5] or '0'
  if gone ~= '0' and redis.call('SCARD', retired) ~= tonumber(gone) then return nil, copy end
  return {position = s[2], asof = s[3], customers = s[4], retired = gone}, copy
end

local function state()
  local s, copy = read(STATE, KEY, RETIRED)
  if copy ~= ARGV[1] then return nil, {'displaced'} end
  if not s then return nil, {'unloaded'} end
  return s
end

-- later is the later of two times.
local function later(a, b)
  if a == '' or (b ~= '' and tonumber(b) > tonumber(a)) then return b end
  return a
end
