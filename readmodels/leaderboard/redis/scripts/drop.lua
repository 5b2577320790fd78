-- Removes what a failed load has staged. ARGV[3] and ARGV[4] are the client and its load.

local by = redis.call('HMGET', KEYS[4], 'client', 'load')
if by[1] == ARGV[3] and by[2] == ARGV[4] then redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[6], KEYS[8]) end
return {'ok'}
