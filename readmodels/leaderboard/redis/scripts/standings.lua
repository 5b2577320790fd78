-- Reads the state, the scores of the customers from ARGV[3] on, false for those who are not on the leaderboard, and for each of them
-- whether their key is retired, 0 or 1. That list is empty if no key of the leaderboard is retired. Next comes the origin of the checkpoint, and
-- last the true totals of those beyond the clamp, an empty list if there are none.

local s, failure = state()
if failure then return failure end
local scores, retired, totals = {}, {}, {}
if #ARGV > 2 then
  scores = redis.call('ZMSCORE', KEY, unpack(ARGV, 3))
  if s.beyond ~= '0' then totals = redis.call('HMGET', BEYOND, unpack(ARGV, 3)) end
  if s.retired ~= '0' then retired = redis.call('SMISMEMBER', RETIRED, unpack(ARGV, 3)) end
end
return {'ok', s.position, s.asof, s.customers, scores, retired, s.origin, totals}
