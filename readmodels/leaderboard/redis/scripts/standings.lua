-- Reads the state and the scores of the customers from ARGV[2] on, false for those who are not there.

local s, refused = state()
if refused then return refused end
local scores = {}
if #ARGV > 1 then scores = redis.call('ZMSCORE', KEY, unpack(ARGV, 2)) end
return {'ok', s.position, s.asof, s.customers, scores}
