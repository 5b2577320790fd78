-- Reads the state, the scores of the customers from ARGV[2] on, false for those who are not on the leaderboard, and for each of them
-- whether their key is retired, 0 or 1. That list is empty if no key of the leaderboard is retired. Last comes the
-- origin of the checkpoint.

local s, failure = state()
if failure then return failure end
local scores, retired = {}, {}
if #ARGV > 1 then
  scores = redis.call('ZMSCORE', KEY, unpack(ARGV, 2))
  if s.retired ~= '0' then retired = redis.call('SMISMEMBER', RETIRED, unpack(ARGV, 2)) end
end
return {'ok', s.position, s.asof, s.customers, scores, retired, s.origin}
