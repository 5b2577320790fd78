-- Begins the rebuild ARGV[1], and removes what another has left.

redis.call('UNLINK', unpack(KEYS))
redis.call('HSET', STATE, 'copy', ARGV[1])
return {'ok'}
