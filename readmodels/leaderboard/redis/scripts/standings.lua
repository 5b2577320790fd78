-- Reads the state, the scores of the customers from ARGV[2] on, false for those who are not there, and for each of them
-- whether their key is retired, as 0 or 1; nothing if nobody's is.

local s, refused = state()
if refused then return refused end
local scores, retired = {}, {}
if #ARGV > 1 then
  scores = redis.call('ZMSCORE', KEY, unpack(ARGV, 2))
  if s.retired ~= '0' then retired = redis.call('SMISMEMBER', RETIRED, unpack(ARGV, 2)) end
end
return {'ok', s.position, s.asof, s.customers, scores, retired}
