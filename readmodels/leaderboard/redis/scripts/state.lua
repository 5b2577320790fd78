-- The beginning of every script: reads the state, KEYS[1], of the customers, KEYS[2], and the retired keys, KEYS[5]. A load stages customers
-- in KEYS[3] and retired keys in KEYS[6]; KEYS[4] holds which client loads. Scores are of clamped points: KEYS[7] is a hash of the true totals
-- of the customers beyond the clamp, which a load stages in KEYS[8].
--
-- The state is a hash: position, origin (of the checkpoint, see domain.Checkpoint; none in a state that an earlier version of the program
-- wrote), asof (microseconds since 1970, or empty), customers, retired and beyond (their numbers), bounds of a season and, in a copy, copy: the
-- rebuild that it belongs to. ARGV[1] is that rebuild; empty for the live leaderboard. ARGV[2] is the bounds of the season, empty for all time. If
-- one of the numbers is not the actual one, Redis has lost data, and the leaderboard counts as not loaded, as does one of other bounds.

local KEY, STATE, RETIRED, BEYOND = KEYS[2], KEYS[1], KEYS[5], KEYS[7]

-- read returns the state of a leaderboard, nil if it is not complete, and the rebuild in it.
local function read(state, customers, retired, beyond)
  local s = redis.call('HMGET', state, 'copy', 'position', 'asof', 'customers', 'retired', 'origin', 'beyond', 'bounds')
  local copy = s[1] or ''
  if not s[2] or (s[8] or '') ~= ARGV[2] or redis.call('ZCARD', customers) ~= tonumber(s[4]) then return nil, copy end
  local gone = s[5] or '0'
  if gone ~= '0' and redis.call('SCARD', retired) ~= tonumber(gone) then return nil, copy end
  local more = s[7] or '0'
  if more ~= '0' and redis.call('HLEN', beyond) ~= tonumber(more) then return nil, copy end
  return {position = s[2], asof = s[3], customers = s[4], retired = gone, origin = s[6] or '', beyond = more}, copy
end

local function state()
  local s, copy = read(STATE, KEY, RETIRED, BEYOND)
  if copy ~= ARGV[1] then return nil, {'displaced'} end
  if not s then return nil, {'unloaded'} end
  return s
end

-- before compares positions, "commit" or "commit-prepare", as text: their parts may be greater than Lua's numbers can hold exactly.
local function before(a, b)
  local function parts(position)
    local commit, prepare = string.match(position, '^(%d+)%-?(%d*)$')
    if prepare == '' then prepare = commit end
    return string.rep('0', 20 - #commit) .. commit .. string.rep('0', 20 - #prepare) .. prepare
  end
  return parts(a) < parts(b)
end

-- checkpoint tells the leaderboard's checkpoints apart.
local function checkpoint(s) return s.position .. ' ' .. s.origin end

-- now is the time in milliseconds.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- later is the later of two times.
local function later(a, b)
  if a == '' or (b ~= '' and tonumber(b) > tonumber(a)) then return b end
  return a
end
