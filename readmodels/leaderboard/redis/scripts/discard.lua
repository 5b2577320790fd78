-- Throws away the copy of the rebuild that ARGV[1] names. That of another rebuild stays.

if redis.call('HGET', STATE, 'copy') == ARGV[1] then
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
end
return {'ok'}
