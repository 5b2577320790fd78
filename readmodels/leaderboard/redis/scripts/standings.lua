-- Reads the state, the scores of the customers from ARGV[2] on, false for those who are not on the leaderboard, and for each of them
-- whether their key is retired, 0 or 1. The last list is empty if no key of the leaderboard is retired.

local s, failure = state()
if failure then return failure end
local scores, retired = {}, {}
if #ARGV > 1 then
  scores = redis.call('ZMSCORE', KEY, unpack(ARGV, 2))
  if s.retired ~= '0' then retired = redis.call('SMISMEMBER', RETIRED, unpack(ARGV, 2)) end
end
return {'ok', s.position, s.asof, s.customers, scores, retired}
