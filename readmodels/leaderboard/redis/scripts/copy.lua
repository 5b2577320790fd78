-- Begins the rebuild that ARGV[1] names: whatever there is of another is thrown away.

redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', STATE, 'copy', ARGV[1])
return {'ok'}
