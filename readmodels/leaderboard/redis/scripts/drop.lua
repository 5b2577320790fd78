-- Removes what a failed load has staged. ARGV[2] and ARGV[3] are the client and its load.

local by = redis.call('HMGET', KEYS[4], 'client', 'load')
if by[1] == ARGV[2] and by[2] == ARGV[3] then redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[6], KEYS[8]) end
return {'ok'}
