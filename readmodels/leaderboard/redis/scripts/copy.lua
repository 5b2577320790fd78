-- Begins the rebuild that ARGV[1] names: whatever there is of another is thrown away.

redis.call('UNLINK', unpack(KEYS))
redis.call('HSET', STATE, 'copy', ARGV[1])
return {'ok'}
